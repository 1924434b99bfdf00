import { decidedByText } from "#audit/decided-by-words";
import { Misuse } from "../misuse.ts";
import type { AuditEvent, Counts } from "#audit/event";
import { personText } from "#auditing/person-words";
import { csvRow } from "#audit/accounting/csv";
import { toBase64 } from "#ledger/bytes/base64";
import { auditorOptions, auditorSource } from "../records/auditor-source.ts";
import { eventFilter, filterOptions, NamedClient } from "../records/event-filter.ts";
import { eventsOf, type EventOnRecord } from "#auditing/ledger-events";
import { printable } from "../printable.ts";
import { UnreadList } from "../records/unread.ts";
import { complain, giveLine, printsJson, say } from "../output.ts";
import { readCall } from "../read-call.ts";

/**
 * Opens the leaves of each log with an auditor's key and prints the events in the order of their times:
 * patient data, on standard output and nowhere else. With --limit, the latest events. Leaves that could not
 * be opened are reported on standard error; the exit code is 1 then.
 */
export async function ledgerRead(args: readonly string[]): Promise<number> {
  const options = {
    ...auditorOptions,
    ...filterOptions,
    csv: { type: "boolean", default: false },
    limit: { type: "string" },
  } as const;
  const { values, positionals } = readCall(args, options);
  const limit = limitOf(values.limit);
  if (printsJson() && values.csv) throw new Misuse("choose --json or --csv");
  if (positionals.length > 1) throw new Misuse("name one URL or folder and nothing more");
  const isSelected = eventFilter(values);
  const source = await auditorSource(values, positionals[0]);
  const unread = new UnreadList();
  const lines: { readonly at: number; readonly text: string }[] = []; // texts, to save memory
  const textOf = (found: EventOnRecord): string =>
    printsJson() ? JSON.stringify(asJson(found)) : values.csv ? asCsv(found) : asLine(found);
  const named = new NamedClient(values.client);
  for await (const found of eventsOf(source)) {
    if (!("event" in found)) {
      unread.add(found);
      continue;
    }
    named.note(found.event);
    if (isSelected(found.event)) lines.push({ at: found.event.at, text: printable(textOf(found)) });
  }
  named.check(unread.count === 0);
  lines.sort((left, right) => left.at - right.at);
  if (values.csv) say(csvRow(csvColumns));
  for (const { text } of limit === undefined ? lines : lines.slice(-limit))
    if (printsJson()) giveLine(JSON.parse(text));
    else say(text);
  for (const line of unread.lines) complain(printable(line));
  return unread.count === 0 ? 0 : 1;
}

/**
 * `{ log, leaves, leaf, frame, event }`: leaf numbers, the first leaf's hash in base64, the frame's number.
 * Times in an event are in ms.
 */
export function asJson({ log, leaves, parts, frame, event, unknownKeys }: EventOnRecord): object {
  const [first] = leaves;
  return {
    log: log.name,
    leaves: leaves.map(({ index }) => index),
    leaf: toBase64(first?.hash ?? new Uint8Array()),
    frame: frame.number,
    ...(leaves.length < parts ? { missingParts: parts - leaves.length } : {}),
    ...(unknownKeys.length > 0 ? { unknownKeys } : {}),
    event,
  };
}

const csvColumns = [
  "time",
  "log",
  "leaf",
  "kind",
  "caller",
  "user",
  "purposes",
  "interaction",
  "address",
  "status",
  "reason",
  "patients",
  "request",
  "person",
  "emergency",
  "review",
] as const;

function asCsv({ log, leaves, event }: EventOnRecord): string {
  const { who, what, why, outcome } = event;
  return csvRow([
    new Date(event.at).toISOString(),
    log.name,
    String(leaves[0]?.index ?? ""),
    event.kind,
    who?.client ?? who?.operator ?? "",
    who?.user ?? who?.subject ?? "",
    (why?.purposes ?? []).join(" "),
    what?.interaction ?? "",
    [what?.origin, what?.type, what?.id].filter((part) => part !== undefined && part !== "").join("/"),
    String(outcome?.status ?? ""),
    outcome?.reason ?? "",
    event.patients.map(({ patient }) => patient).join(" "),
    event.id,
    personOf(event) ?? "",
    event.emergency?.justification ?? "",
    event.emergency?.review ?? "",
  ]);
}

/** An operator is named by its entry. */
const personOf = (event: AuditEvent): string | undefined =>
  event.who?.operator === undefined ? personText(event) : undefined;

/** A declared emergency, in the caller's words. */
const emergencyOf = ({ emergency }: AuditEvent): string | undefined =>
  emergency &&
  `emergency: ${emergency.justification ?? "no reason given"} (review ${emergency.review ?? "unknown"})`;

function limitOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/u.test(text)) throw new Misuse("--limit is a whole number from 1");
  return Number(text);
}

export function asLine({ log, leaves, parts, event }: EventOnRecord): string {
  const { who, what, why, outcome, withheld, configuration } = event;
  const place = what?.id ?? (what?.parameters ?? []).map(([name, value]) => `${name}=${value}`).join("&");
  const target =
    [what?.origin, what?.type].filter(Boolean).join("/") +
    (place === "" ? "" : what?.id === undefined ? `?${place}` : `/${place}`);
  const patients = event.patients.map(
    ({ patient, counts, state }) =>
      `${patient}${state === undefined ? "" : ` of ${state}`}${countsOf(counts)}`,
  );
  const words = [
    new Date(event.at).toISOString(),
    `${log.name}/${leaves[0]?.index}`,
    event.kind,
    who?.client ?? who?.operator ?? configuration?.worker ?? "unknown caller",
    (why?.purposes ?? []).join("+"),
    what?.interaction,
    target,
    outcome?.status,
    outcome?.reason,
    event.decision && `(${decidedByText(event.decision)})`,
    configuration &&
      `sha-256 ${configuration.digest}: ` +
        configuration.settings.map(([name, value]) => `${name}=${value}`).join(", "),
    patients.length > 0 && `patients: ${patients.join(", ")}`,
    (event.asked?.length ?? 0) > 0 && `requested outside row access: ${event.asked?.join(", ")}`,
    event.unnamed.length > 0 && `without a patient in the record: ${event.unnamed.join(", ")}`,
    (withheld?.paths?.length ?? 0) > 0 && `${withheld?.paths?.length} elements withheld`,
    (withheld?.resources ?? 0) > 0 && `${withheld?.resources} resources withheld`,
    personOf(event) && `by ${personOf(event)}`,
    emergencyOf(event),
    leaves.length < parts && `${parts - leaves.length} of ${parts} parts missing`,
    `request ${event.id}${event.step ? `.${event.step}` : ""}`,
  ];
  return words.filter((word) => word !== undefined && word !== false && word !== "").join(" ");
}

const countsOf = (counts: Counts): string => {
  const each = Object.entries(counts).map(([type, count]) => `${type} ${count}`);
  return each.length === 0 ? "" : ` (${each.join(", ")})`;
};
