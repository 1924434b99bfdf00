import type { AuditEvent } from "#audit/event";
import {
  suspendedRecipients,
  type Suspension,
  readSuspension,
  type SuspensionProblem,
} from "#audit/accounting/suspension";
import { readLine, subjectKey } from "#audit/accounting/line";
import type { Disclosures, FoundLine, LinesRequest, LinesPage } from "#audit/accounting/disclosures";
import { before, type LinePlace, writeLinePlace } from "#audit/accounting/line-place";
import { LineSums } from "#audit/accounting/line-sums";
import { type LineSource, mergeLines } from "#audit/accounting/merge-lines";
import { instant, type Clock } from "#kernel/clock";
import { ok, type Result } from "#kernel/result";
import { openLogs } from "#ledger/log-name";
import { type AccountingIntake, intakeNameOf } from "#platform/ledger/object/accounting/accounting-intake";
import {
  type AccountingShelf,
  indexNameOf,
  type IndexedLine,
} from "#platform/ledger/object/accounting/accounting-shelf";
import { inTurns } from "#platform/in-turns";
import { readLedgerConfig, type LedgerConfig, type LedgerEnv } from "#platform/ledger/config";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import { OwnCalls } from "#platform/ledger/object/append/own-calls";
import { ledgerSink } from "./sink.ts";
import { LineProofs, type UnprovenLine } from "./line-proofs.ts";

type DeskEnv = LedgerEnv & {
  readonly LEDGER_SHARD: DurableObjectNamespace<LedgerShard>;
  readonly ACCOUNTING_SHELF: DurableObjectNamespace<AccountingShelf>;
  readonly ACCOUNTING_INTAKE: DurableObjectNamespace<AccountingIntake>;
};

const PATIENTS_MAX = 32; // ids of one individual
const ENTRIES_MAX = 1_000; // of one page
const SUMS_MAX = 500;
// Rows that one page may read, of all records of the individual: of more it is given as far as it came.
const ROWS_MAX = 20_000;
const CHECKPOINT_MS = 1_050; // one is signed each second at most
// Beyond every step that a door takes for one request, whose id the record of a look-up has.
const STEP = 1_000_000;
// A log that closed this long ago may have lines yet: it takes none any more, and drains within two minutes unless shelves are down.
const CLOSED_MS = 86_400_000;

interface Subject {
  readonly patient: string;
  readonly key: Uint8Array;
}

/** Reads patients' accounting lines from their shelves, page by page, on record. */
export class AccountingDesk implements Disclosures {
  readonly #env: DeskEnv;
  readonly #config: LedgerConfig;
  readonly #clock: Clock;
  readonly #proofs: LineProofs;
  readonly #rowsMax: number;

  /** @param checkpointMs how long a leaf that no checkpoint reaches is waited for. */
  constructor(env: DeskEnv, clock: Clock, { rowsMax = ROWS_MAX, checkpointMs = CHECKPOINT_MS } = {}) {
    this.#rowsMax = rowsMax;
    this.#env = env;
    this.#config = readLedgerConfig(env);
    this.#clock = clock;
    this.#proofs = new LineProofs(env.LEDGER_SHARD, checkpointMs);
  }

  /**
   * Before the first page every line that was acknowledged is brought to its shelf, from wherever it waits. Further pages need no more than
   * the shelf: no line of it moves, and what comes to it has either its place after the page before, or was not acknowledged by then.
   */
  async linesOf(asked: LinesRequest): Promise<LinesPage> {
    const { patients, caller, after, count, toldTo } = asked;
    if (patients.length === 0 || patients.length > PATIENTS_MAX)
      throw new RangeError("accounting: of 1 to 32 patients");
    if (!Number.isSafeInteger(count) || count < 1 || count > ENTRIES_MAX)
      throw new RangeError("accounting: pages of 1 to 1000 lines");
    const sink = ledgerSink(this.#env.LEDGER_SHARD, this.#config.shards, this.#clock);
    await sink.record([lookUp(asked)], {
      kind: "client",
      client: caller.who?.client ?? "",
      requestId: caller.id,
      spread: 1,
    });
    const subjects = patients.map((patient) => ({
      patient,
      key: subjectKey(this.#config.subjectKey, patient),
    }));
    if (after === undefined)
      await this.#bringLines([...new Set(subjects.map(({ key }) => indexNameOf(key)))]);
    const held = await this.#heldBack(subjects);
    const without = toldTo === "individual" ? [...held.keys()] : [];
    const page = await (asked.summed === true
      ? this.#summed(asked, subjects, without)
      : this.#listed(asked, subjects, without));
    const lines = page.lines.map((line) =>
      Object.assign(line, { heldUntil: held.get(readLine(line.content)?.recipient ?? "") }),
    );
    return { lines: lines.toSorted((one, other) => timeOf(one) - timeOf(other)), next: page.next };
  }

  /** Single lines, each with its proof. */
  async #listed(
    asked: LinesRequest,
    subjects: readonly Subject[],
    without: readonly string[],
  ): Promise<LinesPage> {
    const lines: UnprovenLine[] = [];
    const next = await this.#merged(
      asked,
      subjects,
      without,
      (line) => lines.length < asked.count && lines.push(line) > 0,
    );
    const proven = await this.#proofs.prove(lines);
    const cut = lines[proven.length]; // its proof found no room
    return { lines: proven, next: cut === undefined ? next : before(cut) };
  }

  /** Sums of the lines that one page may read: a recipient whose lines are more is told again on the next page. */
  async #summed(
    asked: LinesRequest,
    subjects: readonly Subject[],
    without: readonly string[],
  ): Promise<LinesPage> {
    const sums = new LineSums<UnprovenLine>(Math.min(asked.count, SUMS_MAX));
    const next = await this.#merged(asked, subjects, without, (line) => sums.add(line));
    return { lines: sums.all.map((line) => Object.assign(line, { proven: undefined })), next };
  }

  #merged(
    { after, from, to, excluded, recipient, purpose }: LinesRequest,
    subjects: readonly Subject[],
    without: readonly string[],
    take: (line: UnprovenLine) => boolean,
  ): Promise<LinePlace | undefined> {
    const filter = { from, to, excluded, recipient, purpose };
    const sources = subjects.map(
      ({ key }): LineSource<IndexedLine> =>
        (after, left) =>
          this.#shelf(key).linesAfter({ subject: key, after, filter, without }, left),
    );
    const rows = Math.floor(this.#rowsMax / subjects.length);
    return mergeLines(
      sources,
      after,
      { rows, withheld: rows },
      ({ log, index, line, lines, content, salt, path }, source) =>
        take({ patient: subjects[source]?.patient ?? "", log, index, line, lines, content, salt, path }),
    );
  }

  /** Keeps a suspension. The operators' door has it on record before. */
  async hold(input: unknown): Promise<Result<void, SuspensionProblem>> {
    const asked = readSuspension(input);
    if (!asked.ok) return asked;
    const subject = subjectKey(this.#config.subjectKey, asked.value.patient);
    await this.#shelf(subject).hold(subject, asked.value.hold);
    return ok(undefined);
  }

  /**
   * From the shards first, then from the intakes: what leaves a shard meanwhile is in an intake by then, or on its shelf. One that cannot be
   * asked may have lines that nobody else has: then there is no answer.
   */
  async #bringLines(shelves: readonly string[]): Promise<void> {
    const now = this.#clock();
    const { shards, accountingKey } = this.#config;
    const ownCalls = new OwnCalls(accountingKey);
    const logs = new Set([...openLogs(shards, now), ...openLogs(shards, instant(now - CLOSED_MS))]);
    await inTurns([...logs], async (log) => {
      await this.#env.LEDGER_SHARD.getByName(log).ownCall(
        ownCalls.seal(log, { kind: "shelve", shelves: [...shelves] }),
      );
    });
    await inTurns([...Map.groupBy(shelves, intakeNameOf)], ([intake, own]) =>
      this.#env.ACCOUNTING_INTAKE.getByName(intake).shelve(own),
    );
  }

  /** What is suspended for one record counts for each that the origin united with it: it is one individual who is told. */
  async #heldBack(subjects: readonly Subject[]): Promise<ReadonlyMap<string, number>> {
    const holds: Suspension[] = [];
    for (const { key } of subjects) holds.push(...(await this.#shelf(key).holdsOf(key)));
    return suspendedRecipients(holds, this.#clock());
  }

  #shelf(subject: Uint8Array): DurableObjectStub<AccountingShelf> {
    return this.#env.ACCOUNTING_SHELF.getByName(indexNameOf(subject));
  }
}

function lookUp({ patients, after, caller: { id, at, who, from, why, traceId } }: LinesRequest): AuditEvent {
  const [origin, type, patient] = (patients[0] ?? "").split("/");
  const named = patients.map((one) => ({ patient: one, counts: {} }));
  const parameters = after === undefined ? undefined : [["after", writeLinePlace(after)] as const];
  const what = { interaction: "linesOf", origin, type, id: patient, parameters };
  return {
    id,
    step: STEP,
    at,
    kind: "accounting",
    who,
    from,
    what,
    why,
    patients: named,
    unnamed: [],
    counts: {},
    traceId,
  };
}

const timeOf = ({ content }: FoundLine): number => readLine(content)?.at ?? 0;
