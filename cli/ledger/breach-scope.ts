import { Misuse, printFault } from "../misuse.ts";
import { parseArgs } from "node:util";
import { type Affected, type BreachScope, BreachTally } from "#audit/breach";
import { breachClocks, undecided, type BreachClocks } from "#audit/breach-clocks";
import type { AuditEvent, Counts } from "#audit/event";
import { utf8 } from "#kernel/encoded";
import { formatReceipt } from "#ledger/receipt";
import { auditorOptions, auditorSource } from "../records/auditor-source.ts";
import { csvRow } from "#audit/accounting/csv";
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
  /** The names that the records must have: a client, a certificate, a key, a token, a user. */
  readonly client?: string;
  readonly certificate?: string;
  readonly "key-id"?: string;
  readonly token?: string;
  readonly user?: string;
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
      certificate: single,
      "key-id": single,
      token: single,
      user: single,
      csv: { type: "boolean", default: false },
      letter: { type: "boolean", default: false },
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
    const { from, to, purpose, origin, discovered } = values;
    const names = Object.fromEntries(
      (["client", "certificate", "key-id", "token", "user"] as const).flatMap((name) => {
        const value = values[name];
        return value === undefined ? [] : [[name, value]];
      }),
    );
    if (positionals.length > 1) throw new Misuse("name one URL or folder and nothing more");
    if (Object.keys(names).length === 0 || from === undefined || to === undefined)
      throw new Misuse(
        "name the client and the period: --client, --from and --to; " +
          "or --certificate, --key-id, --token or --user in place of the client",
      );
    if ([values.json, values.csv, values.letter].filter(Boolean).length > 1)
      throw new Misuse("choose one of --json, --csv and --letter");
    const isNamed = eventFilter({ ...names, from, to });
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
      ...names,
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
    else if (values.csv) for (const row of csvRows(report)) console.log(row);
    else if (values.letter) console.log(printableLines(letterOf(report)));
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
    `${namesOf(report)}, ${from} to ${to}: ${individuals} individuals in ${records.length} records`,
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

const namesOf = ({ client, certificate, "key-id": key, token, user }: Report): string =>
  [
    client,
    certificate && `certificate ${certificate}`,
    key && `key ${key}`,
    token && `token ${token}`,
    user && `user ${user}`,
  ]
    .filter((name) => name !== undefined && name !== "")
    .join(", ");

/** The affected individuals, a row each, for a mailing and for the log of breaches (45 CFR 164.408(c)). */
function csvRows({ affected }: Report): readonly string[] {
  const head = ["patient", "state", "first", "last", "disclosed", "policies", "never disclosed", "records"];
  return [
    csvRow(head),
    ...affected.map(({ patient, state, first, last, disclosed, policies, withheld, records }) =>
      csvRow([
        patient,
        state,
        new Date(first).toISOString(),
        new Date(last).toISOString(),
        countsOf(disclosed),
        policies.join(" "),
        withheld.join(" "),
        String(records.length),
      ]),
    ),
  ];
}

/** A draft of the notice to an individual (45 CFR 164.404(c)). Brackets mark the facts that no record has. */
function letterOf(report: Report): string {
  const types = Object.keys(report.disclosed);
  return [
    "[date]",
    "",
    "[name and last known address of the individual; next of kin if the individual died (164.404(d)(1)(ii))]",
    "",
    "Notice of a breach of your health information",
    "",
    `What happened. Between ${report.from.slice(0, 10)} and ${report.to.slice(0, 10)} information about you was ` +
      "disclosed without permission. [What happened, in plain words.] " +
      `We discovered this on ${report.clocks?.discovered ?? "[date of the discovery]"}.`,
    "",
    `What information. Records of these kinds: ${types.length === 0 ? "[kinds]" : types.join(", ")}. ` +
      "[Whether names, social security numbers, account numbers, diagnoses were among them.]",
    "",
    "What you can do. [Steps to protect yourself.]",
    "",
    "What we do. [The investigation, the measures against harm, and against a repetition.]",
    "",
    "Ask us. [A toll-free telephone number, an e-mail address, a web site, or a postal address.]",
    "",
    `[Send by first-class mail without unreasonable delay, by ${report.clocks?.individuals ?? "60 days after the discovery"} at the latest.]`,
  ].join("\n");
}

const printableLines = (text: string): string => text.split("\n").map(printable).join("\n");

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
