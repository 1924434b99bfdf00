import { DurableObject } from "cloudflare:workers";
import { createHash } from "node:crypto";
import type { AuditEvent, Measured } from "#audit/event";
import { readGrantName } from "#audit/grant-name";
import { elementPath } from "#audit/values";
import { dayMilliseconds, instant } from "#kernel/clock";
import { type AskSql, askSql } from "#platform/ask-sql";
import { log } from "#platform/log";
import { readLedgerPlacement } from "#platform/ledger/config";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import type { PlacementVariables } from "#platform/ledger/placement";
import { ledgerSink } from "#platform/ledger/client/sink";
import { logStubs } from "#platform/ledger/client/stubs";

/** The counts of one isolate since its last batch. */
export interface MeasuredBatch {
  readonly day: number; // days since 1970-01-01 UTC
  readonly answers: number;
  readonly elements: readonly (readonly [path: string, values: number])[];
}

type ElementCountsEnv = PlacementVariables & {
  readonly LEDGER_SHARD: DurableObjectNamespace<LedgerShard>;
};

// Batches of a day arrive until a quarter of an hour after it; then its record is written.
const graceMilliseconds = 900_000;
// A ledger knows an append for 130 s (append/recent): the first repeats come in this time.
const retryMilliseconds = 30_000;
const retriesMax = 3;
const lateRetryMilliseconds = 300_000;
const pathsMax = 5_000; // of all days that are not on record yet
/** Characters of the elements and the filler of a record: the largest size class whatever left. */
const recordCharacters = 60_000;
/** Bytes that a count takes beyond its path. */
const countBytes = 12;

const schema = `
  CREATE TABLE IF NOT EXISTS days (day INTEGER PRIMARY KEY, answers INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS elements (day INTEGER NOT NULL, path TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (day, path)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS recorded (day INTEGER NOT NULL, part INTEGER NOT NULL,
    PRIMARY KEY (day, part)) STRICT, WITHOUT ROWID;
`;

/**
 * Adds up the elements that left under a grant, whose name is the object's, and records the sums of each day in the
 * ledger after its end. It stores element paths and numbers, nothing of a patient.
 */
export class ElementCounts extends DurableObject<ElementCountsEnv> {
  readonly #ask: AskSql;
  #failures = 0;

  constructor(ctx: DurableObjectState, env: ElementCountsEnv) {
    super(ctx, env);
    ctx.storage.sql.exec(schema);
    this.#ask = askSql(ctx.storage.sql);
  }

  /**
   * A batch of a day that is on record does not count. A path that is no element path (a row may have members of any
   * name) does not count alone. A new path beyond the limit does not count, and with it the answers of its batch: a
   * review then knows that elements are missing.
   */
  async add({ day, answers, elements }: MeasuredBatch): Promise<void> {
    const now = Date.now();
    if (day > dayOf(now) || now >= endOf(day)) return;
    if (!isCount(answers) || !elements.every(([, count]) => isCount(count)))
      throw new RangeError("no batch of element counts");
    const lost = this.ctx.storage.transactionSync(() => {
      const { known } = this.ctx.storage.sql
        .exec<{ known: number }>("SELECT count(*) AS known FROM elements")
        .one();
      let [room, beyond] = [pathsMax - known, 0];
      for (const [path, count] of elements) {
        if (!elementPath.test(path) || this.#add(day, path, count)) continue;
        if (room > 0) this.#ask`INSERT INTO elements VALUES (${day}, ${path}, ${count})`;
        else beyond += 1;
        room -= 1;
      }
      this.#ask`INSERT INTO days VALUES (${day}, ${beyond === 0 ? answers : 0})
        ON CONFLICT DO UPDATE SET answers = answers + excluded.answers`;
      return beyond;
    });
    if (lost > 0) log({ event: "element_counts_lost", grant: this.ctx.id.name, paths: lost, answers });
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(endOf(day));
  }

  /** False: the day has no value at this path yet. */
  #add(day: number, path: string, count: number): boolean {
    const added = this.#ask`
      UPDATE elements SET count = count + ${count} WHERE day = ${day} AND path = ${path} RETURNING 1`;
    return added.length > 0;
  }

  /**
   * Records the days that have ended. A repeat records nothing twice: the parts on record are known, and a part whose
   * answer was lost is the same event again, which the ledger knows.
   */
  override async alarm(): Promise<void> {
    const now = Date.now();
    const days = this.#ask<{ day: number; answers: number }>`SELECT * FROM days ORDER BY day`;
    const ended = days.filter(({ day }) => now >= endOf(day));
    try {
      for (const each of ended) await this.#record(each);
    } catch {
      this.#failures += 1;
      const wait = this.#failures > retriesMax ? lateRetryMilliseconds : retryMilliseconds;
      await this.ctx.storage.setAlarm(Date.now() + wait);
      return;
    }
    this.#failures = 0;
    const next = days.find(({ day }) => now < endOf(day));
    if (next !== undefined) await this.ctx.storage.setAlarm(endOf(next.day));
  }

  async #record({ day, answers }: { readonly day: number; readonly answers: number }): Promise<void> {
    const elements = this.#ask<{ path: string; count: number }>`
      SELECT path, count FROM elements WHERE day = ${day} ORDER BY path`;
    const placement = readLedgerPlacement(this.env);
    const clock = () => instant(Date.now());
    const sink = ledgerSink(logStubs(this.env.LEDGER_SHARD, placement), placement.layout, clock);
    const grant = this.ctx.id.name ?? "";
    const recorded = this.#ask<{ part: number }>`SELECT part FROM recorded WHERE day = ${day}`;
    const parts = new Set(recorded.map(({ part }) => part));
    for (const event of measurementsOf(grant, { day, answers }, elements)) {
      const part = event.measured?.part ?? 0;
      if (parts.has(part)) continue;
      const { client } = readGrantName(grant);
      await sink.record([event], { kind: "client", client, turn: event.id, spread: 1 });
      this.#ask`INSERT INTO recorded VALUES (${day}, ${part})`;
    }
    this.ctx.storage.transactionSync(() => {
      this.#ask`DELETE FROM elements WHERE day = ${day}`;
      this.#ask`DELETE FROM days WHERE day = ${day}`;
      this.#ask`DELETE FROM recorded WHERE day = ${day}`;
    });
  }
}

/**
 * The records of a day, of the time of its end: they are the same at each attempt. Their length does not show how many
 * paths have values, unless it is over a thousand.
 */
export function measurementsOf(
  grant: string,
  { day, answers }: { readonly day: number; readonly answers: number },
  elements: readonly { readonly path: string; readonly count: number }[],
): readonly AuditEvent[] {
  const pages: { readonly elements: Record<string, number>; room: number }[] = [];
  for (const { path, count } of elements) {
    const size = path.length + countBytes;
    let page = pages.at(-1);
    if (page === undefined || page.room < size) pages.push((page = { elements: {}, room: recordCharacters }));
    page.elements[path] = count;
    page.room -= size;
  }
  const { client, purpose } = readGrantName(grant);
  const id = createHash("sha256")
    .update(`phylax measurement v1\n${grant}\n${day}`)
    .digest("hex")
    .slice(0, 32);
  return pages.map(({ elements: some, room }, i): AuditEvent => ({
    id,
    at: instant((day + 1) * dayMilliseconds),
    kind: "measurement",
    step: i,
    who: { client },
    what: { interaction: "measurement" },
    why: { grant, purposes: [purpose] },
    measured: {
      day,
      answers,
      elements: some,
      part: i + 1,
      parts: pages.length,
      fill: " ".repeat(room),
    } satisfies Measured,
    patients: [],
    unnamed: [],
    counts: {},
  }));
}

const dayOf = (milliseconds: number): number => Math.floor(milliseconds / dayMilliseconds);
const endOf = (day: number): number => (day + 1) * dayMilliseconds + graceMilliseconds;
const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
