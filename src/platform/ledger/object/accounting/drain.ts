import { subjectOf } from "#audit/accounting/line";
import type { Secret } from "#kernel/secret";
import { inclusionProof, nodeHash } from "#ledger/tlog/merkle";
import { lineCommitment, lineSalt } from "#ledger/leaf/lines";
import { type AccountingIntake, intakeNameOf } from "./accounting-intake.ts";
import { type AccountingShelf, indexNameOf, type IndexedLine } from "./accounting-shelf.ts";
import type { LeafLines } from "#platform/ledger/object/log/epoch";
import { type LineRow, LineRows, openLines } from "./line-rows.ts";
import { type LineReceiver, putLines } from "./put-lines.ts";

/** "other": a shelf holds another line in the place of one of these. */
export type Drained = "done" | "more" | "failed" | "other";

/** Where lines are brought. */
export interface LineReceivers {
  readonly shelves: Pick<DurableObjectNamespace<AccountingShelf>, "getByName">;
  readonly intakes: Pick<DurableObjectNamespace<AccountingIntake>, "getByName">;
}

interface Put {
  readonly calls: number;
  readonly ended: "kept" | "other" | "failed";
}

const CALLS_MAX = 600; // of the thousand that one invocation may make
// Lines of more shelves than there are intakes go to the intakes: no more calls than that, however many patients are named.
const SHELVES_MAX = 64;
const LINES_A_TURN = 500; // about ten milliseconds: appends wait no longer for the lines of others
const HURRY_BYTES = 1_048_576; // a drain need not wait for its time

/**
 * Takes the lines that commits left in a shard to their shelves, or to the intakes before these when they are for many. A row goes only after
 * each of its lines is there, durably: a crash in between brings them there again, which is success.
 */
export class LedgerDrain {
  readonly #storage: DurableObjectStorage;
  readonly #rows: LineRows;
  readonly #accountingKey: Secret<Uint8Array>;
  readonly #origin: string;
  readonly #log: string;
  readonly #keepers: LineReceivers;
  readonly #callsMax: number;
  /** Where all lines of the frames up to `last` are already. Forgotten, they are put again, which is success. */
  #begun: { readonly last: number; readonly kept: Set<string> } | undefined;
  #waitingBytes = 0; // since this object started

  constructor(
    storage: DurableObjectStorage,
    { accountingKey, name }: { readonly accountingKey: Secret<Uint8Array>; readonly name: string },
    log: string,
    keepers: LineReceivers,
    callsMax = CALLS_MAX,
  ) {
    this.#callsMax = callsMax;
    this.#storage = storage;
    this.#rows = new LineRows(storage.sql);
    this.#accountingKey = accountingKey;
    this.#origin = `${name}/${log}`;
    this.#log = log;
    this.#keepers = keepers;
  }

  /** The number of the oldest frame whose lines are here still. */
  get waitingFrame(): number | undefined {
    return this.#rows.oldest();
  }

  /** Says that a commit left so many bytes of lines. Whether so many wait by this one that the drain should come soon. */
  committed(bytes: number): boolean {
    const before = this.#waitingBytes;
    this.#waitingBytes += bytes;
    return before < HURRY_BYTES && this.#waitingBytes >= HURRY_BYTES;
  }

  /** Takes away what is there, or as much as one alarm may. Never throws. */
  async run(): Promise<Drained> {
    this.#waitingBytes = 0;
    try {
      for (let calls = 0; ;) {
        const last = this.#begun?.last ?? Number.MAX_SAFE_INTEGER;
        const rows = this.#rows.from(0).filter(({ frame }) => frame <= last); // none that came since a part was put
        if (rows.length === 0) return "done";
        if (calls >= this.#callsMax) return "more";
        this.#begun ??= { last: rows.at(-1)?.frame ?? 0, kept: new Set() };
        const put = await this.#put(await this.#linesOf(rows), this.#begun.kept);
        calls += put.calls;
        if (put.ended !== "kept") return put.ended === "other" ? "other" : this.#failed();
        this.#begun = undefined;
        this.#storage.transactionSync(() => this.#rows.remove(rows.map(({ frame }) => frame)));
      }
    } catch {
      return this.#failed();
    }
  }

  /** Takes copies of all lines of some shelves there, before these are read. Throws when that fails. */
  async shelve(shelves: readonly string[]): Promise<void> {
    for (
      let rows = this.#rows.from(0);
      rows.length > 0;
      rows = this.#rows.from((rows.at(-1)?.frame ?? 0) + 1)
    ) {
      const byShelf = await this.#linesOf(rows, (shelf) => shelves.includes(shelf));
      const { ended } = await put(byShelf, (shelf) => this.#keepers.shelves.getByName(shelf));
      if (ended !== "kept") throw new Error("ledger: the lines are not on their shelves");
    }
  }

  #failed(): "failed" {
    console.error(JSON.stringify({ event: "accounting_drain_failed", log: this.#log }));
    return "failed";
  }

  /**
   * To their shelves when these are few, and else to the intakes: in either case in 64 calls, or as many as the bytes need. Lines of a shelf
   * that does not answer go to its intake as well: they hold up no other shelf's.
   */
  async #put(byShelf: ReadonlyMap<string, readonly IndexedLine[]>, kept: Set<string>): Promise<Put> {
    const direct =
      byShelf.size > SHELVES_MAX
        ? undefined
        : await put(byShelf, (shelf) => this.#keepers.shelves.getByName(shelf), kept);
    if (direct !== undefined && direct.ended !== "failed") return direct;
    const left = [...byShelf].filter(([shelf]) => !kept.has(shelf)).flatMap(([, lines]) => lines);
    const byIntake = Map.groupBy(left, ({ subject }) => intakeNameOf(indexNameOf(subject)));
    const { calls, ended } = await put(byIntake, (intake) => this.#keepers.intakes.getByName(intake), kept);
    return { calls: calls + (direct?.calls ?? 0), ended };
  }

  /** The lines of rows, by shelf. */
  async #linesOf(
    rows: readonly LineRow[],
    isMeant: (shelf: string) => boolean = () => true,
  ): Promise<ReadonlyMap<string, readonly IndexedLine[]>> {
    const byShelf = new Map<string, IndexedLine[]>();
    let lines = 0;
    for (const row of rows) {
      for (const leaf of openLines(this.#accountingKey, this.#origin, row)) {
        lines += leaf.contents.length;
        if (lines >= LINES_A_TURN) {
          lines = 0;
          await scheduler.wait(0);
        }
        for (const [shelf, line] of this.#provenLines(leaf, isMeant)) {
          const own = byShelf.get(shelf) ?? [];
          own.push(line);
          byShelf.set(shelf, own);
        }
      }
    }
    return byShelf;
  }

  *#provenLines(
    { index, seed, contents }: LeafLines,
    isMeant: (shelf: string) => boolean,
  ): Generator<readonly [string, IndexedLine]> {
    const subjects = contents.map((content) => subjectOf(content) ?? notALine());
    if (!subjects.some((subject) => isMeant(indexNameOf(subject)))) return; // hashing is most of the work
    const salts = contents.map((_, line) => lineSalt(seed, line));
    const commitments = contents.map((content, line) =>
      lineCommitment(salts[line] ?? new Uint8Array(), content),
    );
    const nodes = new Map<string, Uint8Array>(); // the paths of 500 lines have most of theirs in common
    const hashAt = (level: number, at: number): Uint8Array => {
      if (level === 0) return commitments[at] ?? new Uint8Array();
      const key = `${level}/${at}`;
      const node = nodes.get(key) ?? nodeHash(hashAt(level - 1, 2 * at), hashAt(level - 1, 2 * at + 1));
      nodes.set(key, node);
      return node;
    };
    for (const [line, view] of contents.entries()) {
      const shelf = indexNameOf(subjects[line] ?? notALine());
      if (!isMeant(shelf)) continue;
      const content = view.slice(); // a call sends all the bytes that its bytes are a view of: those of the whole row
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
        },
      ];
    }
  }
}

/** Puts lines that are not kept yet. `kept`: names of those who kept all of theirs; those who do are added. */
async function put(
  byName: ReadonlyMap<string, readonly IndexedLine[]>,
  keeperOf: (name: string) => LineReceiver,
  kept = new Set<string>(),
): Promise<Put> {
  const left = [...byName].filter(([name]) => !kept.has(name));
  const ends = new Map(left.map(([name]) => [name, new Set<"kept" | "other" | "failed">()]));
  const calls = await putLines(left, keeperOf, (name, _, ended) => ends.get(name)?.add(ended));
  for (const [name, ended] of ends) if (ended.size === 1 && ended.has("kept")) kept.add(name);
  const all = new Set([...ends.values()].flatMap((ended) => Array.from(ended)));
  return { calls, ended: all.has("other") ? "other" : all.has("failed") ? "failed" : "kept" };
}

function notALine(): never {
  throw new Error("ledger: a stored line is not one");
}
