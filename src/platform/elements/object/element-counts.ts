import { DurableObject } from "cloudflare:workers";
import { createHash } from "node:crypto";
import type { AuditEvent, Measured } from "#audit/event";
import { instant } from "#kernel/clock";
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

const dayMilliseconds = 86_400_000;
// Batches of a day arrive until a quarter of an hour after it; then its record is written.
const graceMilliseconds = 900_000;
const retryMilliseconds = 300_000;
const pathsMax = 5_000; // of all days that are not on record yet
const pathForm = /^[A-Z][A-Za-z]{0,63}(?:\.[A-Za-z][A-Za-z0-9]{0,63}){1,12}$/u;
/** Characters of the elements and the filler of a record: the largest size class whatever left. */
const recordCharacters = 60_000;
/** Bytes that a count takes beyond its path. */
const countBytes = 12;

const schema = `
  CREATE TABLE IF NOT EXISTS days (day INTEGER PRIMARY KEY, answers INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS elements (day INTEGER NOT NULL, path TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (day, path)) STRICT, WITHOUT ROWID;
`;

/**
 * Adds up the elements that left under a grant, whose name is the object's, and records the sums of each day in the
 * ledger after its end. It stores element paths and numbers, nothing of a patient.
 */
export class ElementCounts extends DurableObject<ElementCountsEnv> {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: ElementCountsEnv) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(schema);
  }

  /** A batch of a day that is on record, or with paths beyond the limit, does not count. */
  async add({ day, answers, elements }: MeasuredBatch): Promise<void> {
    const now = Date.now();
    if (day > dayOf(now) || now >= endOf(day)) return;
    if (!isCount(answers) || !elements.every(([path, count]) => pathForm.test(path) && isCount(count)))
      throw new RangeError("no batch of element counts");
    const known = this.#sql.exec<{ n: number }>("SELECT count(*) AS n FROM elements").one().n;
    if (known > pathsMax || elements.length > pathsMax) return;
    this.ctx.storage.transactionSync(() => {
      for (const [path, count] of elements)
        this.#sql.exec(
          "INSERT INTO elements VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
          day,
          path,
          count,
        );
      this.#sql.exec(
        "INSERT INTO days VALUES (?, ?) ON CONFLICT DO UPDATE SET answers = answers + excluded.answers",
        day,
        answers,
      );
    });
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(endOf(day));
  }

  /** Records the days that have ended. A repeat of a failed alarm records nothing twice: the ids are the same. */
  override async alarm(): Promise<void> {
    const now = Date.now();
    const days = this.#sql
      .exec<{ day: number; answers: number }>("SELECT * FROM days ORDER BY day")
      .toArray();
    const ended = days.filter(({ day }) => now >= endOf(day));
    try {
      for (const each of ended) await this.#record(each);
    } catch {
      await this.ctx.storage.setAlarm(now + retryMilliseconds);
      return;
    }
    const next = days.find(({ day }) => now < endOf(day));
    if (next !== undefined) await this.ctx.storage.setAlarm(endOf(next.day));
  }

  async #record({ day, answers }: { readonly day: number; readonly answers: number }): Promise<void> {
    const elements = this.#sql
      .exec<{ path: string; count: number }>(
        "SELECT path, count FROM elements WHERE day = ? ORDER BY path",
        day,
      )
      .toArray();
    const placement = readLedgerPlacement(this.env);
    const clock = () => instant(Date.now());
    const sink = ledgerSink(logStubs(this.env.LEDGER_SHARD, placement), placement.layout, clock);
    const grant = this.ctx.id.name ?? "";
    const events = measurementsOf(grant, { day, answers }, elements, clock());
    for (const event of events)
      await sink.record([event], {
        kind: "client",
        client: grant.split("/", 1)[0] ?? "",
        turn: event.id,
        spread: 1,
      });
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec("DELETE FROM elements WHERE day = ?", day);
      this.#sql.exec("DELETE FROM days WHERE day = ?", day);
    });
  }
}

/** The records of a day. Their length does not tell how many paths have values, unless it is over a thousand. */
export function measurementsOf(
  grant: string,
  { day, answers }: { readonly day: number; readonly answers: number },
  elements: readonly { readonly path: string; readonly count: number }[],
  at: AuditEvent["at"],
): readonly AuditEvent[] {
  const pages: { readonly elements: Record<string, number>; room: number }[] = [];
  for (const { path, count } of elements) {
    const size = path.length + countBytes;
    let page = pages.at(-1);
    if (page === undefined || page.room < size) pages.push((page = { elements: {}, room: recordCharacters }));
    page.elements[path] = count;
    page.room -= size;
  }
  const [client, , purpose] = grant.split("/");
  const id = createHash("sha256")
    .update(`phylax measurement v1\n${grant}\n${day}`)
    .digest("hex")
    .slice(0, 32);
  return pages.map(({ elements: some, room }, i): AuditEvent => ({
    id,
    at,
    kind: "measurement",
    step: i,
    who: { client },
    what: { interaction: "measurement" },
    why: { grant, purposes: purpose === undefined ? [] : [purpose] },
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
