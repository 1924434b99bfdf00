import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PayloadName } from "../data/payloads.ts";
import { startGenerator } from "../load/order.ts";
import { checkAnswers } from "../requests/check.ts";
import { startOriginAndPhylax } from "../requests/group.ts";
import { textTable } from "../text-table.ts";
import { deployedBundle, deployedWorkers } from "../workerd/bundles.ts";
import { serviceOf } from "../workerd/deployed-worker.ts";
import { isolatesAt } from "./inspector.ts";
import { canSampleProcesses, flagsForPerf, sampleProcess, samplesByCaller, stacksOf } from "./native.ts";
import { filesOf, samplesByRoom, type Files } from "./rooms.ts";

const connections = 32;
const [warmSeconds, seconds] = [2, 8];
const profiled: ReadonlySet<PayloadName> = new Set(["2k", "60k", "half"]);
const [roomsShown, functionsShown] = [25, 30];

/**
 * Profiles every isolate of Phylax under a closed loop of 32 connections, payload by payload. Writes a V8 CPU
 * profile for each isolate to `<out>/<payload>-<service>.cpuprofile`, and the shares by room and function to
 * `<out>/<payload>.txt`. Where perf can sample, `<out>/<payload>-process.txt` has the shares of the whole
 * process, with the runtime's work. Returns the text. The bundles are not minified, so that the names are the sources'.
 */
export async function profilePhylax(folder: string, out: string): Promise<string> {
  mkdirSync(out, { recursive: true });
  const bundles = join(folder, "bundles");
  const isSampled = canSampleProcesses();
  const { data, origin, phylax } = await startOriginAndPhylax(folder, {
    bundles,
    form: "readable",
    isInspected: true,
    v8Flags: isSampled ? flagsForPerf : [],
  });
  const files = new Map<string, Files>();
  const sources = new Map<string, Files>();
  for (const worker of deployedWorkers) {
    const entry = await deployedBundle(worker, bundles, "readable");
    files.set(serviceOf(worker), filesOf(entry));
    sources.set(worker, filesOf(entry));
  }
  const isolates = await isolatesAt(phylax.inspectorPort ?? 0);
  const generator = await startGenerator();
  const texts: string[] = [];
  for (const payload of data.payloads.filter(({ name }) => profiled.has(name))) {
    const { peer } = phylax;
    const paths = (await checkAnswers([peer], payload, origin)).get(peer) ?? [];
    const order = { target: peer.target, paths, headers: await peer.headers("hot"), connections };
    await generator.run({ ...order, seconds: warmSeconds });
    const before = peer.process.cpuMicros();
    for (const isolate of isolates) await isolate.start();
    const { answers, wrong } = await generator.run({ ...order, seconds });
    if (wrong > 0) throw new Error(`${wrong} wrong answers to ${payload.name}`);
    const found = [];
    for (const isolate of isolates) {
      const profile = await isolate.stop();
      writeFileSync(join(out, `${payload.name}-${isolate.name}.cpuprofile`), JSON.stringify(profile));
      found.push({ name: isolate.name, ...samplesByRoom(profile, files.get(isolate.name) ?? []) });
    }
    const micros = (peer.process.cpuMicros() - before) / answers;
    const text = `${payload.name}: ${answers} answers, ${micros.toFixed(0)} CPU µs each while profiled\n\n${tables(found)}`;
    writeFileSync(join(out, `${payload.name}.txt`), `${text}\n`);
    texts.push(text);
    if (!isSampled) continue;
    const loaded = generator.run({ ...order, headers: await peer.headers("hot"), seconds: seconds + 1 });
    const samples = join(folder, `${payload.name}.perf`);
    await sampleProcess(phylax.process.child.pid ?? 0, seconds, samples);
    await loaded;
    const whole = `${payload.name}, the whole process by perf\n\n${wholeTables(stacksOf(samples), sources)}`;
    writeFileSync(join(out, `${payload.name}-process.txt`), `${whole}\n`);
    texts.push(whole);
  }
  for (const isolate of isolates) isolate.close();
  return texts.join("\n\n");
}

/** Shares of all samples of the process, with all of its threads. */
function wholeTables(stacks: ReturnType<typeof stacksOf>, sources: ReadonlyMap<string, Files>): string {
  const { rooms, functions } = samplesByCaller(stacks, sources);
  const top = (counts: ReadonlyMap<string, number>, most: number) =>
    [...counts]
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, most)
      .map(([name, samples]) => [name, `${((100 * samples) / stacks.length).toFixed(1)} %`]);
  return [
    [["room, with the runtime's work for it", "share"], ...top(rooms, roomsShown)],
    [["function, with the runtime's work for it", "share"], ...top(functions, functionsShown)],
  ]
    .map(textTable)
    .join("\n\n");
}

type Found = ReturnType<typeof samplesByRoom> & { readonly name: string };

/** Shares of all samples of all isolates that were not idle. */
function tables(found: readonly Found[]): string {
  const all = found.reduce((sum, { busy }) => sum + busy, 0);
  const share = (samples: number) => `${((100 * samples) / all).toFixed(1)} %`;
  const top = (select: (one: Found) => ReadonlyMap<string, number>, most: number) =>
    found
      .flatMap((one) => Array.from(select(one), ([name, samples]) => ({ isolate: one.name, name, samples })))
      .toSorted((a, b) => b.samples - a.samples)
      .slice(0, most)
      .map(({ isolate, name, samples }) => [`${isolate} ${name}`, share(samples)]);
  return [
    [["isolate", "share"], ...found.map(({ name, busy }) => [name, share(busy)])],
    [["room", "self"], ...top(({ rooms }) => rooms, roomsShown)],
    [["function", "self"], ...top(({ functions }) => functions, functionsShown)],
  ]
    .map(textTable)
    .join("\n\n");
}
