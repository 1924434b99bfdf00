import type { AuditEvent } from "#audit/event";
import {
  suspendedRecipients,
  type Suspension,
  readSuspension,
  type SuspensionProblem,
} from "#audit/accounting/suspension";
import { readLine, subjectKey } from "#audit/accounting/line";
import type {
  AccountingCaller,
  Disclosures,
  FoundLine,
  LineFilter,
  LinesRequest,
  LinesPage,
} from "#audit/accounting/disclosures";
import { HoldersInLines, type Holder, type HoldersRequest } from "#audit/accounting/holders";
import { before, type LinePlace, writeLinePlace } from "#audit/accounting/line-place";
import { LineSums } from "#audit/accounting/line-sums";
import { type LineSource, mergeLines } from "#audit/accounting/merge-lines";
import { dayMilliseconds, instant, type Clock } from "#kernel/clock";
import { ok, type Result } from "#kernel/result";
import { openLogs } from "#ledger/log-name";
import { SIGNED_AGAIN_MS } from "#ledger/signing-times";
import { type AccountingIntake, intakeNameOf } from "#platform/ledger/object/accounting/accounting-intake";
import {
  type AccountingShelf,
  shelfNameOf,
  type ProvableLine,
} from "#platform/ledger/object/accounting/accounting-shelf";
import { inTurns } from "#platform/in-turns";
import { readLedgerConfig, type LedgerConfig, type LedgerEnv } from "#platform/ledger/config";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import { OwnCalls } from "#platform/ledger/object/append/own-calls";
import { ledgerSink } from "#platform/ledger/client/sink";
import { regionlessStubs, logStubs, type StubOf } from "#platform/ledger/client/stubs";
import { LineProofs, type UnprovenLine } from "./line-proofs.ts";

type DeskEnv = LedgerEnv & {
  readonly LEDGER_SHARD: DurableObjectNamespace<LedgerShard>;
  readonly ACCOUNTING_SHELF: DurableObjectNamespace<AccountingShelf>;
  readonly ACCOUNTING_INTAKE: DurableObjectNamespace<AccountingIntake>;
};

const PATIENTS_MAX = 32; // ids of an individual
const ENTRIES_MAX = 1_000; // of a page
const SUMS_MAX = 500;
// The rows that a page may read, over all records of the individual. An individual with more rows gets a
// shorter page.
const ROWS_MAX = 20_000;
// Higher than any step of a request. The record of a look-up has the request's id.
const STEP = 1_000_000;
// A log that closed this long ago may still have lines. It takes no new lines, and drains within two minutes
// unless shelves are down.
const CLOSED_MS = dayMilliseconds;

type FoundPage = Pick<LinesPage, "lines" | "next">;

interface Subject {
  readonly patient: string;
  readonly key: Uint8Array;
}

/** Reads patients' accounting lines from their shelves, page by page, and records each look-up. */
export class AccountingDesk implements Disclosures {
  readonly #env: DeskEnv;
  readonly #config: LedgerConfig;
  readonly #clock: Clock;
  readonly #proofs: LineProofs;
  readonly #logOf: StubOf<DurableObjectStub<LedgerShard>>;
  readonly #rowsMax: number;

  /** @param checkpointMs how long to wait for a checkpoint that covers a leaf. */
  constructor(env: DeskEnv, clock: Clock, { rowsMax = ROWS_MAX, checkpointMs = SIGNED_AGAIN_MS } = {}) {
    this.#rowsMax = rowsMax;
    this.#env = env;
    this.#config = readLedgerConfig(env);
    this.#logOf = logStubs(env.LEDGER_SHARD, this.#config);
    this.#clock = clock;
    this.#proofs = new LineProofs(this.#logOf, checkpointMs);
  }

  /**
   * Before the first page, all acknowledged lines are brought to their shelves. Further pages need only the
   * shelf: its lines never move, and a line that arrives later either has its place after the page before,
   * or was not acknowledged by then.
   */
  async linesOf(query: LinesRequest): Promise<LinesPage> {
    const { patients, caller, after, count, toldTo } = query;
    if (patients.length === 0 || patients.length > PATIENTS_MAX)
      throw new RangeError("accounting: 1 to 32 patients");
    if (!Number.isSafeInteger(count) || count < 1 || count > ENTRIES_MAX)
      throw new RangeError("accounting: pages of 1 to 1000 lines");
    const parameters = after === undefined ? undefined : [["after", writeLinePlace(after)] as const];
    await this.#record(patients, caller, { interaction: "linesOf", parameters });
    const subjects = this.#subjectsOf(patients);
    if (after === undefined) await this.#shelveLines(subjects);
    const held = await this.#heldBack(subjects);
    const without = toldTo === "individual" ? [...held.keys()] : [];
    const page = await (query.summed === true
      ? this.#summed(query, subjects, without)
      : this.#listed(query, subjects, without));
    const recipients = page.lines.map(({ content }) => readLine(content)?.recipient);
    const lines = page.lines.map((line, at) =>
      Object.assign(line, { heldUntil: held.get(recipients[at] ?? "") }),
    );
    return {
      lines: lines.toSorted((a, b) => timeOf(a) - timeOf(b)),
      recipients: new Set(recipients.filter((recipient) => recipient !== undefined)),
      next: page.next,
    };
  }

  /**
   * The clients that got information about an individual since the beginning of the accounting. It reads each line, and
   * answers none.
   */
  async holdersOf({ patient, united = [], to, types, caller }: HoldersRequest): Promise<readonly Holder[]> {
    const parameters = types.map((type) => ["type", type] as const);
    const patients = [...new Set([patient, ...united])];
    if (patients.length > PATIENTS_MAX) throw new RangeError("accounting: 1 to 32 patients");
    await this.#record(patients, caller, { interaction: "holdersOf", parameters });
    const subjects = this.#subjectsOf(patients);
    await this.#shelveLines(subjects);
    const holders = new HoldersInLines(types);
    const filter = { from: instant(0), to };
    for (let after: LinePlace | undefined; ;) {
      after = await this.#merged({ ...filter, after, toldTo: "officer" }, subjects, [], ({ content }) => {
        holders.add(content);
        return true;
      });
      if (after === undefined) return holders.all;
    }
  }

  async #record(
    patients: readonly string[],
    { id, at, who, from, why, traceId }: AccountingCaller,
    asked: Pick<NonNullable<AuditEvent["what"]>, "interaction" | "parameters">,
  ): Promise<void> {
    const [origin, type, patient] = (patients[0] ?? "").split("/");
    const event: AuditEvent = {
      id,
      step: STEP,
      at,
      kind: "accounting",
      who,
      from,
      what: { ...asked, origin, type, id: patient },
      why,
      patients: patients.map((each) => ({ patient: each, counts: {} })),
      unnamed: [],
      counts: {},
      traceId,
    };
    const sender = { kind: "client", client: who?.client ?? "", turn: id, spread: 1 } as const;
    await ledgerSink(this.#logOf, this.#config.layout, this.#clock).record([event], sender);
  }

  /** Lines of an earlier subject key stay under it. */
  #subjectsOf(patients: readonly string[]): readonly Subject[] {
    return patients.flatMap((patient) =>
      this.#config.subjectKeys.map((key) => ({ patient, key: subjectKey(key, patient) })),
    );
  }

  /** Single lines, each with its proof. */
  async #listed(
    query: LinesRequest,
    subjects: readonly Subject[],
    without: readonly string[],
  ): Promise<FoundPage> {
    const lines: UnprovenLine[] = [];
    const next = await this.#merged(
      query,
      subjects,
      without,
      (line) => lines.length < query.count && lines.push(line) > 0,
    );
    const proven = await this.#proofs.prove(lines);
    const cut = lines[proven.length]; // there was no room for its proof
    return { lines: proven, next: cut === undefined ? next : before(cut) };
  }

  /**
   * Sums of the lines that a page may read. A recipient with further lines appears again on the next page.
   */
  async #summed(
    query: LinesRequest,
    subjects: readonly Subject[],
    without: readonly string[],
  ): Promise<FoundPage> {
    const sums = new LineSums<UnprovenLine>(Math.min(query.count, SUMS_MAX));
    const next = await this.#merged(query, subjects, without, (line) => sums.add(line));
    return { lines: sums.all.map((line) => Object.assign(line, { proven: undefined })), next };
  }

  #merged(
    {
      after,
      from,
      to,
      excluded,
      recipient,
      purpose,
      toldTo,
    }: LineFilter & Pick<LinesRequest, "after" | "toldTo">,
    subjects: readonly Subject[],
    without: readonly string[],
    take: (line: UnprovenLine) => boolean,
  ): Promise<LinePlace | undefined> {
    const filter = { from, to, excluded, recipient, purpose };
    const sources = subjects.map(
      ({ key }): LineSource<ProvableLine> =>
        (after, left) =>
          this.#shelf(key).linesAfter({ subject: key, after, filter, without }, left),
    );
    const rows = Math.floor(this.#rowsMax / subjects.length);
    return mergeLines(
      sources,
      after,
      { rows, withheld: rows },
      ({ log, index, line, lines, content, salt, path, consents }, source) => {
        const patient = subjects[source]?.patient ?? "";
        // a Consent may name what it lets through: only the individual is told of it
        const beside = toldTo === "individual" ? consents : undefined;
        return take({ patient, log, index, line, lines, content, salt, path, consents: beside });
      },
    );
  }

  /** Stores a suspension. The operators' worker has recorded it before. */
  async hold(input: unknown): Promise<Result<void, SuspensionProblem>> {
    const order = readSuspension(input);
    if (!order.ok) return order;
    const subject = subjectKey(this.#config.subjectKeys[0], order.value.patient);
    await this.#shelf(subject).hold(subject, order.value.suspension);
    return ok(undefined);
  }

  /**
   * Asks the shards first, then the intakes: a line that leaves a shard meanwhile is in an intake by then,
   * or on its shelf. An object that cannot be asked may have lines that no further object has: then there is
   * no answer.
   */
  async #shelveLines(subjects: readonly Subject[]): Promise<void> {
    const shelves = [...new Set(subjects.map(({ key }) => shelfNameOf(key)))];
    const now = this.#clock();
    const { shards, accountingKeys } = this.#config;
    const ownCalls = new OwnCalls(accountingKeys);
    const logs = new Set([...openLogs(shards, now), ...openLogs(shards, instant(now - CLOSED_MS))]);
    await inTurns([...logs], async (log) => {
      await this.#logOf(log).ownCall(ownCalls.seal(log, { kind: "shelve", shelves }));
    });
    await inTurns([...Map.groupBy(shelves, intakeNameOf)], ([intake, intakeShelves]) =>
      regionlessStubs(this.#env.ACCOUNTING_INTAKE, this.#config)(intake).shelve(intakeShelves),
    );
  }

  /**
   * A suspension for a record applies to all records that the origin united with it, because they are the
   * same individual.
   */
  async #heldBack(subjects: readonly Subject[]): Promise<ReadonlyMap<string, number>> {
    const holds: Suspension[] = [];
    for (const { key } of subjects) for (const hold of await this.#shelf(key).holdsOf(key)) holds.push(hold);
    return suspendedRecipients(holds, this.#clock());
  }

  #shelf(subject: Uint8Array): DurableObjectStub<AccountingShelf> {
    return regionlessStubs(this.#env.ACCOUNTING_SHELF, this.#config)(shelfNameOf(subject));
  }
}

const timeOf = ({ content }: FoundLine): number => readLine(content)?.at ?? 0;
