import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, test, vi } from "vitest";
import { send, type Reply } from "../../cli/connection/mutual-tls.ts";
import { eventsOf } from "../support/auditor.ts";
import { fakeTime } from "../support/in-process/fake-time.ts";
import type { Remote } from "../support/in-process/remote.ts";
import { inLane } from "../support/lane.ts";
import { newKey, observation, startKeyedWorld } from "../support/keyed-world.ts";
import {
  askAs,
  issuerEntry,
  outsideClient,
  outsider,
  outsideToken,
  type OutsideClient,
  type Outsider,
} from "../support/outside.ts";
import { entryOf } from "../support/fhir-parts.ts";

/*
 * Each part that a request depends on fails alone, in each of four ways, under each kind of request. Every request is
 * answered within its bound, with success or with a 503 that says when to ask again; whatever was disclosed is on
 * record; and all is as before once the part works again. The clock is fake: it holds the bounds.
 */

const faults = ["refused", "frozen", "slowed", "reset"] as const;
type Fault = (typeof faults)[number];
/** `one log`: the log that a request asks first. */
const parts = [
  "guard",
  "revocations",
  "registry",
  "consents",
  "keys",
  "leases",
  "ledger",
  "one log",
  "bucket",
  "origin",
  "control",
  "accounting",
] as const;
type Part = (typeof parts)[number];
/** Its answer says nothing of a record: it is no answer with data. */
const revocation = "token revocation";

let broken:
  | { readonly part: Part; readonly fault: Fault; log?: string | undefined; resets: number }
  | undefined;

const remote: Remote = async (to, act, method, object) => {
  if (broken === undefined) return act();
  if (broken.part === "one log" && to === "ledger") broken.log ??= object;
  const isMeant = broken.part === to || (broken.log !== undefined && broken.log === object);
  if (!isMeant) return act();
  switch (broken.fault) {
    case "refused":
      // the answer of a log that takes no records
      if (broken.part === "one log" && method === "appendText") return "refused" as never;
      throw new TypeError(`${to} is down`);
    case "frozen":
      return await new Promise<never>(() => {});
    case "slowed":
      await new Promise((resolve) => setTimeout(resolve, 400));
      return act();
    case "reset":
      if (broken.resets++ > 0) return act();
      throw Object.assign(new Error("reset"), { durableObjectReset: true, retryable: true });
  }
};

let world: Awaited<ReturnType<typeof startKeyedWorld>>;
/** The id of a row that is written under a lease. */
let leased: string;
let issuer: Outsider;
let clinic: OutsideClient;
beforeAll(async () => {
  world = await startKeyedWorld({ remote, more: { leasedWrites: ["update"] } });
  await addClinic();
  for (let row = 0; row < 4; row++)
    await ask("POST", "Observation", observation("amara", { note: [{ text: "n".repeat(400_000) }] }));
  ({ id: leased } = JSON.parse((await ask("POST", "Observation", observation())).text) as {
    readonly id: string;
  });
  // A log compares itself with its copy when it starts.
  for (let time = 0; time < inLane({ fast: 0, slow: 12, long: 12 }); time++) {
    await new Promise((resolve) => setTimeout(resolve, 260));
    await ask("GET", "Patient/amara");
  }
}, 120_000);
afterAll(() => world.close());

const ask = (method: string, path: string, body?: object, key?: string) =>
  world.ask("update-as-create", path, {
    method,
    ...(body && { body }),
    ...(key !== undefined && { key }),
  });
const usual = {
  read: () => ask("GET", "Patient/amara"),
  write: () => ask("POST", "Observation", observation()),
  "keyed write": () => ask("POST", "Observation", observation(), newKey()),
  "leased write": () => ask("PUT", `Observation/${leased}`, { ...observation(), id: leased }),
  "long answer": () => ask("GET", "Observation?_count=4"),
  batch: () =>
    ask("POST", "", {
      resourceType: "Bundle",
      type: "batch",
      entry: [
        entryOf("GET", "Patient/amara"),
        entryOf("POST", "Observation", observation()),
        entryOf("GET", "Patient/bela"),
      ],
    }),
} as const;

type Way = () => Promise<Reply>;

/** Of these the token is made before the part fails. */
const prepared: Readonly<Record<string, () => Promise<Way>>> = {
  async accounting() {
    const token = await world.door.token("privacy-officer");
    const headers = { authorization: `Bearer ${token}` };
    return () => sendAs("privacy-officer", `${world.door.dev.fhir}/Patient/amara/$disclosures`, { headers });
  },
  async "review opening"() {
    const person = { sub: randomUUID(), fhirUser: "Practitioner/vera", name: "Dr. Vera Lindt" };
    const stepUp = { acr: "urn:step-up", auth_time: Math.floor(Date.now() / 1_000) };
    const claims = { client_id: "parts-clinic", scope: "system/*.rs", purpose: "BTG", ...person, ...stepUp };
    const token = await outsideToken(issuer, clinic.certificate, claims);
    const headers = { "phylax-purpose": "BTG", "phylax-justification": "Unconscious after a fall" };
    const path = `${world.door.dev.gateway}/v1/fhir/update-as-create/Patient/amara`;
    return () => askAs(world.door, clinic.certificate, token, path, { headers });
  },
  async [revocation]() {
    const token = await world.door.token("operations");
    const body = new URLSearchParams({ client_id: "operations", token }).toString();
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    return () =>
      sendAs("operations", `${world.door.dev.gateway}/oauth/revoke`, { method: "POST", headers, body });
  },
};

const sendAs = (id: string, ...[url, sending]: [string, Parameters<typeof send>[3]]) =>
  world.door.within(() => send(world.door.dev, world.door.client(id), url, sending));

/** The parts of a revocation. A client may have revoked fifty tokens that are not over yet. */
const revocationParts: readonly Part[] = ["guard", "revocations", "registry", "ledger", "one log", "control"];

const usualWays = Object.entries(usual).map(([name, way]) => [name, async (): Promise<Way> => way] as const);
const ways = inLane({
  fast: usualWays,
  slow: [...usualWays, ...Object.entries(prepared)],
  long: [...usualWays, ...Object.entries(prepared)],
});

/** A client that may declare an emergency. */
async function addClinic(): Promise<void> {
  issuer = await outsider("https://parts.example", "phylax");
  const grant = { purpose: "BTG", policy: "parts-emergency", scopes: "system/*.rs" };
  clinic = await outsideClient(world.door, issuer, "parts-clinic", grant, {
    kind: "hospital",
    entity: { name: "Riverside General Hospital", address: "1 River Road" },
  });
  const body = {
    format: "phylax.policy.v1",
    name: grant.policy,
    title: "An emergency",
    purposes: ["BTG"],
    rules: [
      {
        types: ["Patient"],
        interactions: ["read"],
        show: "everything",
        why: "45 CFR 164.506(c)(2): treatment in an emergency.",
        examples: [{ says: "It may be read.", request: "Patient/1", is: "permitted" }],
      },
    ],
  };
  const added = await world.door.addRegistry({
    issuers: [issuerEntry(issuer, { purpose: { claim: "purpose" } })],
    policies: [{ name: grant.policy, body }],
    ...clinic.entries,
    grants: clinic.entries.grants.map((one) =>
      Object.assign(one, {
        origin: "update-as-create",
        breakGlass: { acr: ["urn:step-up"], maxSeconds: 600 },
      }),
    ),
  });
  if (!added.ok) throw new Error(JSON.stringify(added));
}

/** Ten seconds for the parts of our own, and half a second for each further call. */
const boundMilliseconds = 14_000;
// A frozen origin has its own test (faults.test.ts): its deadline goes by the machine's clock.
const all = parts
  .flatMap((part) => faults.map((fault) => [part, fault] as const))
  .filter(([part, fault]) => part !== "origin" || fault !== "frozen");
const isFast = ([part, fault]: readonly [Part, Fault]) =>
  ["guard frozen", "one log refused"].includes(`${part} ${fault}`);
const cases = inLane({ fast: all.filter(isFast), slow: all, long: all });
/** These faults stop no request. */
const harmless: Readonly<Partial<Record<Part, readonly Fault[]>>> = {
  guard: ["slowed", "reset"],
  revocations: ["slowed"],
  registry: ["slowed"],
  consents: ["slowed"],
  keys: ["slowed", "reset"],
  leases: ["slowed"],
  ledger: ["slowed", "reset"],
  "one log": ["refused", "slowed", "reset"],
  bucket: faults,
  origin: ["slowed"],
  control: ["slowed"],
  accounting: ["slowed"],
};

test.for(cases)(
  "%s %s: each request is answered in its bound, on record, or 503 with Retry-After; then all is as before",
  { timeout: 60_000 },
  async ([part, fault], { expect }) => {
    vi.spyOn(console, "error").mockReturnValue();
    const time = fakeTime();
    const tried = ways.filter(([name]) => name !== revocation || revocationParts.includes(part));
    try {
      for (const [name, prepare] of tried) {
        const what = `${name}: ${part} ${fault}`;
        // No lease, no copy of the registry and no state of an origin outlives this.
        await vi.advanceTimersByTimeAsync(61_000);
        const { value: way } = await time.passing(prepare());
        broken = { part, fault, resets: 0 };
        const { value: reply, milliseconds } = await time.passing(way());
        broken = undefined;
        expect(milliseconds, what).toBeLessThanOrEqual(boundMilliseconds);
        if (harmless[part]?.includes(fault)) expect(reply.status, what).toBeLessThan(300);
        if (reply.status === 503) expect(String(reply.headers["retry-after"]), what).toMatch(/^\d+$/u);
        else expect([200, 201, 502, 504], what).toContain(reply.status);
        if (reply.status >= 300) expect(reply.text, what).not.toContain('"resourceType":"Patient"');
        else if (name !== revocation) expect(reply.headers["phylax-receipt"], what).toBeDefined();
        const { value: events } = await time.passing(
          eventsOf(world.door.dev, String(reply.headers["x-request-id"])),
        );
        if (reply.status < 300) expect(events.length, what).toBeGreaterThan(0);
      }
      await vi.advanceTimersByTimeAsync(61_000);
      for (const [name, prepare] of tried) {
        const { value: way } = await time.passing(prepare());
        expect((await time.passing(way())).value.status, `${name} after ${part} ${fault}`).toBeLessThan(300);
      }
    } finally {
      broken = undefined;
      time.end();
    }
  },
);
