import { adviceOn } from "#entrypoint/advice";
import { dayMilliseconds } from "#kernel/clock";
import { Misuse, UnusableName } from "../misuse.ts";
import { complain } from "../output.ts";
import { printable } from "../printable.ts";
import { type AuditEvent, eventKinds } from "#audit/event";
import { currentReason } from "#audit/renamed-reasons";
import { type CallerNames, isOfCaller } from "#auditing/event-names";
import { patientGiven } from "./patient-names.ts";

/** Options that filter events. */
export const filterOptions = {
  from: { type: "string" },
  to: { type: "string" },
  patient: { type: "string" },
  client: { type: "string" },
  user: { type: "string" },
  certificate: { type: "string" },
  "key-id": { type: "string" },
  token: { type: "string" },
  request: { type: "string" },
  purpose: { type: "string" },
  kind: { type: "string" },
  reason: { type: "string" },
} as const;
export interface FilterValues extends CallerNames {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly patient?: string | undefined;
  /** Id of the request. */
  readonly request?: string | undefined;
  readonly purpose?: string | undefined;
  readonly kind?: string | undefined;
  readonly reason?: string | undefined;
}

/**
 * A predicate for the events that the options select, by the time of arrival of the request, both ends
 * included. `reason` may be a code that an earlier version recorded. A tally of refusals matches each reason
 * that it counts. Throws a Misuse.
 */
export function eventFilter({
  from,
  to,
  patient: stated,
  kind,
  reason,
  request,
  purpose,
  ...names
}: FilterValues): (event: AuditEvent) => boolean {
  const [first, last] = [
    from === undefined ? 0 : timeOf(from, "from"),
    to === undefined ? Infinity : timeOf(to, "to"),
  ];
  if (last < first) throw new Misuse("--to is before --from: swap the two times");
  const patient = stated === undefined ? undefined : patientGiven(stated);
  if (kind !== undefined && !Object.hasOwn(eventKinds, kind))
    throw new Misuse(`--kind is one of ${Object.keys(eventKinds).join(", ")}`);
  const named = reason === undefined ? undefined : currentReason(reason);
  // No fault: a record of a later version may have it. Without a word a misspelt reason would look like no refusal.
  if (named !== undefined && adviceOn(named).length === 0)
    complain(`--reason ${printable(named)} is no reason of this version: docs/refusals.md has the reasons`);
  return (event) =>
    event.at >= first &&
    event.at <= last &&
    (kind === undefined || event.kind === kind) &&
    (named === undefined || event.outcome?.reason === named || Object.hasOwn(event.tally ?? {}, named)) &&
    isOfCaller(event, names) &&
    (request === undefined || event.id === request) &&
    (purpose === undefined || event.why?.purposes?.includes(purpose) === true) &&
    (patient === undefined ||
      event.patients.some((concerned) => concerned.patient === patient) ||
      event.asked?.includes(patient) === true);
}

/**
 * Learns from each event that is read whether any record names the client of the call, at any time. A misspelt id finds
 * nothing, and "nothing" is what a search for a breach must not say by mistake.
 */
export class NamedClient {
  readonly #client: string | undefined;
  #isOnRecord = false;

  constructor(client: string | undefined) {
    this.#client = client;
  }

  note(event: AuditEvent): void {
    this.#isOnRecord ||= event.who?.client === this.#client;
  }

  /** Throws an UnusableName if every record was read and none names the client. */
  check(isWhole: boolean): void {
    if (this.#client !== undefined && isWhole && !this.#isOnRecord)
      throw new UnusableName(
        `no record of this ledger names the client ${this.#client}: check the id, \`phylax client list\` has each`,
      );
  }
}

/** Parses RFC 3339 to ms since 1970. A date alone is its first moment in UTC, or with --to its last. */
export function timeOf(text: string, option: "from" | "to" | "discovered" | "at"): number {
  const isDate = /^\d{4}-\d\d-\d\d$/u.test(text);
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?(?:Z|[+-]\d\d:\d\d)$/u.test(text);
  const at = isDate || isTime ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    throw new Misuse(
      `--${option} is a date or a time as RFC 3339 writes it: 2026-11-24 or 2026-11-24T09:30:00Z`,
    );
  return isDate && option === "to" ? at + dayMilliseconds - 1 : at;
}
