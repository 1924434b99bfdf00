import { join } from "node:path";
import { sampleResources } from "../data/payloads.ts";
import type { Duration } from "../options.ts";
import { redactCases, type RedactCase } from "../redact/cases.ts";
import { engineAt, timesFor, turnsOf, warmEngine, type Engine } from "../redact/group.ts";
import { compare, type Comparison, type Turn } from "./compare.ts";
import { servePart } from "./part.ts";
import { inTurn, type Version, type VersionName } from "./version.ts";

/** The CPU of a cut by the engine of the earlier commit and of this tree, case by case. */
export async function compareRedact(
  folder: string,
  trees: readonly Version[],
  duration: Duration,
  rounds: number,
): Promise<readonly Comparison[]> {
  const engines = new Map<VersionName, Engine>();
  for (const { name, tree } of trees) {
    const part = await servePart(tree, "redact", { folder: join(folder, `redact-${name}`) });
    engines.set(name, engineAt(part.facts.url ?? "", part));
  }
  const comparisons: Comparison[] = [];
  for (const one of redactCases(await sampleResources())) {
    console.error(`${one.id} …`);
    comparisons.push(
      compare(one.id, "µs", await turnsIn(engines, one, duration, rounds * turnsOf[duration])),
    );
  }
  return comparisons;
}

async function turnsIn(
  engines: ReadonlyMap<VersionName, Engine>,
  one: RedactCase,
  duration: Duration,
  count: number,
): Promise<readonly Turn[]> {
  for (const engine of engines.values()) {
    await engine.load(one);
    await warmEngine(engine, "engine", duration);
  }
  // The same number of cuts for each: a turn is as long for all.
  const times = await timesFor([...engines.values()][0] ?? fail(), "engine", duration);
  const turns: Turn[] = [];
  for (let turn = 0; turn < count; turn++)
    turns.push(await inTurn(turn, (name) => (engines.get(name) ?? fail()).time("engine", times)));
  return turns;
}

const fail = (): never => {
  throw new Error("an engine has not been started");
};
