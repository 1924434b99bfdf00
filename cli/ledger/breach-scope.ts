import { Misuse, printFault } from "../misuse.ts";
import { parseArgs } from "node:util";
import { type Affected, type BreachScope, BreachTally } from "#audit/breach";
import { breachClocks, undecided, type BreachClocks } from "#audit/breach-clocks";
import type { AuditEvent, Counts } from "#audit/event";
import { utf8 } from "#kernel/encoded";
import { formatReceipt } from "#ledger/receipt";
import { auditorOptions, auditorSource } from "../records/auditor-source.ts";
import { eventFilter, timeOf } from "../records/event-filter.ts";
import { eventsOf, type EventOnRecord } from "#auditing/ledger-events";
import { printable } from "../printable.ts";
import { UnreadList } from "../records/unread.ts";

/**
 * The part of a record that the report hands on: the time, the request, and for each leaf a receipt that
 * verifies offline.
 */
interface Proven {
  readonly at: string;
  readonly request: string;
  readonly receipts: readonly string[];
}

/** The position of a record. The event itself is dropped, to save memory. */
type Place = Pick<EventOnRecord, "log" | "frame" | "leaves"> & Pick<AuditEvent, "at" | "id">;

/** `stateRecord` is the index in `stateRecords` of the record that names the State. */
type AffectedIndividual = Omit<Affected<Place>, "stateFrom"> & { readonly stateRecord?: number };

interface Report extends Omit<BreachScope<Place>, "affected"> {
  readonly client: string;
  readonly from: string;
  readonly to: string;
  /** Every leaf opened. If false, more individuals may be affected. */
  readonly complete: boolean;
  readonly individuals: number;
  /** Individuals in no known State. Each may count in any State (164.406). */
  readonly undecided: number;
  readonly clocks?: BreachClocks;
  readonly affected: readonly AffectedIndividual[];
  readonly records: readonly Proven[];
  /** The records that name the affected individuals' States, of any client and time. */
  readonly stateRecords: readonly Proven[];
}

/**
 * Lists the individuals of whom a client received health information between two times, the kinds of
 * information, and the deadlines of the notices (45 CFR 164.400-414). It reads a ledger or an exported folder
 * with an auditor's key. Returns 1 when a part of the ledger could not be read: more individuals may be
 * affected then.
 */
export async function breachScope(args: readonly string[]): Promise<number> {
  try {
    const single = { type: "string" } as const;
    const many = { type: "string", multiple: true, default: [] as string[] } as const;
    const options = {
      client: single,
      from: single,
      to: single,
      purpose: many,
      origin: many,
      discovered: single,
    } as const;
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...auditorOptions, ...options, json: { type: "boolean", default: false } },
    });
    const { client, from, to, purpose, origin, discovered } = values;
    if (positionals.length > 1) throw new Misuse("name one URL or folder and nothing more");
    if (client === undefined || from === undefined || to === undefined)
      throw new Misuse("name the client and the period: --client, --from and --to");
    const isNamed = eventFilter({ client, from, to });
    const since = discovered === undefined ? undefined : timeOf(discovered, "discovered");
    const source = await auditorSource(values, positionals[0]);
    const isInScope = (event: AuditEvent): boolean =>
      isNamed(event) &&
      (purpose.length === 0 || (event.why?.purposes ?? []).some((code) => purpose.includes(code))) &&
      (origin.length === 0 || origin.includes(event.what?.origin ?? ""));

    const [tally, unread, records] = [new BreachTally<Place>(), new UnreadList(), [] as Proven[]];
    for await (const found of eventsOf(source)) {
      if (!("event" in found)) {
        unread.add(found);
        continue;
      }
      const { log, frame, leaves, parts, event } = found;
      const place = { log, frame, leaves, at: event.at, id: event.id };
      tally.locate(event, place);
      if (!isInScope(event)) continue;
      if (leaves.length < parts) unread.addParts(log.name, parts - leaves.length);
      if (tally.add(event, records.length)) records.push(proven(place));
    }
    const { scope } = tally;
    const report: Report = {
      client,
      from: new Date(timeOf(from, "from")).toISOString(),
      to: new Date(timeOf(to, "to")).toISOString(),
      complete: unread.count === 0,
      individuals: scope.affected.length,
      undecided: undecided(scope.byState),
      ...(since === undefined ? {} : { clocks: breachClocks(since, scope.byState) }),
      ...scope,
      ...located(scope.affected),
      records,
    };
    if (values.json) console.log(printable(JSON.stringify(report)));
    else print(report);
    for (const line of unread.lines) console.error(line);
    if (unread.count > 0)
      console.error(
        "INCOMPLETE: the unread leaves may name more individuals and their States; " +
          "run again with the keys of all auditors",
      );
    return unread.count === 0 ? 0 : 1;
  } catch (fault) {
    return printFault(fault);
  }
}

function located(affected: readonly Affected<Place>[]): Pick<Report, "affected" | "stateRecords"> {
  const numbers = new Map<Place, number>();
  const individuals = affected.map(({ stateFrom, ...individual }): AffectedIndividual => {
    if (stateFrom === undefined) return individual;
    const stateRecord = numbers.get(stateFrom) ?? numbers.size;
    numbers.set(stateFrom, stateRecord);
    return { ...individual, stateRecord };
  });
  return { affected: individuals, stateRecords: [...numbers.keys()].map(proven) };
}

function proven({ log, frame, leaves, at, id }: Place): Proven {
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

function print(report: Report): void {
  const {
    client,
    from,
    to,
    individuals,
    byState,
    disclosed,
    clocks,
    records,
    askedInVain,
    askedBeyondReach,
    unnamed,
    written,
  } = report;
  const lines = [
    `${client}, ${from} to ${to}: ${individuals} individuals in ${records.length} records`,
    `by state of residence: ${countsOf(byState)}`,
    ...(report.undecided > 0
      ? [
          `${report.undecided} in no known State: 164.406 may count each in any State, ` +
            "so ask the origin where they live",
        ]
      : []),
    `disclosed: ${countsOf(disclosed)}`,
    ...(clocks === undefined ? ["clocks: none without --discovered"] : clockLines(clocks)),
    ...(askedInVain.length > 0 ? [`requested, nothing found: ${askedInVain.join(", ")}`] : []),
    ...(askedBeyondReach.length > 0
      ? [`requested outside its row access: ${askedBeyondReach.join(", ")}`]
      : []),
    ...(unnamed.length > 0
      ? [
          `disclosed, with no patient in the record: ${unnamed.join(", ")}: ` +
            "ask the origin whose records these are",
        ]
      : []),
    ...(written.length > 0 ? [`concerned by its writes: ${written.join(", ")}`] : []),
    ...report.affected.map(affectedLine),
  ];
  for (const line of lines) console.log(printable(line));
}

function clockLines({ discovered, individuals, media, secretary }: BreachClocks): string[] {
  const sure =
    media.states.length === 0
      ? "no State is known to have more than 500 affected residents"
      : media.states.join(", ");
  const maybe =
    media.maybe.length === 0
      ? ""
      : `; depends on the individuals in no known State: ${media.maybe.join(", ")}`;
  return [
    `discovered ${discovered}`,
    `45 CFR 164.404(b): each individual without unreasonable delay, by ${individuals} at the latest`,
    `45 CFR 164.406: media by ${media.by}: ${sure}${maybe}`,
    `45 CFR ${secretary.clause}: the Secretary by ${secretary.by}`,
  ];
}

function affectedLine(individual: AffectedIndividual): string {
  const { patient, state, first, last, disclosed, policies, withheld, records } = individual;
  const times = [...new Set([first, last])].map((at) => new Date(at).toISOString()).join(" to ");
  const views = policies.length === 0 ? "" : `; policy ${policies.join(", ")}`;
  const never = withheld.length === 0 ? "" : `; never: ${withheld.join(", ")}`;
  return `${patient} (${state}): ${countsOf(disclosed)}; ${times}, ${records.length} records${views}${never}`;
}

const countsOf = (counts: Counts): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ") || "none";
