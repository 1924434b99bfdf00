import { parameterName } from "#fhir/r4/names";
import { err, ok, type Result } from "#kernel/result";
import { dayMilliseconds, instant, type Instant } from "#kernel/clock";
import { isZone } from "#kernel/wall-time";
import type { QueryPair } from "#fhir/search/query";
import { isOfPresentation, refusePresentation, type SearchRefusal } from "#fhir/search/search";

export type AccountingFormat = "json" | "csv" | "html";

/**
 * `Patient/[id]/$disclosures`: the recipients and the contents of disclosures about a patient (45 CFR
 * 164.528). An operation of Phylax's own.
 */
export interface AccountingRequest {
  readonly kind: "disclosures";
  readonly type: "Patient";
  readonly id: string;
  /** As written in the request: a day in UTC, or a time with its zone. */
  readonly start: AskedTime | undefined;
  readonly end: AskedTime | undefined;
  /** Also list disclosures that the law does not require to be listed. */
  readonly all: boolean;
  /** The individual's version for any requester: an officer hands it out. */
  readonly forIndividual: boolean;
  /** Sum up the disclosures to a recipient for a purpose (164.528(b)(3)). */
  readonly summed: boolean;
  /** Only disclosures to this client. */
  readonly recipient: string | undefined;
  /** Only disclosures for this purpose, a v3 ActReason code. */
  readonly purpose: string | undefined;
  /** The maximum number of entries on a page. */
  readonly count: number | undefined;
  readonly format: AccountingFormat;
  /** The IANA time zone in which the page for a person shows times. */
  readonly zone: string | undefined;
  /** For a further page, sealed in its link: the end of the previous page. */
  readonly place?: string | undefined;
}

/** The first or last time of an accounting, included. */
export interface AskedTime {
  readonly text: string;
  /** The first moment that the text covers; for an end, the last moment. */
  readonly at: Instant;
}

const formats: Readonly<Record<string, AccountingFormat>> = {
  "text/csv": "csv",
  csv: "csv",
  "text/html": "html",
  html: "html",
};
const names = ["start", "end", "all", "for", "summed", "recipient", "purpose", "_count", "_format", "zone"];
const countMax = 1_000;

/** Reads the parameters, each at most once. Never throws. */
export function readAccounting(
  id: string,
  pairs: readonly QueryPair[],
): Result<AccountingRequest, SearchRefusal> {
  const read = new Map<string, string>();
  for (const { name, value } of pairs) {
    if (!names.includes(name) && !isOfPresentation(name)) {
      const parameter = parameterName.exec(name)?.[0];
      return err(
        parameter === undefined
          ? { reason: "parameter_malformed" }
          : { reason: "parameter_not_supported", parameter },
      );
    }
    if (read.has(name)) return err({ reason: "parameter_repeated", parameter: name });
    read.set(name, value);
    const isOwn = name === "_format" ? Object.hasOwn(formats, value.toLowerCase()) : names.includes(name);
    const refusal = isOwn ? undefined : refusePresentation(name, value);
    if (refusal !== undefined) return err(refusal);
  }
  const malformed = (parameter: string) => err({ reason: "parameter_value_malformed", parameter } as const);
  const isMalformed = (name: string, pattern: RegExp) =>
    !pattern.test(read.get(name) ?? "") && read.has(name);
  const [start, end] = [read.get("start"), read.get("end")];
  const from = start === undefined ? undefined : timeAt(start, "start");
  if (start !== undefined && from === undefined) return malformed("start");
  const to = end === undefined ? undefined : timeAt(end, "end");
  if (end !== undefined && to === undefined) return malformed("end");
  if (from !== undefined && to !== undefined && to.at < from.at) return malformed("end");
  for (const name of ["all", "summed"]) if (isMalformed(name, /^(?:true|false)$/u)) return malformed(name);
  if (isMalformed("for", /^individual$/u)) return malformed("for");
  if (isMalformed("recipient", /^\S{1,256}$/u)) return malformed("recipient");
  if (isMalformed("purpose", /^[A-Za-z0-9_-]{1,64}$/u)) return malformed("purpose");
  const zone = read.get("zone");
  if (zone !== undefined && !isZone(zone)) return malformed("zone");
  if (isMalformed("_count", /^[1-9]\d{0,8}$/u)) return malformed("_count");
  const count = read.has("_count") ? Math.min(Number(read.get("_count")), countMax) : undefined;
  return ok({
    kind: "disclosures",
    type: "Patient",
    id,
    start: from,
    end: to,
    all: read.get("all") === "true",
    forIndividual: read.has("for"),
    summed: read.get("summed") === "true",
    recipient: read.get("recipient"),
    purpose: read.get("purpose"),
    count,
    zone,
    format: formats[read.get("_format")?.toLowerCase() ?? ""] ?? "json",
  });
}

/** The request as a query, from a time to a time, without presentation parameters. */
export function accountingQuery(
  { all, forIndividual, summed, recipient, purpose, count, zone }: AccountingRequest,
  { from, to }: { readonly from: string; readonly to: string },
): string {
  const pairs = [
    ["start", from],
    ["end", to],
    ["all", String(all)],
    ...(forIndividual ? [["for", "individual"]] : []),
    ...(summed ? [["summed", "true"]] : []),
    ...(recipient === undefined ? [] : [["recipient", recipient]]),
    ...(purpose === undefined ? [] : [["purpose", purpose]]),
    ...(count === undefined ? [] : [["_count", String(count)]]),
    ...(zone === undefined ? [] : [["zone", zone]]),
  ];
  return pairs
    .map(([name = "", value = ""]) => `${name}=${encodeURIComponent(value).replaceAll("%3A", ":")}`)
    .join("&");
}

/**
 * A FHIR date (a whole day in UTC), or a dateTime with its zone. An omitted fraction means any fraction.
 */
function timeAt(text: string, bound: "start" | "end"): AskedTime | undefined {
  const day = /^(\d{4}-\d\d-\d\d)(?:T\d\d:\d\d:\d\d(\.\d{1,3})?(?:Z|[+-]\d\d:\d\d))?$/u.exec(text);
  if (day === null) return undefined;
  const [, date = "", fraction = ""] = day;
  const isDay = text === date;
  const begun = Date.parse(isDay ? `${text}T00:00:00Z` : text);
  // no 30 February
  const isOne = new Date(Date.parse(`${date}T00:00:00Z`) || 0).toISOString().startsWith(date);
  if (Number.isNaN(begun) || !isOne) return undefined;
  const lasts = isDay ? dayMilliseconds : 10 ** (3 - Math.max(0, fraction.length - 1));
  return { text, at: instant(bound === "start" ? begun : begun + lasts - 1) };
}
