import { afterAll, beforeAll, test, vi } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { openLedger } from "../support/auditor.ts";
import {
  askAs,
  certificateFor,
  clientEntries,
  issuerEntry,
  joined,
  outsider,
  outsideToken,
  starterPolicy,
  thumbprint,
  type Outsider,
} from "../support/outside.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";

// Windows of a day: none ends in the middle of a test, because no test begins shortly before midnight UTC.
const day = 86_400;
const own = "amara-okafor";

interface App {
  readonly id: string;
  readonly certificate: CertificateFiles;
}

let phylax: Door;
let issuer: Outsider;
let [shared, bulk]: App[] = [];
beforeAll(async () => {
  const left = day * 1_000 - (Date.now() % (day * 1_000));
  if (left < 300_000) vi.useFakeTimers({ toFake: ["Date"], shouldAdvanceTime: true, now: Date.now() + left });
  phylax = await startDoor();
  issuer = await outsider("https://users.issuer.example", "phylax");
  const appOf = async (id: string): Promise<App> => ({ id, certificate: await certificateFor(phylax, id) });
  [shared, bulk] = [await appOf("shared-app"), await appOf("bulk-app")];
  const entries = ({ id, certificate }: App, quotas: object) => {
    const client = {
      id,
      kind: "patient",
      auth: "external",
      issuer: issuer.iss,
      externalClientId: id,
      certificates: [thumbprint(certificate)],
    };
    const file = clientEntries(client, "PATRQT", "patrqt", "patient/*.rs");
    for (const grant of file.grants) Object.assign(grant.quotas, quotas);
    return file;
  };
  await phylax.applyRegistry(
    joined(
      { issuers: [issuerEntry(issuer)], policies: [starterPolicy("patrqt")] },
      entries(shared, {
        default: { requests: 100, windowSeconds: day },
        perSubject: { requests: 4, windowSeconds: day },
      }),
      entries(bulk, { records: { records: 30, windowSeconds: day } }),
    ),
  );
}, 120_000);
afterAll(async () => {
  vi.useRealTimers();
  await phylax.close();
});

async function ask(app: App | undefined, sub: string, path: string): Promise<Reply> {
  if (app === undefined) throw new Error("not set up");
  const claims = { client_id: app.id, sub, patient: own, scope: "patient/*.rs", fhirUser: `Patient/${own}` };
  return askAs(phylax, app.certificate, await outsideToken(issuer, app.certificate, claims), path);
}
const eventOf = async ({ headers }: Reply) =>
  (await openLedger(phylax.dev)).find(({ event }) => event.id === headers["x-request-id"])?.event;
const itemOf = (header: unknown, policy: string) =>
  new RegExp(`"${policy}";[^,]*`, "u").exec(String(header))?.[0];
const leftOf = ({ headers }: Reply, policy: string) =>
  Number(/r=(\d+)/u.exec(itemOf(headers["ratelimit"], policy) ?? "")?.[1]);

test("a user of an app exhausts their own quota, a second user of the same app goes on, and the headers name each policy", async ({
  expect,
}) => {
  const first = await ask(shared, "greedy", `Patient/${own}`);
  expect(first.status, first.text).toBe(200);
  expect(first.headers["ratelimit-policy"]).toBe(`"default";q=100;w=${day}, "subject";q=4;w=${day}`);
  expect(leftOf(first, "subject")).toBe(3);
  for (let n = 0; n < 3; n += 1) expect((await ask(shared, "greedy", `Patient/${own}`)).status).toBe(200);
  const replies = await Promise.all(
    Array.from({ length: 20 }, () => ask(shared, "greedy", `Patient/${own}`)),
  );
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([429]));
  const [refused] = replies;
  if (refused === undefined) throw new Error("no reply");
  expect(itemOf(refused.headers["ratelimit"], "subject")).toMatch(/^"subject";r=0;t=\d+$/u);
  expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(
    Number(/t=(\d+)/u.exec(String(refused.headers["ratelimit"]))?.[1]),
  );
  expect(await eventOf(refused)).toMatchObject({
    kind: "refusal",
    outcome: { status: 429, reason: "subject_quota_exhausted" },
    who: { client: "shared-app", subject: "greedy" },
    patients: [],
  });

  const other = await ask(shared, "modest", `Patient/${own}`);
  expect(other.status, other.text).toBe(200);
  expect(leftOf(other, "subject")).toBe(3);
  expect(leftOf(other, "default"), "five were answered").toBe(95);
});

test("each released record costs a credit; without credits for the whole page nothing of it leaves, and the refusal is on record", async ({
  expect,
}) => {
  const one = await ask(bulk, "someone", `Patient/${own}`);
  expect(one.status, one.text).toBe(200);
  expect(itemOf(one.headers["ratelimit-policy"], "records")).toBe(`"records";q=30;w=${day};qu="records"`);
  expect(leftOf(one, "records")).toBe(29);

  const page = await ask(bulk, "someone", "Observation?_count=20");
  expect(page.status, page.text).toBe(200);
  const shown: { readonly entry: readonly unknown[] } = JSON.parse(page.text);
  expect(shown.entry).toHaveLength(20);
  expect(leftOf(page, "records")).toBe(9);

  const tooMany = await ask(bulk, "someone", "Observation?_count=20");
  expect(tooMany.status).toBe(429);
  expect(JSON.parse(tooMany.text)).toMatchObject({
    resourceType: "OperationOutcome",
    issue: [{ code: "throttled" }],
  });
  expect(tooMany.text).not.toContain("Observation");
  expect(leftOf(tooMany, "records")).toBe(9);
  expect(Number(tooMany.headers["retry-after"])).toBeGreaterThan(0);
  expect(await eventOf(tooMany)).toMatchObject({
    kind: "refusal",
    outcome: { status: 429, reason: "record_quota_exhausted" },
    patients: [],
    counts: {},
  });

  const nothing = await ask(bulk, "someone", "Observation?code=http://loinc.org|none-such");
  expect(nothing.status, "an answer without records costs none").toBe(200);
  const rest = await ask(bulk, "someone", "Observation?_count=9");
  expect(rest.status, rest.text).toBe(200);
  expect((await ask(bulk, "someone", `Patient/${own}`)).status).toBe(429);
  expect(
    (await ask(bulk, "someone", "Patient/no-such-patient")).status,
    "what is not there costs nothing either",
  ).toBe(404);
});
