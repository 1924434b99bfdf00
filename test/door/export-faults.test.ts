import { afterAll, afterEach, beforeAll, test, vi } from "vitest";
import { LedgerBusy, LedgerQueue } from "#gateway/record/ledger-queue";
import { MemoryBusy, MemoryClaim } from "#limits/shared-memory";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { requestOf } from "../support/in-process/mutual-tls.ts";

// What a download does when a part fails for a while: before its first line, and between two pages.

let phylax: Door;
let isAway = () => false;
let mend = () => {};
beforeAll(async () => {
  phylax = await startDoor({
    remote(part, act, method) {
      if (part === "exports" && method === "noteFile" && isAway()) throw new Error("away");
      return act();
    },
  });
  phylax.origin.load(many);
}, 60_000);
afterAll(() => phylax.close());
afterEach(() => {
  isAway = () => false;
  mend();
});

const many = Array.from({ length: 1_200 }, (_, n) => ({
  resourceType: "Observation" as const,
  id: `many-${n}`,
  status: "final" as const,
  category: [
    {
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" }],
    },
  ],
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
  subject: { reference: "Patient/amara-okafor" },
}));

/** The URL of the file of a new export. Two filters: the download remembers the ids of its rows. */
async function fileOfTwoFilters(): Promise<string> {
  const filter = (code: string) => `_typeFilter=${encodeURIComponent(`Observation?code=${code}`)}`;
  const kickOff = await phylax.ask(
    "telehealth",
    `$export?_type=Observation&${filter("http://loinc.org|8867-4")}&${filter("8867-4")}`,
    { headers: { prefer: "respond-async" } },
  );
  if (kickOff.status !== 202) throw new Error(`${kickOff.status} ${kickOff.text}`);
  const status = await phylax.ask("telehealth", String(kickOff.headers["content-location"]));
  const { output } = JSON.parse(status.text) as { readonly output: readonly { readonly url: string }[] };
  return output[0]?.url ?? "";
}

type Failure = (isNow: () => boolean) => void;

/** A method of all objects of a class throws while a part fails. Its first argument is a size: none takes no part. */
const failing =
  (prototype: object, method: string, Fault: new () => Error): Failure =>
  (isNow) => {
    const whole: unknown = Reflect.get(prototype, method);
    if (typeof whole !== "function") throw new Error(`no method ${method}`);
    Reflect.set(prototype, method, function (this: unknown, ...args: readonly unknown[]): unknown {
      if (args[0] !== 0 && isNow()) throw new Fault();
      return Reflect.apply(whole, this, args);
    });
    mend = () => void Reflect.set(prototype, method, whole);
  };
const noMemory = failing(MemoryClaim.prototype, "hold", MemoryBusy);
const noPage = failing(MemoryClaim.prototype, "page", MemoryBusy);
const ledgerBehind = failing(LedgerQueue.prototype, "holding", LedgerBusy);
const silentList: Failure = (isNow) => void (isAway = isNow);

test.for([
  ["no room for a page in the isolate's memory", noPage],
  ["no answer from the object of the client's exports", silentList],
] as const)(
  "with %s the first page is a 503 on record, with a time to come back and without a byte of a row",
  async ([, fail], { expect }) => {
    const file = await fileOfTwoFilters();
    const before = (await phylax.records()).length;
    let isFailing = true;
    fail(() => isFailing);
    const reply = await phylax.ask("telehealth", file);
    expect([reply.status, reply.headers["retry-after"]], reply.text).toEqual([503, "2"]);
    expect(JSON.parse(reply.text)).toMatchObject({ resourceType: "OperationOutcome" });
    expect(reply.text).not.toContain("many-");
    isFailing = false;
    const reasons = (await phylax.records())
      .slice(before)
      .flatMap(({ event }) => event?.outcome?.reason ?? []);
    expect(reasons).toEqual(["fault"]);
  },
);

test.for([
  ["no room for the ids of its rows", noMemory],
  ["no room for a page", noPage],
  ["a ledger that is behind", ledgerBehind],
  ["no answer from the object of the client's exports", silentList],
] as const)(
  "with %s between two pages a file waits, and then has each row once",
  async ([, fail], { expect }) => {
    const file = await fileOfTwoFilters();
    const headers = { authorization: `Bearer ${await phylax.token("telehealth")}` };
    const { cert } = phylax.client("telehealth");
    const response = await phylax.within(() =>
      phylax.fetch(requestOf(phylax.dev.clientCa.cert, cert, file, { headers })),
    );
    let isBusy = true;
    let asked = 0;
    fail(() => {
      asked += 1;
      return isBusy;
    });
    const text = response.text();
    await vi.waitFor(() => expect(asked).toBeGreaterThan(0), 5_000);
    isBusy = false;
    const ids = (await text)
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { id: string }).id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { id } of many) expect(ids).toContain(id);
  },
);
