import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { parseLogName } from "#ledger/log-name";
import { requestRounds } from "../../bench/scale/latency.ts";
import { requestOf } from "../support/in-process/mutual-tls.ts";
import { RemoteTrace } from "../support/in-process/remote.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { keyBoundToken, keyHolder, keyHolderEntry, proofFor, type KeyHolder } from "../support/key-holder.ts";
import { clientEntries, joined, starterPolicy } from "../support/outside.ts";
import { policyEntry, rule } from "../policy/granting.ts";

type Edge = (request: Request) => Promise<Response>;

// Shards 0 and 1 are in Western Europe, 2 and 3 in Eastern North America.
const regions = "weur:2 enam:2";
const path = "Patient/amara-okafor";

const trace = new RemoteTrace();
let phylax: Door;
let further: Edge;
const holders = new Map<string, KeyHolder>();
beforeAll(async () => {
  // No alarm rings: the copying of the ledger would stand among the calls of a request.
  phylax = await startDoor({ regions, remote: trace.remote, alarms: "asked" });
  further = await phylax.elsewhere();
  const files: ReturnType<typeof clientEntries>[] = [];
  for (const region of ["enam", undefined]) {
    const holder = await keyHolder(`holder-${region ?? "nowhere"}`);
    holders.set(holder.id, holder);
    files.push(clientEntries({ ...keyHolderEntry(holder), region }, "TREAT", "treat", "system/*.rs"));
  }
  const writer = await keyHolder("holder-writes");
  holders.set(writer.id, writer);
  files.push(clientEntries(keyHolderEntry(writer), "TREAT", "writer", "system/*.cruds"));
  const policies = [starterPolicy("treat"), writing];
  await phylax.applyRegistry(joined({ policies }, ...files));
}, 120_000);
afterAll(() => phylax.close());

const writing = policyEntry("writer", [
  rule(["Observation"], "everything", { interactions: ["read", "create"] }),
]);

/** A request as it arrives at an edge of this continent. */
function arriving(continent: string, headers: Readonly<Record<string, string>>, client?: string): Request {
  const { clientCa, fhir } = phylax.dev;
  const certificate = client === undefined ? undefined : phylax.client(client).cert;
  return requestOf(clientCa.cert, certificate, `${fhir}/${path}`, { headers }, { continent });
}

/** A new Observation, as it arrives at an edge. */
function creating(headers: Readonly<Record<string, string>>): Request {
  const { clientCa, fhir } = phylax.dev;
  const body = JSON.stringify({
    resourceType: "Observation",
    status: "final",
    code: { text: "pulse" },
    subject: { reference: path },
  });
  const sending = { method: "POST", headers: { ...headers, "content-type": "application/fhir+json" }, body };
  return requestOf(clientCa.cert, undefined, `${fhir}/Observation`, sending, { continent: "EU" });
}

const shardOf = (response: Response): number | undefined => {
  const log = /log="(?<log>[^"]+)"/u.exec(response.headers.get("phylax-receipt") ?? "")?.groups?.["log"];
  return parseLogName(log ?? "")?.shard;
};

test.for([
  ["holder-enam", [2, 3]],
  ["holder-nowhere", [0, 1, 2, 3]],
] as const)(
  "T32: of the requests of %s with one proof, at edges of two continents at once, one is answered",
  async ([id, shards]) => {
    const holder = holders.get(id);
    if (holder === undefined) throw new Error("not set up");
    const token = await phylax.within(() => keyBoundToken(phylax, holder));
    const used = new Set<number | undefined>();
    for (let round = 0; round < 3; round++) {
      const dpop = await proofFor(phylax, holder, token, path);
      const headers = { authorization: `DPoP ${token}`, dpop };
      const replies = await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          i % 2 === 0 ? phylax.fetch(arriving("EU", headers)) : further(arriving("NA", headers)),
        ),
      );
      const answered = replies.filter(({ status }) => status === 200);
      expect(answered).toHaveLength(1);
      expect(replies.filter(({ status }) => status === 401)).toHaveLength(9);
      for (const reply of replies) used.add(shardOf(reply));
    }
    // One key, one log, wherever the request arrived.
    expect(used.size).toBe(1);
    for (const shard of used) expect(shards).toContain(shard);
  },
);

test("a client with a certificate is recorded on the continent where its request arrived, in each log there", async () => {
  const token = await phylax.token("telehealth");
  const headers = { authorization: `Bearer ${token}` };
  const shards = async (continent: string, edge: Edge) => {
    const found = new Set<number | undefined>();
    // a turn of an edge prefers one log (ADR 72), and another turn the other
    for (let i = 0; i < 40 && found.size < 2; i++) {
      const reply = await edge(arriving(continent, headers, "telehealth"));
      expect(reply.status).toBe(200);
      found.add(shardOf(reply));
      if (found.size < 2) await wait(250);
    }
    return found;
  };
  const near = (request: Request) => phylax.fetch(request);
  expect(await shards("EU", near)).toEqual(new Set([0, 1]));
  expect(await shards("NA", further)).toEqual(new Set([2, 3]));
  expect(await shards("AF", further)).toEqual(new Set([0, 1]));
});

test("a refusal without a known caller is recorded on the continent where it arrived", async () => {
  const reply = await further(arriving("NA", {}));
  expect(reply.status).toBe(401);
  expect([2, 3]).toContain(shardOf(reply));
});

test("each log, the root log and each guard are first called with the hint of their region", () => {
  const hints = phylax.hints();
  const logs = [...hints].flatMap(([name, hint]) => {
    const shard = parseLogName(name.replace("LedgerShard ", ""))?.shard;
    return shard === undefined ? [] : [[shard < 2 ? "weur" : "enam", hint] as const];
  });
  expect(logs.length).toBeGreaterThanOrEqual(4);
  for (const [region, hint] of logs) expect(hint).toBe(region);
  expect(hints.get("LedgerRoot root")).toBe("weur");
  expect(hints.get("ClientGuard holder-enam")).toBe("enam");
  expect([...hints]).toContainEqual(["ClientGuard holder-nowhere", undefined]);
});

// After the test of hints: a changed gateway gives other hints.
test.for([
  ["an edited list", { LEDGER_REGIONS: "weur:1 enam:3" }],
  ["no list", { LEDGER_REGIONS: "" }],
  ["more shards", { LEDGER_REGIONS: "weur:2 enam:6", LEDGER_SHARDS: "8" }],
] as const)(
  "T32: a gateway with %s takes no proof, and the gateway with the half-year's list does",
  async ([, variables]) => {
    const holder = holders.get("holder-enam");
    if (holder === undefined) throw new Error("not set up");
    const other = await phylax.elsewhere(variables);
    const token = await phylax.within(() => keyBoundToken(phylax, holder));
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    try {
      const statuses: number[][] = [];
      for (let round = 0; round < 6; round++) {
        const dpop = await proofFor(phylax, holder, token, path);
        const headers = { authorization: `DPoP ${token}`, dpop };
        const asked = (edge: Edge) => edge(arriving("EU", headers));
        // at once, the changed gateway first, and the changed gateway last
        const replies =
          round % 3 === 0
            ? await Promise.all([asked(other), asked(further)])
            : round % 3 === 1
              ? [await asked(other), await asked(further)]
              : [await asked(further), await asked(other)].toReversed();
        statuses.push(replies.map(({ status }) => status));
      }
      expect(statuses).toEqual(Array.from({ length: 6 }, () => [503, 200]));
      // A shard that the ledger does not have is not open.
      if (!("LEDGER_SHARDS" in variables)) {
        expect(logged.mock.calls.join()).toContain(`"event":"ledger_layout_differs"`);
        const bearer = { authorization: `Bearer ${await phylax.token("telehealth")}` };
        const reply = await other(arriving("EU", bearer, "telehealth"));
        expect(reply.status, "no proof, no difference").toBe(200);
      }
    } finally {
      logged.mockRestore();
    }
  },
);

test("a gateway with a period that has not begun takes proofs, each once", async () => {
  const holder = holders.get("holder-enam");
  if (holder === undefined) throw new Error("not set up");
  const other = await phylax.elsewhere({ LEDGER_REGIONS: `${regions}; 2199h1 weur:1 enam:3` });
  const token = await phylax.within(() => keyBoundToken(phylax, holder));
  for (const edges of [
    [other, further],
    [further, other],
  ]) {
    const headers = {
      authorization: `DPoP ${token}`,
      dpop: await proofFor(phylax, holder, token, path),
    };
    const replies = await Promise.all(edges.map((edge) => edge(arriving("NA", headers))));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200, 401]));
  }
});

test("a client's home is one of the ledger's regions; a file may add it, and a file without it leaves it", async () => {
  const holder = holders.get("holder-nowhere");
  if (holder === undefined) throw new Error("not set up");
  const entry = keyHolderEntry(holder);
  const add = (region?: string) =>
    phylax.addRegistry({ clients: [{ ...entry, ...(region !== undefined && { region }) }] });
  const refused = (reason: string) => ({ ok: false, error: { reason, pointer: "/clients/0/region" } });
  expect(await add("moon")).toMatchObject(refused("invalid"));
  expect(await add("oc")).toMatchObject(refused("invalid"));
  expect(await add()).toMatchObject({ ok: true, value: { counts: { added: 0, changed: 0 } } });
  expect(await add("enam")).toMatchObject({ ok: true, value: { counts: { added: 0, changed: 1 } } });
  expect(await add()).toMatchObject({ ok: true, value: { counts: { added: 0, changed: 0 } } });
  expect(await add("weur")).toMatchObject(refused("conflict"));
});

test("the latency model of bench/scale.md has the gateway's own sequence of remote calls", async () => {
  vi.useFakeTimers({ toFake: ["Date"] }); // leases and copies of the registry age only where the test says so
  try {
    vi.setSystemTime(Date.now() + 10_000); // the guard's own copy of the revocations is old
    const edge = await phylax.elsewhere();
    const headers = { authorization: `Bearer ${await phylax.token("telehealth")}` };
    const roundsOf = async (request: () => Request, status: number) =>
      trace.roundsOf(async () => expect((await edge(request())).status).toBe(status));
    const read = () => roundsOf(() => arriving("EU", headers, "telehealth"), 200);
    expect(await read()).toEqual(requestRounds["first read of an isolate"]);
    const reads: unknown[] = [];
    while (reads.length < 12 && reads.slice(-3).join() !== Array(3).fill(requestRounds.read).join())
      reads.push(await read());
    // A new isolate has small shares at first, then a share for each read.
    const { read: plain, "read without a share left": waiting } = requestRounds;
    expect(new Set(reads.map((rounds) => JSON.stringify(rounds)))).toEqual(
      new Set([JSON.stringify(waiting), JSON.stringify(plain)]),
    );
    expect(reads.slice(-3)).toEqual([plain, plain, plain]);
    vi.setSystemTime(Date.now() + 5_500);
    expect(await read()).toEqual(requestRounds["read after a pause"]);
    expect(await read()).toEqual(plain);

    const holder = holders.get("holder-writes");
    if (holder === undefined) throw new Error("not set up");
    const token = await phylax.within(() => keyBoundToken(phylax, holder));
    const writes: (readonly (readonly string[])[])[] = [];
    for (let i = 0; i < 4; i++) {
      const dpop = await proofFor(phylax, holder, token, "Observation", "POST");
      writes.push(await roundsOf(() => creating({ authorization: `DPoP ${token}`, dpop }), 201));
    }
    const shared = writes.slice(1).map((rounds) => rounds.filter((calls) => calls.join() !== "guard"));
    for (const rounds of shared) expect(rounds).toEqual(requestRounds.write);
  } finally {
    vi.useRealTimers();
  }
});
