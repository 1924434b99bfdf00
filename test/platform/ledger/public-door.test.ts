import { runDurableObjectAlarm } from "cloudflare:test";
import { expect, onTestFinished, test, vi } from "vitest";
import { instant } from "#kernel/clock";
import { sha256 } from "#ledger/bytes/hash";
import { splitFrames } from "#ledger/frame-copies";
import { halfYearOf } from "#ledger/log-name";
import { ROOT_LOG } from "#ledger/root-log";
import { bucket, flush } from "./bucket.ts";
import { LedgerDoor, type LedgerDoorEnv } from "#platform/ledger/isolate/public-door";
import { fill, get, ledger, ownLog, seen, shard, unusedFrom } from "./worker.ts";

const halfYear = halfYearOf(instant(Date.now()));
// The isolate remembers what a log has in R2: these logs are of this file alone.
unusedFrom(45);
const digest = (bytes: Uint8Array | undefined): string =>
  Buffer.from(sha256(bytes ?? new Uint8Array())).toString("hex");
const shownAt = async (path: string): Promise<string> =>
  digest(new Uint8Array(await (await get(path)).arrayBuffer()));

const bindings = ledger as unknown as LedgerDoorEnv; // the bindings of the worker's configuration

/**
 * Records, until the test ends, which objects of a namespace are called by name, and which of their methods.
 */
function watched(namespace: "LEDGER_SHARD" | "LEDGER_ROOT") {
  const calls: { readonly name: string; readonly method: string }[] = [];
  const real = ledger[namespace];
  const getByName = (name: string) => {
    const stub: object = real.get(real.idFromName(name));
    return new Proxy(stub, {
      get: (target, method: string) => {
        const call: unknown = Reflect.get(target, method);
        return typeof call === "function"
          ? (...args: unknown[]) => {
              calls.push({ name, method });
              return Reflect.apply(call, target, args) as unknown;
            }
          : call;
      },
    });
  };
  Object.defineProperty(real, "getByName", { configurable: true, value: getByName });
  onTestFinished(() => void Reflect.deleteProperty(real, "getByName"));
  return calls;
}

test("a made-up name of a log starts no object, and names of closed half-years cost one look into the root log", async () => {
  const shards = watched("LEDGER_SHARD");
  const roots = watched("LEDGER_ROOT");
  const madeUp = [
    "s0-2020h1",
    "s1-1999h2",
    "s3-2099h1",
    "s0-9999h2",
    "s3-0000h1",
    `s64-${halfYear}`,
    `s99999-${halfYear}`,
    ...Array.from({ length: 40 }, (_, n) => `s${n}-2025h2`),
  ];
  for (const name of madeUp)
    for (const object of ["checkpoint", "frame/0", "tile/0/000", "tile/entries/000.p/1", "proof/0"])
      expect((await seen(`/${name}/${object}`))[0], `${name}/${object}`).toBe(404);
  expect(shards.map(({ name }) => name)).toEqual([]);
  expect(roots.length).toBeLessThanOrEqual(1);
});

test("objects in R2 are served from R2, and then from the cache: the committing object is not asked", async () => {
  const log = ownLog();
  for (let i = 0; i < 5; i++) await fill(log, 254);
  await flush(log); // five frames in one object
  const paths = [
    "tile/0/000",
    "tile/0/003.p/9",
    "tile/0/001.p/17",
    "tile/entries/002",
    "tile/entries/000.p/3",
    "frame/0",
    "frame/4",
  ];
  const expected = await Promise.all([
    shard(log).tile(0, 0, 256),
    shard(log).tile(0, 3, 9),
    shard(log).tile(0, 1, 17),
    shard(log).entries(2, 256),
    shard(log).entries(0, 3),
    shard(log).frame(0),
    shard(log).frame(4),
  ]);
  const shards = watched("LEDGER_SHARD");
  const reads = vi.spyOn(bucket, "get");
  onTestFinished(() => reads.mockRestore());
  const shown = [];
  for (const path of paths) shown.push(await shownAt(`/${log}/${path}`));
  expect(shown).toEqual(expected.map(digest));
  const readers = new Set(["tile", "entries", "frame", "proof"]);
  expect(shards.filter(({ method }) => readers.has(method))).toEqual([]);
  const [asked, read] = [shards.length, reads.mock.calls.length];
  expect(read).toBeGreaterThan(0);
  for (const path of paths) shown.push(await shownAt(`/${log}/${path}`));
  expect(shown.slice(paths.length)).toEqual(shown.slice(0, paths.length));
  expect([shards.length, reads.mock.calls.length], "the cache has it").toEqual([asked, read]);
});

test("objects that are not in R2 yet are read from the object and never cached; a checkpoint is asked for at most once a second", async () => {
  const log = ownLog();
  await fill(log, 100);
  const shards = watched("LEDGER_SHARD");
  const begun = performance.now();
  for (let n = 0; n < 5; n++)
    for (const path of ["checkpoint", "frame/0", "tile/0/000.p/50", "tile/entries/000.p/50", "proof/7"])
      expect((await seen(`/${log}/${path}`))[0], path).toBe(200);
  const count = (method: string) => shards.filter((call) => call.method === method).length;
  expect([count("frame"), count("entries"), count("proof")]).toEqual([5, 5, 0]);
  expect(count("checkpoint")).toBeLessThanOrEqual(2 + (performance.now() - begun) / 1_000);
});

test("a proof made from tiles equals the proof that the log itself gives", async () => {
  const log = ownLog();
  for (let i = 0; i < 3; i++) await fill(log, 254);
  await flush(log);
  await fill(log, 7);
  await scheduler.wait(1001); // a checkpoint is signed once a second at most
  const shards = watched("LEDGER_SHARD");
  for (const index of [0, 1, 255, 256, 511, 700, 770])
    expect(await shownAt(`/${log}/proof/${index}`), String(index)).toBe(
      digest(await shard(log).proof(index)),
    );
  expect((await seen(`/${log}/proof/771`))[0]).toBe(404);
  expect(shards.filter(({ method }) => method === "proof")).toHaveLength(7); // by this test itself
  const root = ledger.LEDGER_ROOT.getByName(ROOT_LOG);
  await runDurableObjectAlarm(root);
  expect(await shownAt("/root/proof/0")).toBe(digest(await root.proof(0)));
});

test("while the object cannot be asked, the objects in R2 are still served", async () => {
  const log = ownLog();
  for (let i = 0; i < 2; i++) await fill(log, 254);
  await flush(log);
  const tile = digest(await shard(log).tile(0, 0, 256));
  const away = () => Promise.reject(new Error("made to be away by the test"));
  Object.defineProperty(ledger.LEDGER_SHARD, "getByName", {
    configurable: true,
    value: () => new Proxy({}, { get: () => away }),
  });
  onTestFinished(() => void Reflect.deleteProperty(ledger.LEDGER_SHARD, "getByName"));
  expect(await shownAt(`/${log}/tile/0/000`)).toBe(tile);
  expect((await seen(`/${log}/frame/1`))[0]).toBe(503);
});

test("joined frames are served as the bucket has them, without the object; the list of them ends where the copy ends", async () => {
  const log = ownLog();
  for (let i = 0; i < 3; i++) await fill(log, 3);
  await flush(log);
  await fill(log, 3);
  await flush(log);
  await fill(log, 3); // not copied
  const shards = watched("LEDGER_SHARD");
  expect(await (await get(`/${log}/frames/from/0`)).text()).toBe("0-2\n3-3\n");
  expect(await (await get(`/${log}/frames/from/2`)).text()).toBe("0-2\n3-3\n");
  expect(await (await get(`/${log}/frames/from/3`)).text()).toBe("3-3\n");
  expect(await (await get(`/${log}/frames/from/4`)).text()).toBe("");
  const asked = shards.length;
  const answer = await get(`/${log}/frames/0-2`);
  expect(answer.headers.get("cache-control")).toContain("immutable");
  expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  const bytes = new Uint8Array(await answer.arrayBuffer());
  expect(answer.headers.get("content-length")).toBe(String(bytes.length));
  expect(splitFrames(bytes)?.map(digest)).toEqual(
    (await Promise.all([0, 1, 2].map((n) => shard(log).frame(n)))).map(digest),
  );
  const head = await get(`/${log}/frames/0-2`, { method: "HEAD" });
  expect([head.status, head.headers.get("content-length")]).toEqual([200, String(bytes.length)]);
  for (const other of ["0-1", "1-2", "4-4", "0-3"])
    expect((await seen(`/${log}/frames/${other}`))[0], other).toBe(404);
  expect(shards.slice(asked).filter(({ method }) => method !== "frame")).toEqual([]);
});

test("a flood from one network is refused for a while, before any object or R2 is asked; a different network reads on", async () => {
  const keys: string[] = [];
  const calls = {
    limit: ({ key }: { readonly key: string }) => {
      keys.push(key);
      return Promise.resolve({ success: keys.filter((other) => other === key).length <= 2 });
    },
  };
  const door = new LedgerDoor({ ...bindings, PUBLIC_READS: calls });
  const log = ownLog();
  const ask = (address: string) =>
    door.serve(
      new Request(`https://ledger.test/${log}/checkpoint`, { headers: { "cf-connecting-ip": address } }),
    );
  for (const address of ["192.0.2.1", "192.0.2.2"]) expect((await ask(address)).status).toBe(200);
  const shards = watched("LEDGER_SHARD");
  const refused = await ask("192.0.2.3");
  expect([refused.status, refused.headers.get("retry-after"), refused.headers.get("content-type")]).toEqual([
    429,
    "60",
    "application/problem+json",
  ]);
  expect(shards).toEqual([]);
  expect((await ask("198.51.100.1")).status).toBe(200);
  expect(new Set(keys)).toEqual(new Set(["ledger 192.0.2", "ledger 198.51.100"]));
});

test("reads that only the object can answer have their own limit: objects in R2 and checkpoints are still served", async () => {
  const log = ownLog();
  for (let i = 0; i < 3; i++) await fill(log, 254);
  await flush(log);
  await fill(log, 5);
  const none = { limit: () => Promise.resolve({ success: false }) };
  const door = new LedgerDoor({ ...bindings, OBJECT_READS: none });
  const ask = async (path: string) => {
    const { status, headers } = await door.serve(new Request(`https://ledger.test/${log}/${path}`));
    return [status, headers.get("retry-after")];
  };
  for (const path of [
    "checkpoint",
    "tile/0/000",
    "tile/0/001.p/4",
    "tile/entries/000",
    "tile/entries/001.p/9",
    "frames/0-2",
  ])
    expect(await ask(path), path).toEqual([200, null]);
  for (const path of [
    "frame/2",
    "frame/99",
    "frames/from/0",
    "tile/0/002.p/1",
    "tile/entries/002.p/1",
    "proof/513",
  ])
    expect(await ask(path), path).toEqual([429, "60"]);
});

test("a read of the object counts once, however much of the object it needs", async () => {
  const log = ownLog();
  await fill(log, 40);
  let counted = 0;
  const counter = { limit: () => Promise.resolve({ success: (counted += 1) > 0 }) };
  const door = new LedgerDoor({ ...bindings, OBJECT_READS: counter });
  for (const [path, most] of [
    ["frame/0", 1],
    ["proof/3", 2],
    ["checkpoint", 2],
  ] as const) {
    expect((await door.serve(new Request(`https://ledger.test/${log}/${path}`))).status, path).toBe(200);
    expect(counted, path).toBe(most);
  }
});
