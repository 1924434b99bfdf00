import { DurableObject } from "cloudflare:workers";
import { agesKept, agesOf, type GaugeReading, type WatchedPart, watchedParts } from "#audit/alerts/gauges";
import {
  type AlertFacts,
  type AlertStanding,
  type AlertTotals,
  countedOf,
  stepAlert,
  valueOf,
  windowMaxMinutes,
} from "#audit/alerts/judge";
import {
  type AlertMessage,
  giveUpMilliseconds,
  messageOf,
  type PostFailure,
  waitAfter,
} from "#audit/alerts/message";
import type { AlertReport, DeadLetter, ShownSilence } from "#audit/alerts/report";
import { type AlertId, alertWindows, eachRule, alertUnitOf } from "#audit/alerts/rules";
import { isSilenced, type Silence } from "#audit/alerts/silence";
import type { Traffic } from "#audit/traffic/instruments";
import { spanUnits, type TrafficAt, type TrafficSpan } from "#audit/traffic/span";
import { dayMilliseconds, type Instant, instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import type { LedgerHealthReport } from "#ledger/health";
import { type AskSql, askSql } from "#platform/ask-sql";
import { readAlertWebhook } from "#platform/config/alert-webhook";
import { type SigningKey, signingKey } from "#platform/keys/signing-key";
import { log } from "#platform/log";
import { newId } from "#platform/new-id";
import { within } from "#platform/within";
import { post } from "./webhook.ts";

export interface AlertBookEnv {
  readonly LEDGER_HEALTH: { traffic(): Promise<Traffic>; report(): Promise<LedgerHealthReport> };
  readonly OPERATOR_ROLL: { denials(issuer: string | undefined): Promise<readonly string[]> };
  readonly ALERT_WEBHOOK: string;
  readonly OPS_URL: string;
}

/** The name of the only object. */
export const ALERT_BOOK = "alerts";

const lookMilliseconds = 30_000;
const partMilliseconds = 5_000;
const lettersKept = 100;
const messagesAtOnce = 8;
const behind = "phylax_ledger_behind_seconds";

const schema = `
  CREATE TABLE IF NOT EXISTS totals (minute INTEGER PRIMARY KEY, counted TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS parts (part TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS readings (one INTEGER PRIMARY KEY CHECK (one = 1), readings TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS standings (alert TEXT PRIMARY KEY, state TEXT NOT NULL, since INTEGER,
    announced INTEGER) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS messages (number INTEGER PRIMARY KEY, alert TEXT NOT NULL, message TEXT NOT NULL,
    made INTEGER NOT NULL, tries INTEGER NOT NULL, next INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS letters (number INTEGER PRIMARY KEY, message TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS silences (id TEXT PRIMARY KEY, alerts TEXT NOT NULL, begins INTEGER NOT NULL,
    ends INTEGER NOT NULL, reason TEXT NOT NULL, operator TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS ages (unit TEXT NOT NULL, at INTEGER NOT NULL, series TEXT NOT NULL,
    seconds INTEGER NOT NULL, PRIMARY KEY (unit, at, series)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS key (one INTEGER PRIMARY KEY CHECK (one = 1), jwk TEXT NOT NULL) STRICT;
`;

/**
 * Judges the alerts twice a minute, and posts what begins and ends. An alert's change and its message are one
 * transaction, so a restart sends none twice for the first time and loses none. It has numbers and names of ours.
 */
export class AlertBook extends DurableObject<AlertBookEnv> {
  readonly #ask: AskSql;
  readonly #webhook: string | undefined;
  #key: (() => Promise<SigningKey>) | undefined;

  constructor(ctx: DurableObjectState, env: AlertBookEnv) {
    super(ctx, env);
    this.#ask = askSql(ctx.storage.sql);
    this.#webhook = readAlertWebhook(env.ALERT_WEBHOOK);
    ctx.storage.sql.exec(schema);
  }

  /** Begins the watch, unless it runs. */
  async begin(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(now());
  }

  override async alarm(): Promise<void> {
    await this.ctx.storage.setAlarm(now() + lookMilliseconds); // first: the runtime drops an alarm that fails often
    await this.#look();
    await this.#deliver();
  }

  /** The gauges of the last look; an age grows on until the next. */
  readings(): readonly GaugeReading[] {
    const [row] = this.#ask<{ readings: string }>`SELECT readings FROM readings`;
    const stored = row === undefined ? [] : (JSON.parse(row.readings) as GaugeReading[]); // `#look` wrote them
    return stored.concat(this.#ages(now()), this.#letterCount());
  }

  /** The highest ages of each bin, oldest first. A bin without a look is not in it, nor a log that a look left out. */
  ages({ by, from, to, step = 1 }: TrafficSpan): readonly TrafficAt[] {
    const rows = this.#ask<{ bin: number; series: string; seconds: number }>`
      SELECT at - at % ${step} AS bin, series, max(seconds) AS seconds FROM ages
      WHERE unit = ${by} AND at BETWEEN ${from} AND ${to} GROUP BY bin, series ORDER BY bin`;
    return Array.from(
      Map.groupBy(rows, ({ bin }) => bin),
      ([at, some]) => ({ at, counts: new Map(some.map(({ series, seconds }) => [series, seconds])) }),
    );
  }

  async report(): Promise<AlertReport> {
    const [at, silences] = [now(), this.#silences()];
    const { publicJwk } = await this.#signingKey();
    const [{ waiting } = { waiting: 0 }] = this.#ask<{
      waiting: number;
    }>`SELECT count(*) AS waiting FROM messages`;
    const letters = this.#ask<LetterRow>`SELECT message, at FROM letters ORDER BY number DESC`;
    const facts = this.#facts(at);
    return {
      alerts: eachRule.map(([alert, rule]) => {
        const { severity, says, runbook, threshold } = rule;
        const { standing } = this.#standing(alert);
        const since = standing.state === "quiet" ? null : timeOf(standing.since);
        const silenced = isSilenced(alert, silences, at);
        const measured = { value: valueOf(rule, facts) ?? null, threshold, unit: alertUnitOf(rule) };
        return { alert, state: standing.state, since, severity, says, runbook, ...measured, silenced };
      }),
      silences: silences.map(shownSilence),
      waiting,
      deadLetters: letters.map(shownLetter),
      key: publicJwk,
    };
  }

  /** Returns the id of the new silence. */
  silence({ alerts, from, until, reason, operator }: Omit<Silence, "id">): string {
    const id = newId();
    this.#ask`INSERT INTO silences VALUES
      (${id}, ${JSON.stringify(alerts)}, ${from}, ${until}, ${reason}, ${operator})`;
    return id;
  }

  /** False: there is no silence of this id, or it has ended. */
  endSilence(id: string): boolean {
    return this.#ask`DELETE FROM silences WHERE id = ${id} AND ends > ${now()} RETURNING 1`.length > 0;
  }

  async #look(): Promise<void> {
    const [totals, ledger, denials] = await Promise.all([
      answered(() => this.env.LEDGER_HEALTH.traffic()),
      answered(() => this.env.LEDGER_HEALTH.report()),
      answered(() => this.env.OPERATOR_ROLL.denials(undefined)),
    ]);
    const at = now();
    const has: Readonly<Record<WatchedPart, boolean>> = {
      traffic: totals !== undefined,
      ledger: ledger !== undefined,
      revocations: denials !== undefined,
    };
    this.ctx.storage.transactionSync(() => {
      for (const part of watchedParts)
        if (has[part]) this.#ask`INSERT OR REPLACE INTO parts VALUES (${part}, ${at})`;
        else this.#ask`INSERT OR IGNORE INTO parts VALUES (${part}, ${at})`;
      if (ledger !== undefined) {
        const readings = JSON.stringify(ledgerReadings(ledger, this.readings()));
        this.#ask`INSERT OR REPLACE INTO readings VALUES (1, ${readings})`;
      }
      if (totals !== undefined) this.#count(countedOf(totals, at));
      this.#keepAges(at);
      this.#judge(at);
    });
  }

  #keepAges(at: Instant): void {
    const ages = agesOf(this.readings());
    for (const [unit, { milliseconds, kept }] of Object.entries(spanUnits)) {
      const present = Math.floor(at / milliseconds);
      for (const [series, seconds] of ages)
        this.#ask`INSERT INTO ages VALUES (${unit}, ${present}, ${series}, ${seconds})
          ON CONFLICT DO UPDATE SET seconds = max(seconds, excluded.seconds)`;
      // each look has its own oldest copies: without this, an hour would keep every log
      this.#ask`DELETE FROM ages WHERE unit = ${unit} AND at = ${present} AND series NOT IN (SELECT series
        FROM ages WHERE unit = ${unit} AND at = ${present} ORDER BY seconds DESC LIMIT ${agesKept})`;
      this.#ask`DELETE FROM ages WHERE unit = ${unit} AND at < ${present - kept}`;
    }
  }

  /** A total that shrinks is a new traffic book: the windows begin again. */
  #count(counted: AlertTotals): void {
    const minute = minuteOf(counted.at);
    const last = this.#totalsAt(minute);
    if (last !== undefined && last.all > counted.all) this.#ask`DELETE FROM totals`;
    this.#ask`INSERT OR REPLACE INTO totals VALUES (${minute}, ${JSON.stringify(counted)})`;
    this.#ask`DELETE FROM totals WHERE minute < ${minute - windowMaxMinutes - 60} OR minute > ${minute}`;
  }

  /** The last totals of a minute or before. */
  #totalsAt(minute: number): AlertTotals | undefined {
    const [row] = this.#ask<{ counted: string }>`
      SELECT counted FROM totals WHERE minute <= ${minute} ORDER BY minute DESC LIMIT 1`;
    return row === undefined ? undefined : (JSON.parse(row.counted) as AlertTotals); // `#count` wrote it
  }

  /** The totals at the begin of each window, the oldest, and the present totals. */
  #windows(at: Instant): readonly AlertTotals[] {
    const [row] = this.#ask<{ counted: string }>`SELECT counted FROM totals ORDER BY minute LIMIT 1`;
    const oldest = row === undefined ? [] : [JSON.parse(row.counted) as AlertTotals]; // `#count` wrote it
    // the minute before: the last totals of the begin's own minute may be later than the begin
    const begins = alertWindows.map((minutes) => this.#totalsAt(minuteOf(at) - minutes - 1));
    return [...oldest, ...begins, this.#totalsAt(minuteOf(at))].filter((each) => each !== undefined);
  }

  #facts(at: Instant): AlertFacts {
    return { counted: this.#windows(at), readings: this.readings() };
  }

  #judge(at: Instant): void {
    const facts = this.#facts(at);
    const silences = this.#silences();
    for (const [alert, rule] of eachRule) {
      const before = this.#standing(alert);
      const standing = stepAlert(rule, before.standing, valueOf(rule, facts), at);
      let { announced } = before;
      if (standing.state === "firing" && announced === null && !isSilenced(alert, silences, at)) {
        announced = standing.since;
        this.#write(alert, "firing", announced, at);
      } else if (standing.state === "quiet" && announced !== null) {
        this.#write(alert, "ended", announced, at);
        announced = null;
      }
      const since = standing.state === "quiet" ? null : standing.since;
      this.#ask`INSERT OR REPLACE INTO standings VALUES (${alert}, ${standing.state}, ${since}, ${announced})`;
    }
    this.#ask`DELETE FROM silences WHERE ends < ${at - dayMilliseconds}`;
    this.#ask`DELETE FROM letters WHERE at < ${at - 7 * dayMilliseconds}`;
  }

  #standing(alert: AlertId): { readonly standing: AlertStanding; readonly announced: Instant | null } {
    const [row] = this.#ask<{
      state: AlertStanding["state"];
      since: Instant | null;
      announced: Instant | null;
    }>`
      SELECT state, since, announced FROM standings WHERE alert = ${alert}`;
    if (row === undefined) return { standing: { state: "quiet" }, announced: null };
    const { state, since, announced } = row;
    return state === "quiet" || since === null
      ? { standing: { state: "quiet" }, announced }
      : { standing: { state, since }, announced };
  }

  #silences(): readonly Silence[] {
    return this.#ask<SilenceRow>`SELECT * FROM silences WHERE ends > ${now()} ORDER BY begins`.map(
      ({ id, alerts, begins, ends, reason, operator }) => ({
        id,
        alerts: JSON.parse(alerts) as string[], // `silence` wrote it
        from: begins,
        until: ends,
        reason,
        operator,
      }),
    );
  }

  /** The time since each part answered. */
  #ages(at: Instant): readonly GaugeReading[] {
    return this.#ask<{ part: string; at: number }>`SELECT part, at FROM parts`.map(
      ({ part, at: answeredAt }) => ({
        gauge: "phylax_part_age_seconds",
        labels: [part],
        value: Math.max(0, at - answeredAt) / 1000,
      }),
    );
  }

  /** Counts the letters of a day: an operator has seen older letters. */
  #letterCount(): GaugeReading {
    const [{ value } = { value: 0 }] = this.#ask<{ value: number }>`
      SELECT count(*) AS value FROM letters WHERE at > ${now() - dayMilliseconds}`;
    return { gauge: "phylax_alerts_dead_letters", labels: [], value };
  }

  /** Without a receiver there is no message; the alerts stand in the report alone. */
  #write(alert: AlertId, state: AlertMessage["state"], since: Instant, at: Instant): void {
    if (this.#webhook === undefined) return;
    const message = messageOf(alert, state, { id: newId(), since, at, deployment: this.env.OPS_URL });
    this.#ask`INSERT INTO messages (alert, message, made, tries, next)
      VALUES (${alert}, ${JSON.stringify(message)}, ${at}, 0, ${at})`;
  }

  /** Posts the due messages, of each alert the oldest alone: an end never overtakes its begin. */
  async #deliver(): Promise<void> {
    const url = this.#webhook;
    const due = this.#ask<{
      number: number;
      alert: string;
      message: string;
      made: number;
      tries: number;
      next: number;
    }>`
      SELECT min(number) AS number, alert, message, made, tries, next FROM messages GROUP BY alert`
      .filter(({ next }) => next <= now())
      .slice(0, messagesAtOnce);
    if (url === undefined || due.length === 0) return;
    const key = await this.#signingKey();
    await Promise.all(
      due.map(async ({ number, alert, message, made, tries }) => {
        const failed = await post(url, message, key, now());
        if (failed === undefined) return void this.#ask`DELETE FROM messages WHERE number = ${number}`;
        if (now() - made >= giveUpMilliseconds) return this.#giveUp(number, alert, message, failed);
        this.#ask`UPDATE messages SET tries = ${tries + 1}, next = ${now() + waitAfter(tries + 1)}
          WHERE number = ${number}`;
      }),
    );
  }

  #giveUp(number: number, alert: string, message: string, failed: PostFailure): void {
    const letter = JSON.stringify({ ...(JSON.parse(message) as AlertMessage), failed }); // `#write` wrote it
    this.ctx.storage.transactionSync(() => {
      this.#ask`DELETE FROM messages WHERE number = ${number}`;
      this.#ask`INSERT INTO letters (message, at) VALUES (${letter}, ${now()})`;
      this.#ask`DELETE FROM letters WHERE number NOT IN (
        SELECT number FROM letters ORDER BY number DESC LIMIT ${lettersKept})`;
    });
    log({ event: "alert_given_up", alert });
  }

  /** Made at its first use, and never leaves this object: a receiver takes the public half from `report`. */
  async #signingKey(): Promise<SigningKey> {
    const [row] = this.#ask<{ jwk: string }>`SELECT jwk FROM key`;
    const stored = row?.jwk ?? (await newKey());
    this.#ask`INSERT OR IGNORE INTO key VALUES (1, ${stored})`;
    const [{ jwk } = { jwk: stored }] = this.#ask<{ jwk: string }>`SELECT jwk FROM key`; // a call beside this may be first
    this.#key ??= signingKey(new Secret(jwk));
    return this.#key();
  }
}

interface LetterRow {
  readonly message: string;
  readonly at: Instant;
}

function shownLetter({ message, at }: LetterRow): DeadLetter {
  // `#giveUp` wrote it; a letter of an earlier version does not say how its last try failed
  const letter = JSON.parse(message) as AlertMessage & Partial<Pick<DeadLetter, "failed">>;
  return { ...letter, failed: letter.failed ?? null, givenUpAt: timeOf(at) };
}

interface SilenceRow {
  readonly id: string;
  readonly alerts: string;
  readonly begins: Instant;
  readonly ends: Instant;
  readonly reason: string;
  readonly operator: string;
}

async function newKey(): Promise<string> {
  const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair; // of a key pair's algorithm
  const { kty, crv, x, d } = (await crypto.subtle.exportKey("jwk", pair.privateKey)) as JsonWebKey; // of the form asked for
  return JSON.stringify({ kty, crv, x, d });
}

/** A silent log says nothing about its copy: it keeps its last reading, so that its silence ends no alert. */
function ledgerReadings(
  { logs, root, witnesses }: LedgerHealthReport,
  before: readonly GaugeReading[],
): readonly GaugeReading[] {
  const all = [...logs, root];
  const states = Map.groupBy(all, ({ state }) => state);
  return [
    ...all.flatMap(({ log: name, state, behindSeconds }): readonly GaugeReading[] =>
      state === "silent"
        ? before.filter(({ gauge, labels }) => gauge === behind && labels[0] === name)
        : [{ gauge: behind, labels: [name], value: behindSeconds }],
    ),
    ...Array.from(states, ([state, some]) => ({
      gauge: "phylax_ledger_logs" as const,
      labels: [state],
      value: some.length,
    })),
    {
      gauge: "phylax_ledger_witnesses_behind",
      labels: [],
      value: witnesses.filter(({ isCurrent }) => !isCurrent).length,
    },
  ];
}

const answered = async <T>(ask: () => Promise<T>): Promise<T | undefined> =>
  within(partMilliseconds, ask(), "a watched part: no answer in time").catch(() => undefined);

const shownSilence = ({ id, alerts, from, until, reason, operator }: Silence): ShownSilence => ({
  id,
  alerts,
  from: timeOf(from),
  until: timeOf(until),
  reason,
  operator,
});

const now = (): Instant => instant(Date.now());
const minuteOf = (at: Instant): number => Math.floor(at / 60_000);
const timeOf = (at: Instant): string => new Date(at).toISOString();
