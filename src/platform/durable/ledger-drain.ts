import { readLine } from "#audit/accounting";
import type { Secret } from "#kernel/secret";
import { inclusionProof, nodeHash } from "#ledger/merkle";
import { lineCommitment, lineSalt } from "#ledger/lines";
import { type AccountingShelf, shelfOf, type ShelvedLine } from "./accounting-shelf.ts";
import type { LeafLines } from "./ledger-epoch.ts";
import { type LineRow, LineRows, openLines } from "./ledger-line-rows.ts";
import { within } from "./within.ts";

/** "other": a shelf holds another line in the place of one of these. */
export type Drained = "done" | "more" | "failed" | "other";

const CALLS_AT_ONCE = 6; // connections that a Worker may have open at a time
const CALLS_MAX = 600; // of the thousand that one invocation may make
const LINES_PER_CALL = 500; // about 300 KB
const ROWS_A_TURN = 32; // a few milliseconds: appends wait no longer for the lines of others
const PATIENCE_MS = 10_000;

/**
 * Takes the lines that commits left in a shard to their shelves. A row goes only after each of its lines is on its shelf, durably: a crash
 * in between brings them there again, which is success.
 */
export class LedgerDrain {
  readonly #storage: DurableObjectStorage;
  readonly #rows: LineRows;
  readonly #accountingKey: Secret<Uint8Array>;
  readonly #origin: string;
  readonly #log: string;
  readonly #shelves: DurableObjectNamespace<AccountingShelf>;
  readonly #callsMax: number;
  /** Of the frames up to `last` all lines up to this shelf are there. Forgotten, they are put again, which is success. */
  #begun: { readonly last: number; readonly shelf: string } | undefined;

  constructor(
    storage: DurableObjectStorage,
    { accountingKey, name }: { readonly accountingKey: Secret<Uint8Array>; readonly name: string },
    log: string,
    shelves: DurableObjectNamespace<AccountingShelf>,
    callsMax = CALLS_MAX,
  ) {
    this.#callsMax = callsMax;
    this.#storage = storage;
    this.#rows = new LineRows(storage.sql);
    this.#accountingKey = accountingKey;
    this.#origin = `${name}/${log}`;
    this.#log = log;
    this.#shelves = shelves;
  }

  /** The number of the oldest frame whose lines are here still. */
  get waitingFrame(): number | undefined {
    return this.#rows.oldest();
  }

  /** Takes away what is there, or as much as one alarm may. Never throws. */
  async run(): Promise<Drained> {
    try {
      for (let left = this.#callsMax; ;) {
        const { last = Number.MAX_SAFE_INTEGER, shelf = "" } = this.#begun ?? {};
        const rows = this.#rows.from(0).filter(({ frame }) => frame <= last); // none that came since a part was put
        if (rows.length === 0) return "done";
        if (left <= 0) return "more";
        const put = await this.#put(rows, (one) => one > shelf, left);
        if (put === "other") return "other";
        left -= put.calls;
        this.#begun = put.upTo === undefined ? undefined : { last: rows.at(-1)?.frame ?? 0, shelf: put.upTo };
        if (put.upTo === undefined) this.#storage.transactionSync(() => this.#rows.remove(rows.map(({ frame }) => frame)));
      }
    } catch {
      console.error(JSON.stringify({ event: "accounting_drain_failed", log: this.#log }));
      return "failed";
    }
  }

  /** Takes copies of all lines of some shelves there, before these are read. Throws when that fails. */
  async shelve(shelves: readonly string[]): Promise<void> {
    for (let rows = this.#rows.from(0); rows.length > 0; rows = this.#rows.from((rows.at(-1)?.frame ?? 0) + 1)) {
      const put = await this.#put(rows, (shelf) => shelves.includes(shelf), this.#callsMax);
      if (put === "other" || put.upTo !== undefined) throw new Error("ledger: the lines are not on their shelves");
    }
  }

  /** Shelf by shelf, in the order of their names. `upTo`: the last one that the calls were enough for, when they were not for all. */
  async #put(
    rows: readonly LineRow[],
    isMeant: (shelf: string) => boolean,
    callsMax: number,
  ): Promise<{ readonly calls: number; readonly upTo: string | undefined } | "other"> {
    const byShelf = new Map<string, ShelvedLine[]>();
    for (const [i, row] of rows.entries()) {
      if (i % ROWS_A_TURN === ROWS_A_TURN - 1) await scheduler.wait(0);
      for (const leaf of openLines(this.#accountingKey, this.#origin, row)) {
        for (const [shelf, line] of this.#linesOf(leaf, isMeant)) {
          const lines = byShelf.get(shelf) ?? [];
          lines.push(line);
          byShelf.set(shelf, lines);
        }
      }
    }
    const all = [...byShelf].toSorted(([one], [other]) => (one < other ? -1 : 1));
    const calls: { readonly shelf: string; readonly chunk: readonly ShelvedLine[] }[] = [];
    let upTo: string | undefined;
    for (const [shelf, lines] of all) {
      const own = chunks(lines).map((chunk) => ({ shelf, chunk }));
      if (calls.length > 0 && calls.length + own.length > callsMax) {
        upTo = calls.at(-1)?.shelf;
        break;
      }
      calls.push(...own);
    }
    for (let at = 0; at < calls.length; at += CALLS_AT_ONCE) {
      const answers = await Promise.all(
        calls.slice(at, at + CALLS_AT_ONCE).map(({ shelf, chunk }) => {
          const kept: Promise<"kept" | "other"> = this.#shelves.getByName(shelf).put(chunk);
          return within(PATIENCE_MS, kept, "accounting: no answer in time");
        }),
      );
      if (answers.includes("other")) return "other";
    }
    return { calls: calls.length, upTo };
  }

  *#linesOf({ index, seed, contents }: LeafLines, isMeant: (shelf: string) => boolean): Generator<readonly [string, ShelvedLine]> {
    const subjects = contents.map((content) => readLine(content)?.subject ?? notALine());
    if (!subjects.some((subject) => isMeant(shelfOf(subject)))) return; // hashing is most of the work
    const salts = contents.map((_, line) => lineSalt(seed, line));
    const commitments = contents.map((content, line) => lineCommitment(salts[line] ?? new Uint8Array(), content));
    const nodes = new Map<string, Uint8Array>(); // the paths of 500 lines have most of theirs in common
    const hashAt = (level: number, at: number): Uint8Array => {
      if (level === 0) return commitments[at] ?? new Uint8Array();
      const key = `${level}/${at}`;
      const node = nodes.get(key) ?? nodeHash(hashAt(level - 1, 2 * at), hashAt(level - 1, 2 * at + 1));
      nodes.set(key, node);
      return node;
    };
    for (const [line, content] of contents.entries()) {
      const subject = subjects[line] ?? notALine();
      const shelf = shelfOf(subject);
      if (!isMeant(shelf)) continue;
      const path = inclusionProof(line, contents.length, hashAt);
      yield [shelf, { subject, log: this.#log, index, line, lines: contents.length, content, salt: salts[line] ?? new Uint8Array(), path }];
    }
  }
}

function notALine(): never {
  throw new Error("ledger: a stored line is not one");
}

function chunks(lines: readonly ShelvedLine[]): readonly (readonly ShelvedLine[])[] {
  return Array.from({ length: Math.ceil(lines.length / LINES_PER_CALL) }, (_, i) =>
    lines.slice(i * LINES_PER_CALL, (i + 1) * LINES_PER_CALL),
  );
}
