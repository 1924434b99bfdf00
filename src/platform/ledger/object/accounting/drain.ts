import { subjectOf } from "#audit/accounting/line";
import type { KeyList } from "#kernel/key-list";
import { inclusionProof, nodeHash } from "#ledger/tlog/merkle";
import { lineCommitment, lineSalt } from "#ledger/leaf/lines";
import { type AccountingIntake, intakeNameOf } from "./accounting-intake.ts";
import { type AccountingShelf, shelfNameOf, type ProvableLine } from "./accounting-shelf.ts";
import type { LeafLines } from "#platform/ledger/object/log/key-epoch";
import type { StubOf } from "#platform/ledger/client/stubs";
import { type LineRow, LineRows, openLines } from "./line-rows.ts";
import { type LineReceiver, putLines } from "./put-lines.ts";
import { log } from "#platform/log";

/** "other": a shelf has a different line in the place of a line. */
export type Drained = "done" | "more" | "failed" | "other";

/** The objects that take lines. */
export interface LineReceivers {
  readonly shelves: StubOf<Pick<DurableObjectStub<AccountingShelf>, "put">>;
  readonly intakes: StubOf<Pick<DurableObjectStub<AccountingIntake>, "put">>;
}

interface Put {
  readonly calls: number;
  readonly ended: "kept" | "other" | "failed";
}

const CALLS_MAX = 600; // of the thousand calls that an invocation may make
// If lines are for more shelves than there are intakes, they go to the intakes: at most 64 calls, however
// many patients are named.
const SHELVES_MAX = 64;
const LINES_A_TURN = 500; // about ten milliseconds: the longest that appends wait for a drain
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

  /** Drains all waiting lines, or as many as an alarm may. Never throws. */
  async run(): Promise<Drained> {
    this.#waitingBytes = 0;
    try {
      for (let calls = 0; ;) {
        const last = this.#begun?.last ?? Number.MAX_SAFE_INTEGER;
        // no rows that came since a part was put
        const rows = this.#rows.from(0).filter(({ frame }) => frame <= last);
        if (rows.length === 0) return "done";
        if (calls >= this.#callsMax) return "more";
        this.#begun ??= { last: rows.at(-1)?.frame ?? 0, done: new Set() };
        const put = await this.#put(await this.#linesOf(rows), this.#begun.done);
        calls += put.calls;
        if (put.ended !== "kept") return put.ended === "other" ? "other" : this.#failed();
        this.#begun = undefined;
        this.#storage.transactionSync(() => this.#rows.remove(rows.map(({ frame }) => frame)));
      }
    } catch {
      return this.#failed();
    }
  }

  /** Copies all lines for these shelves to the shelves, before they are read. Throws when that fails. */
  async shelve(shelves: readonly string[]): Promise<void> {
    for (
      let rows = this.#rows.from(0);
      rows.length > 0;
      rows = this.#rows.from((rows.at(-1)?.frame ?? 0) + 1)
    ) {
      const byShelf = await this.#linesOf(rows, (shelf) => shelves.includes(shelf));
      const { ended } = await put(byShelf, this.#receivers.shelves);
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
  async #put(byShelf: ReadonlyMap<string, readonly ProvableLine[]>, done: Set<string>): Promise<Put> {
    const direct = byShelf.size > SHELVES_MAX ? undefined : await put(byShelf, this.#receivers.shelves, done);
    if (direct !== undefined && direct.ended !== "failed") return direct;
    const left = [...byShelf].filter(([shelf]) => !done.has(shelf)).flatMap(([, lines]) => lines);
    const byIntake = Map.groupBy(left, ({ subject }) => intakeNameOf(shelfNameOf(subject)));
    const { calls, ended } = await put(byIntake, this.#receivers.intakes, done);
    return { calls: calls + (direct?.calls ?? 0), ended };
  }

  /** The lines of rows, by shelf. */
  async #linesOf(
    rows: readonly LineRow[],
    isMeant: (shelf: string) => boolean = () => true,
  ): Promise<ReadonlyMap<string, readonly ProvableLine[]>> {
    const byShelf = new Map<string, ProvableLine[]>();
    let lines = 0;
    for (const row of rows) {
      for (const leaf of openLines(this.#accountingKeys, this.#origin, row)) {
        lines += leaf.contents.length;
        if (lines >= LINES_A_TURN) {
          lines = 0;
          await scheduler.wait(0);
        }
        for (const [shelf, line] of this.#provenLines(leaf, isMeant)) {
          const shelfLines = byShelf.get(shelf) ?? [];
          shelfLines.push(line);
          byShelf.set(shelf, shelfLines);
        }
      }
    }
    return byShelf;
  }

  *#provenLines(
    { index, seed, contents, consents }: LeafLines,
    isMeant: (shelf: string) => boolean,
  ): Generator<readonly [string, ProvableLine]> {
    const subjects = contents.map((content) => subjectOf(content) ?? notALine());
    if (!subjects.some((subject) => isMeant(shelfNameOf(subject)))) return; // hashing is most of the work
    const salts = contents.map((_, line) => lineSalt(seed, line));
    const commitments = contents.map((content, line) =>
      lineCommitment(salts[line] ?? new Uint8Array(), content),
    );
    const nodes = new Map<string, Uint8Array>(); // the paths of 500 lines share most of their nodes
    const hashAt = (level: number, at: number): Uint8Array => {
      if (level === 0) return commitments[at] ?? new Uint8Array();
      const key = `${level}/${at}`;
      const node = nodes.get(key) ?? nodeHash(hashAt(level - 1, 2 * at), hashAt(level - 1, 2 * at + 1));
      nodes.set(key, node);
      return node;
    };
    for (const [line, view] of contents.entries()) {
      const shelf = shelfNameOf(subjects[line] ?? notALine());
      if (!isMeant(shelf)) continue;
      const content = view.slice(); // a call sends the whole buffer under a view: all bytes of the row
      const subject = subjectOf(content) ?? notALine();
      const path = inclusionProof(line, contents.length, hashAt);
      yield [
        shelf,
        {
          subject,
          log: this.#log,
          index,
          line,
          lines: contents.length,
          content,
          salt: salts[line] ?? new Uint8Array(),
          path,
          consents: consents?.[line]?.slice(),
        },
      ];
    }
  }
}

/**
 * Puts lines that are not stored yet. `done`: names of the receivers that stored all their lines; new names
 * are added.
 */
async function put(
  byName: ReadonlyMap<string, readonly ProvableLine[]>,
  receiverOf: (name: string) => LineReceiver,
  done = new Set<string>(),
): Promise<Put> {
  const left = [...byName].filter(([name]) => !done.has(name));
  const ends = new Map(left.map(([name]) => [name, new Set<"kept" | "other" | "failed">()]));
  const calls = await putLines(left, receiverOf, (name, _, ended) => ends.get(name)?.add(ended));
  for (const [name, ended] of ends) if (ended.size === 1 && ended.has("kept")) done.add(name);
  const all = new Set([...ends.values()].flatMap((ended) => Array.from(ended)));
  return { calls, ended: all.has("other") ? "other" : all.has("failed") ? "failed" : "kept" };
}

function notALine(): never {
  throw new Error("ledger: a stored line is not valid");
}
