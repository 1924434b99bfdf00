import type { KeyList } from "#kernel/key-list";
import { type AccountingIntake, intakeOf, intakeNamed, intakePartOf } from "./accounting-intake.ts";
import { type AccountingShelf, shelfNamed } from "./accounting-shelf.ts";
import type { StubOf } from "#platform/ledger/client/stubs";
import { type LineRow, LineRows, LineOpener } from "./line-rows.ts";
import { type PackedLines, packRows } from "./packed-lines.ts";
import { type Ended, type LineCall, putLines } from "./put-lines.ts";
import { provableLine, WaitingLeaf, type WaitingLine } from "./waiting-lines.ts";
import { log } from "#platform/log";
import { turn } from "#platform/paced-calls";

/** "other": a shelf has a different line in the place of a line. */
export type Drained = "done" | "more" | "failed" | "other";

/** The objects that take lines. */
export interface LineReceivers {
  readonly shelves: StubOf<Pick<DurableObjectStub<AccountingShelf>, "put">>;
  readonly intakes: StubOf<Pick<DurableObjectStub<AccountingIntake>, "put">>;
}

interface Put {
  readonly calls: number;
  readonly ended: Ended;
}

const CALLS_MAX = 600; // of the thousand calls that an invocation may make
// If lines are for more shelves than there are intakes, they go to the intakes: at most 64 calls, however
// many patients are named.
const SHELVES_MAX = 64;
// About a millisecond each: the longest that appends wait for a drain.
const LINES_A_TURN = 200; // proven
const ROWS_A_TURN = 150; // opened
const OPENED_A_TURN = 1_500; // lines of them
const HURRY_BYTES = 1_048_576; // from this size on, a drain comes early

/**
 * Takes the lines that commits left in a shard to their shelves, or first to the intakes when they are for
 * many shelves. A row is deleted only after all its lines are stored there durably. A crash in between
 * brings them there again, which succeeds.
 */
export class LedgerDrain {
  readonly #storage: DurableObjectStorage;
  readonly #rows: LineRows;
  readonly #accountingKeys: KeyList;
  readonly #origin: string;
  readonly #log: string;
  readonly #receivers: LineReceivers;
  readonly #callsMax: number;
  /**
   * The objects that already have all lines of the frames up to `last`. If this is lost, they are put again,
   * which succeeds.
   */
  #begun: { readonly last: number; readonly done: Set<string> } | undefined;
  #waitingBytes = 0; // since this object started

  constructor(
    storage: DurableObjectStorage,
    { accountingKeys, name }: { readonly accountingKeys: KeyList; readonly name: string },
    log: string,
    receivers: LineReceivers,
    callsMax = CALLS_MAX,
  ) {
    this.#callsMax = callsMax;
    this.#storage = storage;
    this.#rows = new LineRows(storage.sql);
    this.#accountingKeys = accountingKeys;
    this.#origin = `${name}/${log}`;
    this.#log = log;
    this.#receivers = receivers;
  }

  /** The number of the oldest frame whose lines are still here. */
  get waitingFrame(): number | undefined {
    return this.#rows.oldest();
  }

  /**
   * Counts a commit's bytes of lines. True when this commit makes so many bytes wait that the drain should
   * come soon.
   */
  committed(bytes: number): boolean {
    const before = this.#waitingBytes;
    this.#waitingBytes += bytes;
    return before < HURRY_BYTES && this.#waitingBytes >= HURRY_BYTES;
  }

  /**
   * Drains all lines that wait when it begins, or as many as an alarm may. Later lines wait for the next
   * drain: alone, they would need as many calls. Never throws.
   */
  async run(): Promise<Drained> {
    this.#waitingBytes = 0;
    try {
      const newest = this.#rows.newest() ?? -1;
      for (let calls = 0; ;) {
        const last = this.#begun?.last ?? newest;
        // no rows that came since a part was put
        const rows = this.#rows.from(0, last);
        if (rows.length === 0) return this.#waitingBytes < HURRY_BYTES ? "done" : "more";
        if (calls >= this.#callsMax) return "more";
        this.#begun ??= { last: rows.at(-1)?.frame ?? 0, done: new Set() };
        const put = await this.#put(await this.#linesOf(rows), this.#begun.done);
        calls += put.calls;
        if (put.ended !== "kept") return put.ended === "other" ? "other" : this.#failed();
        this.#begun = undefined;
        this.#storage.transactionSync(() => this.#rows.removeUpTo(rows.at(-1)?.frame ?? 0));
      }
    } catch {
      return this.#failed();
    }
  }

  /** Copies all lines for these shelves to the shelves, before they are read. Throws when that fails. */
  async shelve(shelves: readonly string[]): Promise<void> {
    const meant = new Set(shelves);
    for (
      let rows = this.#rows.from(0);
      rows.length > 0;
      rows = this.#rows.from((rows.at(-1)?.frame ?? 0) + 1)
    ) {
      const lines = (await this.#linesOf(rows)).filter(({ shelf }) => meant.has(shelfNamed(shelf)));
      const { ended } = await this.#putOnShelves(lines, new Set());
      if (ended !== "kept") throw new Error("ledger: the lines are not on their accounting shelves");
    }
  }

  #failed(): "failed" {
    log({ event: "accounting_drain_failed", log: this.#log });
    return "failed";
  }

  /**
   * Puts lines on their shelves when these are few, and in the intakes otherwise: in 64 calls, or as many as
   * the bytes need. Lines for a shelf that does not answer go to its intake as well, so that they delay no
   * other shelf's lines.
   */
  async #put(lines: readonly WaitingLine[], done: Set<string>): Promise<Put> {
    const shelves = new Set(lines.map(({ shelf }) => shelf));
    const direct = shelves.size > SHELVES_MAX ? undefined : await this.#putOnShelves(lines, done);
    if (direct !== undefined && direct.ended !== "failed") return direct;
    const left = done.size === 0 ? lines : lines.filter(({ shelf }) => !done.has(shelfNamed(shelf)));
    const { calls, ended } = await this.#putInIntakes(left, done);
    return { calls: calls + (direct?.calls ?? 0), ended };
  }

  #putOnShelves(lines: readonly WaitingLine[], done: Set<string>): Promise<Put> {
    const byShelf = Map.groupBy(lines, ({ shelf }) => shelfNamed(shelf));
    return put(byShelf, done, async (name, some) => {
      const proven = await this.#inTurns(some, provableLine);
      return () => this.#receivers.shelves(name).put(proven);
    });
  }

  #putInIntakes(lines: readonly WaitingLine[], done: Set<string>): Promise<Put> {
    const byIntake = Map.groupBy(lines, ({ shelf }) => intakeNamed(intakeOf(shelf)));
    return put(byIntake, done, async (name, some) => {
      const packed = await this.#packed(some);
      return () => this.#receivers.intakes(name).put(packed);
    });
  }

  async #packed(lines: readonly WaitingLine[]): Promise<PackedLines> {
    const proven = await this.#inTurns(lines, ({ leaf, line, shelf }) => ({
      part: intakePartOf(shelf),
      row: leaf.proven(line),
    }));
    const parts = Array.from(
      Map.groupBy(proven, ({ part }) => part),
      ([part, some]) => ({ part, rows: packRows(some.map(({ row }) => row)) }),
    );
    return { log: this.#log, parts };
  }

  async #inTurns<T>(lines: readonly WaitingLine[], prove: (line: WaitingLine) => T): Promise<readonly T[]> {
    const proven: T[] = [];
    for (const line of lines) {
      if (proven.length > 0 && proven.length % LINES_A_TURN === 0) await turn();
      proven.push(prove(line));
    }
    return proven;
  }

  async #linesOf(rows: readonly LineRow[]): Promise<readonly WaitingLine[]> {
    const opener = new LineOpener(this.#accountingKeys, this.#origin);
    const lines: WaitingLine[] = [];
    let [opened, before] = [0, 0];
    for (const row of rows) {
      if (opened >= ROWS_A_TURN || lines.length - before >= OPENED_A_TURN) {
        await turn();
        [opened, before] = [0, lines.length];
      }
      for (const leaf of await opener.openLines(row))
        for (const line of new WaitingLeaf(this.#log, leaf).lines()) lines.push(line);
      opened += 1;
    }
    return lines;
  }
}

/**
 * Puts lines that are not stored yet. `done`: names of the receivers that stored all their lines; new names
 * are added.
 */
async function put(
  byName: ReadonlyMap<string, readonly WaitingLine[]>,
  done: Set<string>,
  prepare: (name: string, lines: readonly WaitingLine[]) => Promise<LineCall>,
): Promise<Put> {
  const left = [...byName].filter(([name]) => !done.has(name));
  const ends = new Map(left.map(([name]) => [name, new Set<Ended>()]));
  const calls = await putLines(
    left,
    ({ leaf, line }) => leaf.sizeOf(line),
    prepare,
    (name, _, ended) => ends.get(name)?.add(ended),
  );
  for (const [name, ended] of ends) if (ended.size === 1 && ended.has("kept")) done.add(name);
  const all = new Set([...ends.values()].flatMap((ended) => Array.from(ended)));
  return { calls, ended: all.has("other") ? "other" : all.has("failed") ? "failed" : "kept" };
}
