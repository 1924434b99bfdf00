import { afterAll, afterEach, beforeAll, test, vi } from "vitest";
import type { Sending } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { eventsOf } from "../support/auditor.ts";
import { to } from "../support/fhir-parts.ts";
import {
  askAs,
  certificateFor,
  clientEntries,
  issuerEntry,
  joined,
  outsider,
  outsideToken,
  thumbprint,
  type Outsider,
} from "../support/outside.ts";
import { commandIn } from "../support/in-process/command.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";

const world = [
  { resourceType: "Patient" as const, id: "amara" },
  {
    resourceType: "Observation" as const,
    id: "pulse",
    status: "final" as const,
    code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
    subject: to("Patient/amara"),
  },
];
const policy = (name: string, purpose: string, types: readonly string[]) => ({
  name,
  body: {
    format: "phylax.policy.v1",
    name,
    title: "Emergency",
    purposes: [purpose],
    rules: [
      {
        types,
        interactions: ["read"],
        show: "everything",
        why: "45 CFR 164.506(c)(2): treatment in an emergency.",
        examples: [{ says: "It may be read.", request: `${types[0]}/1`, is: "permitted" }],
      },
    ],
  },
});

let phylax: Door;
let issuer: Outsider;
let certificate: CertificateFiles;

beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  issuer = await outsider("https://emergency.example", "phylax");
  certificate = await certificateFor(phylax, "clinic");
  const client = { id: "clinic", kind: "hospital", auth: "external", issuer: issuer.iss };
  const entry = {
    ...client,
    externalClientId: "clinic",
    certificates: [thumbprint(certificate)],
    entity: { name: "Riverside General Hospital", address: "1 River Road" },
  };
  const emergency = clientEntries(entry, "BTG", "emergency", "user/*.rs");
  const usual = clientEntries(entry, "TREAT", "usual", "user/*.rs");
  const applied = await phylax.addRegistry({
    issuers: [issuerEntry(issuer, { purpose: { claim: "purpose" } })],
    policies: [policy("usual", "TREAT", ["Observation"]), policy("emergency", "BTG", ["Patient"])],
    clients: [entry],
    agreements: [{ ...emergency.agreements[0], purposes: ["BTG", "TREAT"] }],
    grants: [
      {
        ...emergency.grants[0],
        scopes: "system/*.rs",
        breakGlass: { acr: ["urn:step-up"], maxSeconds: 600 },
      },
      { ...usual.grants[0], scopes: "system/*.rs" },
    ],
  });
  if (!applied.ok) throw new Error(JSON.stringify(applied));
}, 60_000);
afterAll(() => phylax.close());
afterEach(() => void vi.useRealTimers());

const now = () => Math.floor(Date.now() / 1_000);
const reason = "Unconscious after a fall; allergies unknown";
const ask = async (path: string, claims: object = {}, sending: Sending = {}) => {
  const all = {
    client_id: "clinic",
    scope: "system/*.rs",
    purpose: "BTG TREAT",
    fhirUser: "Practitioner/vera",
    name: "Dr. Vera Lindt",
    acr: "urn:step-up",
    auth_time: now(),
    ...claims,
  };
  const headers = { "phylax-purpose": "BTG", "phylax-justification": reason, ...sending.headers };
  return askAs(phylax, certificate, await outsideToken(issuer, certificate, all), path, {
    ...sending,
    headers,
  });
};
const reviews = async (...args: readonly string[]) =>
  (await commandIn(phylax.home, "review", "list", ...args)).out.trim().split("\n");

test("an emergency opens the wider view, and stands with its reason on record, in the accounting, in an alert and in a review", async ({
  expect,
}) => {
  const logged: unknown[] = [];
  const { error } = console;
  console.error = (line: unknown) => void logged.push(line);
  const signedIn = now();
  const usual = await ask("Patient/amara", {}, { headers: { "phylax-purpose": "TREAT" } });
  const wide = await ask("Patient/amara", { auth_time: signedIn });
  console.error = error;
  expect([usual.status, wide.status]).toEqual([403, 200]);

  const [event] = await eventsOf(phylax.dev, wide.headers["x-request-id"]);
  expect(event).toMatchObject({
    kind: "disclosure",
    who: { client: "clinic", user: "Practitioner/vera" },
    why: { purposes: ["BTG"] },
    at: expect.any(Number),
    what: { origin: "main" },
    // 42 CFR 2.51(c): personnel, facility, nature of the emergency
    emergency: {
      justification: reason,
      personnel: "Dr. Vera Lindt",
      facility: "Riverside General Hospital",
      review: expect.stringMatching(/^[0-9a-f]{32}$/u),
    },
  });
  const review = event?.emergency?.review ?? "";
  // a late alarm of a ledger may log a line of its own meanwhile
  const alerts = logged
    .map((line): { readonly event?: unknown } => JSON.parse(String(line)))
    .filter(({ event: named }) => named === "break_glass");
  expect(alerts).toEqual([
    {
      event: "break_glass",
      requestId: wide.headers["x-request-id"],
      client: "clinic",
      purpose: "BTG",
      review,
    },
  ]);
  expect(JSON.stringify(alerts)).not.toContain("amara");
  expect(JSON.stringify(alerts)).not.toContain("fall");

  // the same sign-in is the same emergency
  const again = await ask("Patient/amara", { auth_time: signedIn });
  expect((await eventsOf(phylax.dev, again.headers["x-request-id"]))[0]?.emergency?.review).toBe(review);
  const open = await reviews();
  expect(open).toEqual([
    expect.stringMatching(new RegExp(`^${review} .* clinic main BTG request .* until .*Z open$`, "u")),
  ]);

  expect(await commandIn(phylax.home, "review", "close", review, "--finding", "maybe")).toMatchObject({
    code: 2,
  });
  expect(
    await commandIn(phylax.home, "review", "close", review, "--finding", "justified"),
    "the same sign-in may be used again",
  ).toMatchObject({ code: 2, error: expect.stringContaining("lasts") });
  expect(await reviews()).toEqual(open);
});

test("a review is closed after the emergency, once", async ({ expect }) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const before = await reviews();
  expect((await ask("Patient/amara", { auth_time: now() - 540 })).status).toBe(200);
  const review = (await reviews()).find((line) => !before.includes(line))?.slice(0, 32) ?? "";
  const close = () => commandIn(phylax.home, "review", "close", review, "--finding", "justified");
  vi.setSystemTime(Date.now() + 59_000);
  expect(await close()).toMatchObject({ code: 2, error: expect.stringContaining("lasts") });
  vi.setSystemTime(Date.now() + 2_000);
  expect(await close()).toMatchObject({ code: 0 });
  expect(await commandIn(phylax.home, "review", "close", review, "--finding", "unjustified")).toMatchObject({
    code: 2,
    error: expect.stringContaining("not the id of an open review"),
  });
  expect(await reviews()).toEqual(before);
  expect((await reviews("--all")).filter((line) => line.startsWith(review))).toEqual([
    expect.stringContaining("justified ("),
  ]);
});

test("an emergency needs a step-up that is fresh, and a reason", async ({ expect }) => {
  const open = await reviews();
  const refusals = {
    "no step-up": await ask("Patient/amara", { acr: undefined }),
    "a weaker sign-in": await ask("Patient/amara", { acr: "urn:password" }),
    "no time of the sign-in": await ask("Patient/amara", { auth_time: undefined }),
    "an old sign-in": await ask("Patient/amara", { auth_time: now() - 600 }),
    "a sign-in to come": await ask("Patient/amara", { auth_time: now() + 60 }),
    "no reason": await ask("Patient/amara", {}, { headers: { "phylax-justification": "" } }),
    "a short reason": await ask("Patient/amara", {}, { headers: { "phylax-justification": "urgent" } }),
    "a long reason": await ask("Patient/amara", {}, { headers: { "phylax-justification": "x".repeat(501) } }),
  };
  const found = Object.entries(refusals).map(([what, { status, headers }]) => [
    what,
    status,
    headers["www-authenticate"]?.includes('error="insufficient_user_authentication"') ?? false,
  ]);
  expect(found).toEqual(
    Object.keys(refusals).map((what) => (what.includes("reason") ? [what, 400, false] : [what, 401, true])),
  );
  const unnamed = await ask("Patient/amara", { fhirUser: undefined, name: undefined });
  expect([unnamed.status, unnamed.text.includes("name of the person")], "no person").toEqual([403, true]);
  expect(await reviews(), "nothing was opened").toEqual(open);
  const named = [{ fhirUser: undefined }, { name: undefined }, { name: 7 }];
  const replies = await Promise.all(named.map((claims) => ask("Patient/amara", claims)));
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
  const asked = await ask("Patient/amara", { purpose: "TREAT" });
  expect(asked.status, "a token that does not declare it").toBe(403);
});

test("a grant for break-glass states the sign-in, and no further grant does", async ({ expect }) => {
  const client = { id: "other", kind: "hospital", auth: "external", issuer: issuer.iss };
  const entry = { ...client, externalClientId: "other", certificates: [thumbprint(certificate)] };
  const withGrant = (purpose: string, more: object) => {
    const made = clientEntries(entry, purpose, purpose === "BTG" ? "emergency" : "usual", "system/*.rs");
    return joined({ ...made, grants: [{ ...made.grants[0], ...more }] });
  };
  const demand = { breakGlass: { acr: ["a"], maxSeconds: 600 } };
  for (const file of [withGrant("BTG", {}), withGrant("TREAT", demand)])
    expect(await phylax.addRegistry(file)).toMatchObject({
      ok: false,
      error: { pointer: "/grants/0/breakGlass" },
    });
});
