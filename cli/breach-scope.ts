import { parseArgs } from "node:util";
import { type Affected, type BreachScope, BreachTally } from "#audit/breach";
import { breachClocks, undecided, type BreachClocks } from "#audit/breach-clocks";
import type { AuditEvent, Counts } from "#audit/event";
import { utf8 } from "#ledger/bytes/bytes";
import { formatReceipt } from "#ledger/receipt";
import { auditorOptions, auditorSource, auditorUsage } from "./auditor-source.ts";
import { eventFilter, timeOf } from "./event-filter.ts";
import { eventsOf, type EventOnRecord } from "./ledger-events.ts";
import { Misuse, tellFault } from "./ledger-keys.ts";
import { printable } from "./printable.ts";
import { UnreadList } from "./unread.ts";

export const breachScopeUsage =
  `phylax breach-scope [URL|DIR] --client ID --from TIME --to TIME ${auditorUsage} ` +
  "[--purpose CODE]… [--origin NAME]… [--discovered DATE] [--json]";

/** What of a record is handed on: when, which request, and a receipt for each of its leaves that checks offline. */
interface Proven {
  readonly at: string;
  readonly request: string;
  readonly receipts: readonly string[];
}

/** Where a record stands; its event is let go of. */
type Place = Pick<EventOnRecord, "log" | "frame" | "leaves"> & Pick<AuditEvent, "at" | "id">;

/** `stateRecord`: number of the record that says the state, among those. */
type Told = Omit<Affected<Place>, "stateFrom"> & { readonly stateRecord?: number };

interface Report extends Omit<BreachScope<Place>, "affected"> {
  readonly client: string;
  readonly from: string;
  readonly to: string;
  /** Whether every leaf could be opened: else there may be more. */
  readonly complete: boolean;
  readonly individuals: number;
  /** Of whom it is not known in which State they live: each may be counted in any (164.406). */
  readonly undecided: number;
  readonly clocks?: BreachClocks;
  readonly affected: readonly Told[];
  readonly records: readonly Proven[];
  /** By which it is known where the affected live, of whatever client and time. */
  readonly stateRecords: readonly Proven[];
}

/**
 * Says whose health information a client got between two times, of which kinds, and who has to be told until when (45 CFR 164.400-414),
 * from a ledger or an exported folder and an auditor's key. Answers 1 when a part of the ledger could not be read: there may be more then.
 */
export async function breachScope(args: readonly string[]): Promise<number> {
  try {
    const one = { type: "string" } as const;
    const many = { type: "string", multiple: true, default: [] as string[] } as const;
    const options = {
      client: one,
      from: one,
      to: one,
      purpose: many,
      origin: many,
      discovered: one,
    } as const;
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...auditorOptions, ...options, json: { type: "boolean", default: false } },
    });
    const { client, from, to, purpose, origin, discovered } = values;
    if (positionals.length > 1) throw new Misuse("one URL or folder, and nothing more");
    if (client === undefined || from === undefined || to === undefined)
      throw new Misuse("--client, --from and --to are needed");
    const isNamed = eventFilter({ client, from, to });
    const since = discovered === undefined ? undefined : timeOf(discovered, "discovered");
    const source = await auditorSource(values, positionals[0]);
    const isAsked = (event: AuditEvent): boolean =>
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
      if (!isAsked(event)) continue;
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
    else tell(report);
    for (const line of unread.lines) console.error(line);
    if (unread.count > 0)
      console.error(
        "INCOMPLETE: what could not be read may tell of more individuals, and of where they live",
      );
    return unread.count === 0 ? 0 : 1;
  } catch (fault) {
    return tellFault(fault, breachScopeUsage);
  }
}

function located(affected: readonly Affected<Place>[]): Pick<Report, "affected" | "stateRecords"> {
  const numbers = new Map<Place, number>();
  const told = affected.map(({ stateFrom, ...one }): Told => {
    if (stateFrom === undefined) return one;
    const stateRecord = numbers.get(stateFrom) ?? numbers.size;
    numbers.set(stateFrom, stateRecord);
    return { ...one, stateRecord };
  });
  return { affected: told, stateRecords: [...numbers.keys()].map(proven) };
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

function tell(report: Report): void {
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
          `${report.undecided} in no State that is known: 164.406 may count each in any, so ask the origin where they live`,
        ]
      : []),
    `disclosed: ${countsOf(disclosed)}`,
    ...(clocks === undefined ? ["clocks: none without --discovered"] : clockLines(clocks)),
    ...(askedInVain.length > 0 ? [`asked for, nothing found: ${askedInVain.join(", ")}`] : []),
    ...(askedBeyondReach.length > 0 ? [`asked for beyond its reach: ${askedBeyondReach.join(", ")}`] : []),
    ...(unnamed.length > 0
      ? [
          `disclosed, of no patient that a record names: ${unnamed.join(", ")}: whose these are, ask the origin`,
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
      ? "no State has more than 500 residents that are known"
      : media.states.join(", ");
  const maybe = media.maybe.length === 0 ? "" : `; those in no known State decide: ${media.maybe.join(", ")}`;
  return [
    `discovered ${discovered}`,
    `45 CFR 164.404(b): each individual without unreasonable delay, by ${individuals} at the latest`,
    `45 CFR 164.406: media by ${media.by}: ${sure}${maybe}`,
    `45 CFR ${secretary.clause}: the Secretary by ${secretary.by}`,
  ];
}

function affectedLine({ patient, state, first, last, disclosed, policies, withheld, records }: Told): string {
  const times = [...new Set([first, last])].map((at) => new Date(at).toISOString()).join(" to ");
  const views = policies.length === 0 ? "" : `; policy ${policies.join(", ")}`;
  const kept = withheld.length === 0 ? "" : `; never: ${withheld.join(", ")}`;
  return `${patient} (${state}): ${countsOf(disclosed)}; ${times}, ${records.length} records${views}${kept}`;
}

const countsOf = (counts: Counts): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ") || "none";
