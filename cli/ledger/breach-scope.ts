import type { BreachClocks } from "#audit/breach-clocks";
import { breachCsv, breachLetter, countsInRow } from "#audit/breach-papers";
import type { AuditEvent } from "#audit/event";
import { type AffectedIndividual, type BreachReport, findBreach, reportOf } from "#auditing/breach-findings";
import { Misuse } from "../misuse.ts";
import { printable } from "../printable.ts";
import { auditorOptions, auditorSource } from "../records/auditor-source.ts";
import { eventFilter, NamedClient, timeOf } from "../records/event-filter.ts";
import { UnreadList } from "../records/unread.ts";
import { complain, giveResult, printsJson, say } from "../output.ts";
import { readCall } from "../read-call.ts";

interface Report extends BreachReport {
  /** The names that the records must have: a client, a certificate, a key, a token, a user. */
  readonly client?: string;
  readonly certificate?: string;
  readonly "key-id"?: string;
  readonly token?: string;
  readonly user?: string;
  readonly from: string;
  readonly to: string;
}

/**
 * Lists the individuals of whom a client received health information between two times, the kinds of
 * information, and the deadlines of the notices (45 CFR 164.400-414). It reads a ledger or an exported folder
 * with an auditor's key. Returns 1 when a part of the ledger could not be read: more individuals may be
 * affected then.
 */
export async function breachScope(args: readonly string[]): Promise<number> {
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
  const { values, positionals } = readCall(args, { ...auditorOptions, ...options });
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
  if ([printsJson(), values.csv, values.letter].filter(Boolean).length > 1)
    throw new Misuse("choose one of --json, --csv and --letter");
  const isNamed = eventFilter({ ...names, from, to });
  const since = discovered === undefined ? undefined : timeOf(discovered, "discovered");
  const source = await auditorSource(values, positionals[0]);
  const named = new NamedClient(values.client);
  const isInScope = (event: AuditEvent): boolean => {
    named.note(event);
    return (
      isNamed(event) &&
      (purpose.length === 0 || (event.why?.purposes ?? []).some((code) => purpose.includes(code))) &&
      (origin.length === 0 || origin.includes(event.what?.origin ?? ""))
    );
  };

  const unread = new UnreadList();
  const findings = await findBreach(source, isInScope, since, (part) =>
    "missingParts" in part ? unread.addParts(part.log, part.missingParts) : unread.add(part),
  );
  named.check(unread.count === 0);
  const report: Report = {
    ...names,
    from: new Date(timeOf(from, "from")).toISOString(),
    to: new Date(timeOf(to, "to")).toISOString(),
    ...reportOf(findings),
  };
  giveResult(report);
  if (values.csv) for (const row of breachCsv(report.affected)) say(row);
  else if (values.letter) say(printableLines(letterOf(report)));
  else print(report);
  for (const line of unread.lines) complain(line);
  if (unread.count > 0)
    complain(
      "INCOMPLETE: the unread leaves may name more individuals and their States; " +
        "run again with the keys of all auditors",
    );
  return unread.count === 0 ? 0 : 1;
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
    `${namesOf(report)}, ${from} to ${to}: individuals: ${individuals}, records: ${records.length}`,
    `by state of residence: ${countsInRow(byState)}`,
    ...(report.undecided > 0
      ? [
          `${report.undecided} in no known State: 164.406 may count each in any State, ` +
            "so ask the origin where they live",
        ]
      : []),
    `disclosed: ${countsInRow(disclosed)}`,
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
  for (const line of lines) say(printable(line));
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

/** A draft for all individuals: it names none. */
const letterOf = ({ from, to, disclosed, clocks }: Report): string =>
  breachLetter({
    patient: undefined,
    from: from.slice(0, 10),
    to: to.slice(0, 10),
    types: Object.keys(disclosed),
    discovered: clocks?.discovered,
    by: clocks?.individuals,
  }).join("\n\n");

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
  return `${patient} (${state}): ${countsInRow(disclosed)}; ${times}, ${records.length} records${views}${never}`;
}
