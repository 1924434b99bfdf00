// `npm run bench`: Phylax and its peers side by side on this machine (docs/performance.md explains the
// output).
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkAnswers } from "./check.ts";
import { runLedgerGroup } from "./ledger/group.ts";
import { fullPace, loads, measure, medians, shortPace, type Figure } from "./measure.ts";
import { readOptions, usage, type BenchOptions } from "./options.ts";
import { startGenerator, type Generator } from "./order.ts";
import { takePayloads, type Payload } from "./payloads.ts";
import { startFastify } from "./peers/fastify.ts";
import type { Ledger, Peer } from "./peers/peer.ts";
import { startPhylax } from "./peers/phylax.ts";
import { startDevelopmentProxy, startProxy } from "./peers/proxy.ts";
import { endAll, start } from "./process.ts";
import { report, table, type Report, type RequestsFound } from "./report.ts";

const options = readOptions(process.argv.slice(2));
if (!options.ok || !existsSync("/proc/self/stat")) {
  console.error(
    options.ok ? "CPU time is read from /proc: the benchmark needs Linux" : `${options.error}\n${usage}`,
  );
  process.exit(2);
}
// process exit ends all started processes
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

// Next to the sources, not in the folder for temporary files: that folder may be in memory, where an fsync
// costs nothing.
const home = join(import.meta.dirname, "../.phylax");
mkdirSync(home, { recursive: true });
const folder = mkdtempSync(join(home, "bench-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

let exitCode = 1;
try {
  const found = await run(folder, options.value);
  console.log(table(found));
  if (options.value.json !== undefined)
    writeFileSync(options.value.json, `${JSON.stringify(found, undefined, 2)}\n`);
  exitCode = 0;
} catch (fault) {
  console.error(fault instanceof Error ? fault.message : fault);
}
await endAll();
process.exit(exitCode);

/** One group after another: neither works while the other is measured. */
async function run(folder: string, { isShort, rounds, groups }: BenchOptions): Promise<Report> {
  const requests = groups.includes("requests")
    ? await runRequests(folder, isShort, rounds)
    : { payloads: [], peers: [], figures: [] };
  await endAll();
  return report(
    isShort,
    rounds,
    requests,
    groups.includes("ledger") ? await runLedgerGroup(folder, isShort, rounds) : null,
  );
}

/** Starts every peer, measures round by round, and checks the records of the answers. */
async function runRequests(folder: string, isShort: boolean, rounds: number): Promise<RequestsFound> {
  let payloads: readonly Payload[] = [];
  let origin = "";
  const phylax = await startPhylax(folder, async (server) => {
    payloads = await takePayloads(server, folder);
    const { ready } = await start(
      "beside",
      [process.execPath, join(import.meta.dirname, "origin.ts"), folder],
      /^listening (?<base>\S+)/mu,
    );
    return (origin = ready["base"] ?? "");
  });
  const peers = [
    await startProxy(folder, origin),
    await startDevelopmentProxy(folder, origin),
    ...phylax.peers,
    await startFastify(folder, origin, phylax, false),
    await startFastify(folder, origin, phylax, true),
  ];
  const generator = await startGenerator();

  const lengths = new Map<Payload, ReadonlyMap<Peer, number>>();
  for (const payload of payloads) lengths.set(payload, await checkAnswers(peers, payload, origin));

  const figures: (Figure & { readonly answers: number })[] = [];
  for (let round = 1; round <= rounds; round++) {
    console.error(`round ${round} of ${rounds} …`);
    for (const [payload, lengthOf] of lengths)
      figures.push(...(await oneRound(generator, peers, payload, lengthOf, isShort)));
  }
  await checkLedgers(peers, figures);
  const answerBytes = [...lengths.values()].map((lengthOf) => Math.min(...lengthOf.values()));
  const asked = payloads.map(({ name, path, originBytes }, i) => ({
    name,
    path,
    originBytes,
    answerBytes: answerBytes[i] ?? 0,
  }));
  return { payloads: asked, peers, figures: medians(figures) };
}

/** Puts every load on every peer in turn, so that other work of the machine affects all peers alike. */
async function oneRound(
  generator: Generator,
  peers: readonly Peer[],
  payload: Payload,
  lengthOf: ReadonlyMap<Peer, number>,
  isShort: boolean,
): Promise<(Figure & { readonly answers: number })[]> {
  const figures = [];
  for (const load of loads)
    for (const peer of peers) {
      const bytes = lengthOf.get(peer) ?? 0;
      figures.push(await measure(generator, peer, payload, bytes, load, isShort ? shortPace : fullPace));
    }
  return figures;
}

/**
 * Checks that there is a record for every answer, in ledgers that verify: no peer was fast by not writing.
 */
async function checkLedgers(
  peers: readonly Peer[],
  figures: readonly { readonly peer: string; readonly answers: number }[],
): Promise<void> {
  const answersOf = new Map<Ledger, number>();
  for (const { name, ledger } of peers) {
    const answers = figures
      .filter(({ peer }) => peer === name)
      .reduce((sum, figure) => sum + figure.answers, 0);
    if (ledger !== undefined) answersOf.set(ledger, (answersOf.get(ledger) ?? 0) + answers);
  }
  for (const [ledger, answers] of answersOf) {
    const records = await ledger.records();
    if (records < answers) throw new Error(`${records} records for ${answers} answers`);
    console.error(`ledger good: ${records} records for ${answers} answers`);
  }
}
