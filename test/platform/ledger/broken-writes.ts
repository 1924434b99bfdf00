import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { ROOT_LOG } from "#ledger/root-log";
import { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import { originOf } from "./bucket.ts";
import { ledger, shard } from "./worker.ts";

/** The writes that make a record provable, in their order. */
export const writes = [
  "frame insert",
  "disk",
  "stage",
  "bundle PUT",
  "tile0 PUT",
  "tile1 PUT",
  "checkpoint publish",
  "root append",
] as const;
export type Write = (typeof writes)[number];
/** Two kinds of error: the write was not done, or it was done. */
export const losses = ["lost", "persisted, but an error"] as const;
export type Loss = (typeof losses)[number];

const fault = () => new Error("made to fail by the test");

/** Microtasks after which an append that waits has its answer from the log's own code. */
const ANSWERED_BY = 20;

/**
 * Makes the next write of this kind by the running object fail, once. It breaks the object's own storage,
 * which ends with the object, or a binding, which `mend` repairs. `hit`: true when a write failed. A lost disk
 * write ends the object `microtasks` after its transaction.
 */
export async function breakNext(
  log: string,
  write: Write,
  loss: Loss,
  microtasks = ANSWERED_BY,
): Promise<{ readonly hit: () => boolean; readonly mend: () => void }> {
  const broken = { hit: false };
  const once = (): boolean => !broken.hit && (broken.hit = true);
  if (write === "root append") breakRoot(once, loss);
  else if (write in keys) breakPut(keyOf(write, log), once, loss);
  else
    await runInDurableObject(shard(log), (_, state) => {
      if (write === "frame insert") breakInsert(state, once, loss);
      if (write === "disk") breakDisk(state, once, loss, microtasks);
      if (write === "stage") breakPlan(state, once, loss);
    });
  return {
    hit: () => broken.hit,
    mend() {
      Reflect.deleteProperty(ledger.LEDGER_BUCKET, "put");
      Reflect.deleteProperty(ledger.LEDGER_ROOT, "getByName");
    },
  };
}

/** Starts the object anew from its stored rows. */
export async function reload(log: string): Promise<void> {
  await scheduler.wait(50); // an object that is about to end does so first
  await evictDurableObject(shard(log)).catch(() => undefined); // a broken object has ended already
}

function breakInsert(state: DurableObjectState, once: () => boolean, loss: Loss): void {
  const { storage } = state;
  const exec = storage.sql.exec.bind(storage.sql);
  if (loss === "lost") {
    storage.sql.exec = ((query: string, ...values: unknown[]) => {
      if (query.startsWith("INSERT INTO frames") && once()) throw fault();
      return exec(query, ...values);
    }) as typeof exec; // generic in its rows, which this leaves unchanged
    return;
  }
  failAfterDisk(state, once);
}

/** The disk has a commit, and the object ends before its answer leaves. */
function failAfterDisk(state: DurableObjectState, once: () => boolean): void {
  const { storage } = state;
  const abort = state.abort.bind(state);
  onCommit(storage, once, () => {
    // The object is torn down only after the disk has its writes: the test needs this case.
    state.abort = (reason) => void storage.sync().then(() => abort(reason));
    throw fault();
  });
}

/** Acts right after the next commit's rows are in their transaction, which the disk does not have yet. */
function onCommit(storage: DurableObjectStorage, once: () => boolean, act: () => void): void {
  const transactionSync = storage.transactionSync.bind(storage);
  storage.transactionSync = (run) => {
    const before = frames(storage);
    const done = transactionSync(run);
    if (frames(storage) > before && once()) act();
    return done;
  };
}

function frames({ sql }: DurableObjectStorage): number {
  if (sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'frames'").toArray().length === 0) return 0;
  return sql.exec<{ n: number }>("SELECT count(*) AS n FROM frames").one().n;
}

/**
 * The log's own code goes on as if all were well: the runtime alone keeps its answers back. No line of the
 * object runs after `abort`, so the code gets some microtasks for its answer. They end before the disk has the
 * rows, because the runtime commits in a later turn of its event loop.
 */
function breakDisk(state: DurableObjectState, once: () => boolean, loss: Loss, microtasks: number): void {
  if (loss === "lost") onCommit(state.storage, once, () => void abortAfter(state, microtasks));
  else failAfterDisk(state, once);
}

async function abortAfter(state: DurableObjectState, microtasks: number): Promise<void> {
  for (let i = 0; i < microtasks; i++) await Promise.resolve();
  state.abort("made to end by the test before the disk has it");
}

/** Watches the answers of the log's own code to appends, which the runtime may still keep back. */
export async function watchAnswers(
  log: string,
): Promise<{ readonly positions: () => number; readonly end: () => void }> {
  let positions = 0;
  const end = await runInDurableObject(shard(log), (object) => {
    const shared = LedgerShard.prototype; // a call from outside finds the methods of the class alone
    if (!(object instanceof LedgerShard)) throw new Error("no log");
    // oxlint-disable-next-line typescript/unbound-method -- it gets the `this` of each call
    const { append } = shared;
    shared.append = async function watched(...given) {
      const answer = await append.apply(this, given);
      if (typeof answer !== "string") positions += 1;
      return answer;
    };
    return () => void (shared.append = append);
  });
  return { positions: () => positions, end };
}

/** The row that says what a flush will do. The row that says it is done has no note. */
function breakPlan({ storage }: DurableObjectState, once: () => boolean, loss: Loss): void {
  const exec = storage.sql.exec.bind(storage.sql);
  storage.sql.exec = ((query: string, ...values: unknown[]) => {
    const isPlan = query.startsWith("INSERT OR REPLACE INTO flush") && values.at(-1) !== null && once();
    if (isPlan && loss === "lost") throw fault();
    const rows = exec(query, ...values);
    if (isPlan) throw fault();
    return rows;
  }) as typeof exec; // like the cast above
}

const keys: Partial<Record<Write, string>> = {
  "bundle PUT": "/tile/entries/",
  "tile0 PUT": "/tile/0/",
  "tile1 PUT": "/tile/1/",
  "checkpoint publish": "",
};
const keyOf = (write: Write, log: string): string =>
  write === "checkpoint publish" ? `checkpoint/${originOf(log)}` : `log/${originOf(log)}${keys[write] ?? ""}`;

function breakPut(prefix: string, once: () => boolean, loss: Loss): void {
  const bucket = ledger.LEDGER_BUCKET;
  const put = bucket.put.bind(bucket) as (key: string, ...rest: unknown[]) => Promise<R2Object | null>;
  bucket.put = (async (key: string, ...rest: unknown[]) => {
    const isHit = key.startsWith(prefix) && once();
    if (isHit && loss === "lost") throw fault();
    const done = await put(key, ...rest);
    if (isHit) throw fault();
    return done;
  }) as typeof bucket.put; // overloaded by its options, which this leaves unchanged
}

function breakRoot(once: () => boolean, loss: Loss): void {
  const namespace = ledger.LEDGER_ROOT;
  const getByName = namespace.getByName.bind(namespace);
  const rootStub = {
    open: (...given: Parameters<ReturnType<typeof getByName>["open"]>) => getByName(ROOT_LOG).open(...given),
    async add(...given: Parameters<ReturnType<typeof getByName>["add"]>) {
      const isHit = once();
      if (isHit && loss === "lost") throw fault();
      const taken = await getByName(ROOT_LOG).add(...given);
      if (isHit) throw fault();
      return taken;
    },
  };
  namespace.getByName = (() => rootStub) as unknown as typeof getByName; // the two calls that a log makes
}
