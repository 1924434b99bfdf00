import { type Affected, type BreachScope, BreachTally } from "#audit/breach";
import { breachClocks, undecided, type BreachClocks } from "#audit/breach-clocks";
import type { AuditEvent } from "#audit/event";
import { utf8 } from "#kernel/encoded";
import { formatReceipt } from "#ledger/receipt";
import { type AuditorSource, type EventOnRecord, eventsOf, type Unread } from "./ledger-events.ts";

/** The position of a record. The event itself is dropped, to save memory. */
export type RecordPlace = Pick<EventOnRecord, "log" | "frame" | "leaves"> & Pick<AuditEvent, "at" | "id">;

/** The individuals of a breach, and the records that prove it. */
export interface BreachFindings {
  readonly scope: BreachScope<RecordPlace>;
  /** Each record in scope; `Affected.records` has indexes of this list. */
  readonly records: readonly RecordPlace[];
  /** Every leaf opened. If false, more individuals may be affected. */
  readonly complete: boolean;
  /** Individuals in no known State. Each may count in any State (164.406). */
  readonly undecided: number;
  /** Undefined if no day of the discovery was given. */
  readonly clocks: BreachClocks | undefined;
}

/** A part of the ledger that could not be read, or the number of unread parts of an event. */
export type UnreadPart = Unread | { readonly log: string; readonly missingParts: number };

/**
 * Reads a ledger with an auditor's key, and lists the individuals of the events in scope (45 CFR 164.402) with
 * the deadlines of the notices.
 *
 * @param discovered ms since 1970: the day of 164.404(a)(2).
 */
export async function findBreach(
  source: AuditorSource,
  isInScope: (event: AuditEvent) => boolean,
  discovered: number | undefined,
  onUnread: (part: UnreadPart) => void,
): Promise<BreachFindings> {
  const [tally, records] = [new BreachTally<RecordPlace>(), [] as RecordPlace[]];
  let complete = true;
  const miss = (part: UnreadPart) => {
    complete = false;
    onUnread(part);
  };
  for await (const found of eventsOf(source)) {
    if (!("event" in found)) {
      miss(found);
      continue;
    }
    const { log, frame, leaves, parts, event } = found;
    const place = { log, frame, leaves, at: event.at, id: event.id };
    tally.locate(event, place);
    if (!isInScope(event)) continue;
    if (leaves.length < parts) miss({ log: log.name, missingParts: parts - leaves.length });
    if (tally.add(event, records.length)) records.push(place);
  }
  const { scope } = tally;
  return {
    scope,
    records,
    complete,
    undecided: undecided(scope.byState),
    clocks: discovered === undefined ? undefined : breachClocks(discovered, scope.byState),
  };
}

/**
 * The part of a record that a report hands on: the time, the request, and for each leaf a receipt that
 * verifies offline.
 */
export interface ProvenRecord {
  readonly at: string;
  readonly request: string;
  readonly receipts: readonly string[];
}

/** `stateRecord` is the index in `stateRecords` of the record that names the State. */
export type AffectedIndividual = Omit<Affected<RecordPlace>, "stateFrom"> & { readonly stateRecord?: number };

/** The findings as JSON has them: a report that others can repeat and check. */
export interface BreachReport extends Omit<BreachScope<RecordPlace>, "affected"> {
  readonly complete: boolean;
  readonly individuals: number;
  readonly undecided: number;
  readonly clocks?: BreachClocks;
  readonly affected: readonly AffectedIndividual[];
  readonly records: readonly ProvenRecord[];
  /** The records that name the affected individuals' States, of any client and time. */
  readonly stateRecords: readonly ProvenRecord[];
}

/** Makes the receipts of the records. */
export function reportOf(findings: BreachFindings): BreachReport {
  const { scope, records, complete, clocks } = findings;
  return {
    complete,
    individuals: scope.affected.length,
    undecided: findings.undecided,
    ...(clocks === undefined ? {} : { clocks }),
    ...scope,
    ...located(scope.affected),
    records: records.map(proven),
  };
}

function located(
  affected: readonly Affected<RecordPlace>[],
): Pick<BreachReport, "affected" | "stateRecords"> {
  const numbers = new Map<RecordPlace, number>();
  const individuals = affected.map(({ stateFrom, ...individual }): AffectedIndividual => {
    if (stateFrom === undefined) return individual;
    const stateRecord = numbers.get(stateFrom) ?? numbers.size;
    numbers.set(stateFrom, stateRecord);
    return { ...individual, stateRecord };
  });
  return { affected: individuals, stateRecords: [...numbers.keys()].map(proven) };
}

function proven({ log, frame, leaves, at, id }: RecordPlace): ProvenRecord {
  const receipts = leaves.map(({ index, hash }) =>
    formatReceipt({
      log: log.name,
      index,
      leafHash: hash,
      frameHash: frame.hash,
      proof: utf8(log.proof(index)),
    }),
  );
  return { at: new Date(at).toISOString(), request: id, receipts };
}
