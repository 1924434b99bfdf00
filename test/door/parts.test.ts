import { afterAll, beforeAll, test, vi } from "vitest";
import { eventsOf } from "../support/auditor.ts";
import { fakeTime } from "../support/in-process/fake-time.ts";
import type { Remote } from "../support/in-process/remote.ts";
import { inLane } from "../support/lane.ts";
import { newKey, observation, startKeyedWorld } from "../support/keyed-world.ts";
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
] as const;
type Part = (typeof parts)[number];

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
beforeAll(async () => {
  world = await startKeyedWorld({ remote, more: { leasedWrites: ["update"] } });
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
const ways = {
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

/** Ten seconds for the parts of our own, and half a second for each further call. */
const boundMilliseconds = 14_000;
// A frozen origin has its own test (faults.test.ts): its deadline goes by the machine's clock.
const all = parts
  .flatMap((part) => faults.map((fault) => [part, fault] as const))
  .filter(([part, fault]) => part !== "origin" || fault !== "frozen");
const isFast = ([part, fault]: readonly [Part, Fault]) =>
  ["guard frozen", "registry frozen", "one log refused"].includes(`${part} ${fault}`);
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
};

test.for(cases)(
  "%s %s: each request is answered in its bound, on record, or 503 with Retry-After; then all is as before",
  { timeout: 60_000 },
  async ([part, fault], { expect }) => {
    vi.spyOn(console, "error").mockReturnValue();
    const time = fakeTime();
    try {
      for (const [name, way] of Object.entries(ways)) {
        const what = `${name}: ${part} ${fault}`;
        // No lease, no copy of the registry and no state of an origin outlives this.
        await vi.advanceTimersByTimeAsync(61_000);
        broken = { part, fault, resets: 0 };
        const { value: reply, milliseconds } = await time.passing(way());
        broken = undefined;
        expect(milliseconds, what).toBeLessThanOrEqual(boundMilliseconds);
        if (harmless[part]?.includes(fault)) expect(reply.status, what).toBeLessThan(300);
        if (reply.status === 503) expect(String(reply.headers["retry-after"]), what).toMatch(/^\d+$/u);
        else expect([200, 201, 502, 504], what).toContain(reply.status);
        if (reply.status >= 300) expect(reply.text, what).not.toContain('"resourceType":"Patient"');
        else expect(reply.headers["phylax-receipt"], what).toBeDefined();
        const { value: events } = await time.passing(
          eventsOf(world.door.dev, String(reply.headers["x-request-id"])),
        );
        if (reply.status < 300) expect(events.length, what).toBeGreaterThan(0);
      }
      await vi.advanceTimersByTimeAsync(61_000);
      for (const [name, way] of Object.entries(ways))
        expect((await time.passing(way())).value.status, `${name} after ${part} ${fault}`).toBeLessThan(300);
    } finally {
      broken = undefined;
      time.end();
    }
  },
);
