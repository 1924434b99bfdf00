import { afterAll, afterEach, beforeAll, test, vi } from "vitest";
import { inLane } from "../support/lane.ts";
import { newKey, observation, originKinds, startKeyedWorld } from "../support/keyed-world.ts";

// A keyed create, with a fault at each of its steps outside of the isolate.

/** The step that fails from now on: its number, and whether its work is done before it fails. */
let fault: { readonly at: number; readonly isDone: boolean } | undefined;
let step = 0;
/** The part at the step that failed: work of an earlier request may take a number of this request's steps. */
let felt = "";
const steps: string[] = [];

let world: Awaited<ReturnType<typeof startKeyedWorld>>;
beforeAll(async () => {
  world = await startKeyedWorld({
    remote: async (to, act) => {
      const number = step++;
      steps.push(to);
      if (fault?.at !== number) return act();
      felt = to;
      if (fault.isDone) await act();
      throw new TypeError("the connection broke");
    },
  });
}, 60_000);
afterAll(() => world.close());
afterEach(() => {
  vi.useRealTimers();
});

const saysWhoMayBeAnswered: ReadonlySet<string> = new Set(["guard", "registry", "revocations"]);

test.for(originKinds)(
  "%s: whichever step fails, before its work or after it, the create is never done twice, and its repeat settles",
  { timeout: 120_000 },
  async (kind, { expect }) => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const create = async (text: string, key: string) =>
      world.ask(kind, "Observation", { key, body: observation("amara", { note: [{ text }] }) });
    const begin = (at: typeof fault) => {
      fault = at;
      step = 0;
      steps.length = 0;
    };
    // leases of quotas and copies of the registry are alive: each run has the same steps
    begin(undefined);
    await create(newKey(), newKey());
    begin(undefined);
    expect((await create(newKey(), newKey())).status).toBe(201);
    const names = [...steps];
    expect(names.filter((name) => name === "keys")).toHaveLength(3);
    const outcomes = new Set<string>();
    for (const [at, name] of names.entries())
      for (const isDone of [false, true]) {
        const [text, key] = [newKey(), newKey()];
        felt = "";
        begin({ at, isDone });
        const first = await create(text, key);
        const part = felt;
        begin(undefined);
        vi.setSystemTime(Date.now() + 61_000); // an attempt has its key for a minute
        const again = await create(text, key);
        const third = await create(text, key);
        const held = JSON.stringify(await world.held(kind, "Observation")).split(`"${text}"`).length - 1;
        const where = `${name} ${at} (${part}) ${isDone ? "after" : "before"}: ${first.status}, ${again.status}`;
        expect([201, 503, 504], where).toContain(first.status);
        expect(third.status, where).toBe(again.status);
        if (again.status === 201) expect(held, where).toBe(1);
        else {
          expect([kind, again.status], where).toEqual(["plain", 409]);
          expect(held, where).toBeLessThanOrEqual(1);
        }
        // While Consents are unavailable the first answer has no body. While nothing says whether the client may
        // be answered, it is the status alone.
        const { location } = first.headers;
        const isAlone = location === undefined && first.text === "" && saysWhoMayBeAnswered.has(part);
        if (first.status === 201 && !isAlone)
          expect([location, again.headers["location"]], where).toEqual([
            again.headers["location"],
            expect.any(String),
          ]);
        outcomes.add(`${first.status} ${again.status}`);
      }
    expect(outcomes, "the faults were felt").toContain("503 201");
  },
);

test.for(inLane({ fast: ["PUT"], slow: ["PUT", "PATCH"], long: ["PUT", "PATCH"] }))(
  "%s: whichever step fails, before its work or after it, the change is there once and its repeat settles",
  { timeout: 120_000 },
  async (method, { expect }) => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const begin = (at: typeof fault) => {
      fault = at;
      step = 0;
      steps.length = 0;
    };
    /** A new row, and a change of it that would show if it were done twice. */
    const prepared = async () => {
      begin(undefined);
      const created = await world.ask("plain", "Observation", { body: observation() });
      const row = JSON.parse(created.text) as { id: string };
      const note = { text: newKey() };
      const body =
        method === "PUT" ? { ...row, note: [note] } : [{ op: "add", path: "/note", value: [note] }];
      return { path: `Observation/${row.id}`, asking: { method, key: newKey(), body } };
    };
    const usual = await prepared();
    begin(undefined);
    expect((await world.ask("plain", usual.path, usual.asking)).status).toBe(200);
    const names = [...steps];
    const outcomes = new Set<string>();
    for (const [at, name] of names.entries())
      for (const isDone of [false, true]) {
        const { path, asking } = await prepared();
        begin({ at, isDone });
        const first = await world.ask("plain", path, asking);
        begin(undefined);
        vi.setSystemTime(Date.now() + 61_000);
        const again = await world.ask("plain", path, asking);
        const third = await world.ask("plain", path, asking);
        const where = `${name} ${at} ${isDone ? "after" : "before"}: ${first.status}`;
        expect([200, 503, 504], where).toContain(first.status);
        expect([again.status, third.status], where).toEqual([200, 200]);
        const now = await world.ask("plain", path, { method: "GET" });
        expect(JSON.parse(now.text), where).toMatchObject({ meta: { versionId: "2" } });
        outcomes.add(`${first.status} ${again.status}`);
      }
    expect(outcomes, "the faults were felt").toContain("503 200");
  },
);

test("after 24 hours a key is new: a create under it is a new resource, and overwrites none", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  fault = undefined;
  for (const kind of originKinds) {
    const [text, key] = [newKey(), newKey()];
    const asking = { key, body: observation("amara", { note: [{ text }] }), subject: `of ${text}` };
    const first = await world.ask(kind, "Observation", asking);
    vi.setSystemTime(Date.now() + 24 * 3_600_000 + 1_000);
    await world.door.ringAlarms();
    const later = await world.ask(kind, "Observation", { ...asking, subject: `of ${text}`, isFresh: true });
    expect([first.status, later.status], kind).toEqual([201, 201]);
    expect(later.headers["location"]).not.toBe(first.headers["location"]);
  }
});
