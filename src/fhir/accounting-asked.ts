import { err, ok, type Result } from "#kernel/result";
import type { QueryPair } from "./query.ts";
import { isOfPresentation, refusePresentation, type SearchRefusal } from "./search.ts";

export type AccountingFormat = "json" | "csv" | "html";

/** `Patient/[id]/$disclosures`: who was told what of a patient (45 CFR 164.528). An operation of Phylax's own. */
export interface AccountingAsked {
  readonly kind: "disclosures";
  readonly type: "Patient";
  readonly id: string;
  /** Days in UTC, `YYYY-MM-DD`, both included. */
  readonly start: string | undefined;
  readonly end: string | undefined;
  /** Also what the law does not ask to be listed. */
  readonly all: boolean;
  /** As the individual is told it, whoever asks: what an officer hands out. */
  readonly forIndividual: boolean;
  readonly format: AccountingFormat;
}

const formats: Readonly<Record<string, AccountingFormat>> = { "text/csv": "csv", csv: "csv", "text/html": "html", html: "html" };
const names = ["start", "end", "all", "for", "_format"];

/** Reads the parameters, each at most once. Never throws. */
export function readAccounting(id: string, pairs: readonly QueryPair[]): Result<AccountingAsked, SearchRefusal> {
  const read = new Map<string, string>();
  for (const { name, value } of pairs) {
    if (!names.includes(name) && !isOfPresentation(name)) {
      const parameter = /^_?[A-Za-z][A-Za-z0-9-]{0,63}$/u.exec(name)?.[0];
      return err(parameter === undefined ? { reason: "parameter_malformed" } : { reason: "parameter_not_supported", parameter });
    }
    if (read.has(name)) return err({ reason: "parameter_repeated", parameter: name });
    read.set(name, value);
    const isOwn = name === "_format" ? Object.hasOwn(formats, value.toLowerCase()) : names.includes(name);
    const refusal = isOwn ? undefined : refusePresentation(name, value);
    if (refusal !== undefined) return err(refusal);
  }
  const [start, end, all] = [read.get("start"), read.get("end"), read.get("all") ?? "false"];
  if (start !== undefined && !isDay(start)) return err({ reason: "parameter_value_malformed", parameter: "start" });
  if (end !== undefined && (!isDay(end) || (start !== undefined && end < start)))
    return err({ reason: "parameter_value_malformed", parameter: "end" });
  if (all !== "true" && all !== "false") return err({ reason: "parameter_value_malformed", parameter: "all" });
  const whose = read.get("for");
  if (whose !== undefined && whose !== "individual") return err({ reason: "parameter_value_malformed", parameter: "for" });
  const format = formats[read.get("_format")?.toLowerCase() ?? ""] ?? "json";
  return ok({ kind: "disclosures", type: "Patient", id, start, end, all: all === "true", forIndividual: whose !== undefined, format });
}

function isDay(text: string): boolean {
  const at = /^\d{4}-\d\d-\d\d$/u.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text);
}
