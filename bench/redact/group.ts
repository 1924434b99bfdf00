import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { sampleResources } from "../data/payloads.ts";
import { median } from "../median.ts";
import { ratioOf, type Measure } from "../measures.ts";
import type { Duration } from "../options.ts";
import { inTurns, pairsOf, type RoundsOf } from "../rounds.ts";
import {
  formHows,
  formRows,
  hiddenCode,
  redactRows,
  redactSubjects,
  type RedactRow,
  type RedactSubject,
  type RedactWork,
  type SubjectName,
} from "./cases.ts";
import { startRedactWorker, type RedactWorker } from "./worker.ts";

interface Pace {
  /** CPU microseconds of a slice: long beside the request that orders it. */
  readonly sliceMicros: number;
  /** CPU microseconds of each work before the first round: the runtime compiles what runs often. */
  readonly warmMicros: number;
  /** Slices of each work in a round of the benchmark. */
  readonly turns: number;
}
const paces: Readonly<Record<Duration, Pace>> = {
  full: { sliceMicros: 60_000, warmMicros: 600_000, turns: 5 },
  quick: { sliceMicros: 30_000, warmMicros: 300_000, turns: 4 },
  short: { sliceMicros: 1_000, warmMicros: 0, turns: 1 },
};

/**
 * The speed of the disclosure engine in raw workerd: bytes of an origin's answer in, bytes that may leave out,
 * with every check and capture, by `Discloser` as the gateway calls it. It is compared with decoding, JSON.parse,
 * JSON.stringify and encoding of the same bytes; and a policy with lists of codes, or Consents, with none.
 */
export async function runRedactGroup(
  folder: string,
  duration: Duration,
  rounds: number,
): Promise<readonly Measure[]> {
  const roots = [join(import.meta.dirname, "../..")];
  const [own = []] = await redactRounds(folder, duration, rounds, roots, [...redactRows, ...formRows]);
  return own.map(({ id, pairs }) => ratioOf(id, pairs));
}

/**
 * The rounds of each figure, for each source tree: every slice of one tree's Worker is followed by the same slice of
 * the next tree's. A tree's own `bench/redact/redact-worker.ts` calls its engine; the subjects are of this tree.
 */
export async function redactRounds(
  folder: string,
  duration: Duration,
  rounds: number,
  roots: readonly string[],
  rows: readonly RedactRow[],
): Promise<readonly (readonly RoundsOf[])[]> {
  const byName = new Map(rows.flatMap((row) => row.works).map((work) => [nameOf(work), work]));
  // Each work once, also if several figures use it.
  const works = [...byName.keys()];
  const subjects = redactSubjects(await sampleResources());
  const workers: Side[] = [];
  for (const [n, root] of roots.entries()) {
    const place = join(folder, `redact-${n}`);
    mkdirSync(place);
    workers.push(new Side(await startRedactWorker(place, root)));
  }
  for (const { worker } of workers) {
    await loadAndCheck(worker, subjects);
    if (rows !== redactRows) await checkForms(worker);
  }
  const { turns, ...pace } = paces[duration];
  for (const [name, work] of byName) for (const side of workers) await side.warm(name, work, pace);
  const found = await inTurns(rounds * turns, workers, works, (side, work) => side.slice(work));
  for (const { worker } of workers) await worker.close();
  return found.map((turnsOfSide) =>
    rows.map(({ id, by, works: [first, second] }) => ({
      id,
      // CPU time, or speed in runs a CPU second
      pairs: pairsOf(turnsOfSide, [nameOf(first), nameOf(second)], (micros) =>
        by === "cpu" ? micros : 1_000_000 / micros,
      ),
    })),
  );
}

const nameOf = ({ subject, how }: RedactWork) => `${subject} ${how}`;

/** The Worker of one source tree, with the number of runs that make a slice of each work. */
class Side {
  readonly worker: RedactWorker;
  readonly #slices = new Map<string, { readonly work: RedactWork; readonly times: number }>();

  constructor(worker: RedactWorker) {
    this.worker = worker;
  }

  async warm(
    name: string,
    work: RedactWork,
    { sliceMicros, warmMicros }: Omit<Pace, "turns">,
  ): Promise<void> {
    let [times, spent] = [1, 0];
    const last: number[] = [];
    do {
      const each = await this.worker.cpuMicros(work, times);
      spent += each * times;
      last.push(each);
      // the growth is bounded, since the kernel may count no time for a short slice
      times = Math.min(2 * times, Math.max(1, Math.round(sliceMicros / median(last.slice(-3)))));
    } while (spent < Math.max(warmMicros, sliceMicros));
    this.#slices.set(name, { work, times });
  }

  /** CPU microseconds of one run. */
  slice(name: string): Promise<number> {
    const slice = this.#slices.get(name);
    if (slice === undefined) throw new Error(`${name} is not warm`);
    return this.worker.cpuMicros(slice.work, slice.times);
  }
}

type Subjects = Readonly<Record<SubjectName, RedactSubject>>;

async function loadAndCheck(worker: RedactWorker, subjects: Subjects): Promise<void> {
  for (const [name, subject] of Object.entries(subjects)) await worker.load(name, subject);
  const bytes = (subject: SubjectName, how: RedactWork["how"] = "engine") => worker.bytesOf({ subject, how });
  for (const subject of ["2k", "60k", "1500k"] as const) {
    const share = (await bytes(subject)).length / subjects[subject].body.length;
    // The lists of the views are made for Synthea's resources; the project's own have longer narratives.
    if (share < 0.35 || share > 0.7) throw new Error(`${subject}: ${share} of the bytes leave, not 0.6`);
  }
  checkAllShown(subjects["keep-all-60k"], await bytes("keep-all-60k"));
  if ((await bytes("1500k", "windows")) !== (await bytes("1500k")))
    throw new Error("the bytes depend on the pieces in which the body arrives");
  if ((await bytes("60k-consented")) !== (await bytes("60k")))
    throw new Error("the Consent and the labels change the answer");
  for (const subject of Object.keys(subjects) as SubjectName[]) {
    if (!/^(?:codes|consents)-/u.test(subject)) continue;
    const all = resourcesOf(await bytes(subject.endsWith("distinct") ? "distinct" : "laboratory"));
    const others = all.filter((row) => !JSON.stringify(row).includes(hiddenCode));
    if (others.length === all.length) throw new Error(`${subject}: no row has the code to keep back`);
    const expected = subject === "consents-0" ? all : others;
    if (!isDeepStrictEqual(resourcesOf(await bytes(subject)), expected))
      throw new Error(`${subject}: the rows that leave are not all but those with the code`);
  }
}

async function checkForms(worker: RedactWorker): Promise<void> {
  const rowsOf = async (how: RedactWork["how"]) =>
    resourcesOf(await worker.bytesOf({ subject: "keep-all-60k", how }));
  const shown = await rowsOf("engine");
  for (const how of formHows) {
    const left = await rowsOf(how);
    const text = JSON.stringify(left);
    if (left.length !== shown.length || !text.includes("SUBSETTED") || text.includes("display"))
      throw new Error(`${how}: the rows are not in their form`);
  }
}

interface Bundle {
  readonly entry: readonly { readonly resource: unknown }[];
}
const resourcesOf = (text: string): readonly unknown[] => {
  const bundle: Bundle = JSON.parse(text);
  return bundle.entry.map(({ resource }) => resource);
};

/** A view that shows everything leaves each byte. */
function checkAllShown({ body, originBase }: RedactSubject, out: string): void {
  if (out.includes(originBase) || !isDeepStrictEqual(resourcesOf(body), resourcesOf(out)))
    throw new Error("the engine changes what it should keep");
}
