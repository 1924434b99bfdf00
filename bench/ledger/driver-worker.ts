// Calls an object as fast as a number of callers can, each of which waits for its answer. The driver is in
// the measured runtime, so no socket is measured.
import { eventsText, readAnswerText } from "#platform/ledger/append-text";
import { withNames } from "#platform/ledger/client/definitions";
import { appendOf, reservedAppendOf } from "./events.ts";
import type { Ask, AskOutcome } from "./asks.ts";
import type { CountedRoot, CountedShard, CountedShelf, LedgerShard } from "./ledger-worker.ts";
import type { BareLog, RowLog } from "./peer-worker.ts";

interface Env {
  readonly LEDGER_SHARD: DurableObjectNamespace<LedgerShard>;
  readonly COUNTED_SHARD: DurableObjectNamespace<CountedShard>;
  readonly COUNTED_ROOT: DurableObjectNamespace<CountedRoot>;
  readonly COUNTED_SHELF: DurableObjectNamespace<CountedShelf>;
  readonly ROW_LOG: DurableObjectNamespace<RowLog>;
  readonly BARE_LOG: DurableObjectNamespace<BareLog>;
  readonly PLAIN_BUCKET: R2Bucket;
}

export default {
  async fetch(request, env) {
    const ask: Ask = await request.json();
    return Response.json(await carryOut(ask, env));
  },
} satisfies ExportedHandler<Env>;

function carryOut(ask: Ask, env: Env): Promise<unknown> {
  switch (ask.kind) {
    case "append":
      return load(ask, appender(ask, env));
    case "serve":
      return load(ask, server(ask, env));
    case "status":
      return env.LEDGER_SHARD.getByName(ask.log).status();
    case "settle":
      return env.LEDGER_SHARD.getByName(ask.log).settle();
    case "count-shelf":
      return env.COUNTED_SHELF.getByName("5e1").countLines(ask.lines);
    case "count":
      return count(ask, env);
  }
}

/** The `n`th call. True when its answer was correct. */
type Call = (n: number) => Promise<boolean>;

function appender({ peer, append, log, run }: Extract<Ask, { kind: "append" }>, env: Env): Call {
  const events = (n: number) => appendOf(append, run, n, Date.now());
  const isPlace = ({ number }: { readonly number: number }) => number > 0;
  switch (peer) {
    case "ledger": {
      const shard = env.LEDGER_SHARD.getByName(log);
      return async (n) => {
        const { events: named, definitions } = withNames(reservedAppendOf(append, run, n, Date.now()));
        const contents = [...definitions.values()].map(({ content }) => content);
        const text = eventsText(named); // as the gateway sends it
        const first = readAnswerText(await shard.appendText(text));
        // At the start of the log alone: it lacks the definition.
        const answer =
          first === "definition missing"
            ? readAnswerText(await shard.appendText(text, undefined, contents))
            : first;
        return typeof answer === "object" && answer.log === log; // "counted" and "replayed" are no records
      };
    }
    case "row": {
      const row = env.ROW_LOG.getByName(log);
      return async (n) => isPlace(await row.append(events(n)));
    }
    case "bare": {
      const bare = env.BARE_LOG.getByName(log);
      return async (n) => isPlace(await bare.append(events(n)));
    }
    case "r2":
      return async (n) =>
        (await env.PLAIN_BUCKET.put(`${log}/${run}/${n}`, JSON.stringify(events(n)))) !== null;
  }
}

function server({ what, log, size }: Extract<Ask, { kind: "serve" }>, env: Env): Call {
  const shard = env.LEDGER_SHARD.getByName(log);
  const bundles = Math.floor(size / 256);
  switch (what) {
    case "checkpoint":
      return async () => (await shard.checkpoint()) !== undefined;
    case "proof":
      return async (n) => (await shard.proof((n * 7_919) % size)) !== undefined; // a prime: all over the log
    case "tile":
      return async (n) => (await shard.tile(0, n % bundles, 256)) !== undefined;
    case "entries":
      return async (n) => (await shard.entries(n % bundles, 256)) !== undefined;
  }
}

async function load(
  { callers, milliseconds }: { callers: number; milliseconds: number },
  call: Call,
): Promise<AskOutcome> {
  const took: number[] = [];
  let [next, wrong] = [0, 0];
  const begun = Date.now(); // the clock stands still except at I/O, and each call is I/O
  const until = begun + milliseconds;
  const caller = async () => {
    for (let since = begun; since < until;) {
      if (!(await call(next++))) wrong += 1;
      const now = Date.now();
      took.push(now - since);
      since = now;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const seconds = (Date.now() - begun) / 1000;
  const sorted = Float64Array.from(took).sort();
  const quantile = (q: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
  return {
    answers: took.length - wrong,
    wrong,
    seconds,
    p50Milliseconds: quantile(0.5),
    p99Milliseconds: quantile(0.99),
  };
}

/** Frames of a given number of appends each, then the work that follows them. */
async function count(
  { append, log, run, perFrame, frames }: Extract<Ask, { kind: "count" }>,
  env: Env,
): Promise<unknown> {
  const [shard, root] = [env.COUNTED_SHARD.getByName(log), env.COUNTED_ROOT.getByName("root")];
  const frame = (number: number) =>
    shard.appendAtOnce(
      Array.from({ length: perFrame }, (_, i) =>
        reservedAppendOf(append, run, number * perFrame + i, Date.now()),
      ),
    );
  await frame(0); // opens the log, creates tables, introduces a key
  await shard.settle();
  await root.settle();
  await shard.counts();
  for (let number = 1; number <= frames; number++) await frame(number);
  const appended = await shard.counts();
  await shard.settle();
  const settled = await shard.counts();
  await root.settle();
  return { appended, settled, rooted: await root.counts() };
}
