import { numberOf } from "../exact-json.ts";
import { field, text, type Value } from "../values.ts";
import { compares, type Comparator, type ComparedSpan } from "./comparator.ts";

/**
 * A searched number: its value, and the span that its written precision covers (R4 §3.1.1.4.6: 100 is 99.5 to
 * 100.5).
 */
export interface SearchedNumber {
  readonly exact: number;
  readonly span: ComparedSpan;
}

export function searchedNumber(written: string): SearchedNumber | undefined {
  const parts = /^[+-]?\d+(?:\.(?<fraction>\d+))?(?:[eE](?<exponent>[+-]?\d{1,3}))?$/u.exec(written);
  if (parts === null) return undefined;
  const exact = Number(written);
  const half =
    0.5 * 10 ** (Number(parts.groups?.["exponent"] ?? 0) - (parts.groups?.["fraction"]?.length ?? 0));
  return { exact, span: { low: exact - half, high: exact + half } };
}

/** Equality honours the written precision, the order comparisons the value itself (R4 §3.1.1.4.6). */
export function compareNumber(
  comparator: Comparator,
  { low, high }: ComparedSpan,
  { exact, span }: SearchedNumber,
): boolean {
  if (comparator === "eq" || comparator === "ne") return compares(comparator, { low, high }, span, 0);
  return compares(comparator, { low, high }, { low: exact, high: exact }, Math.abs(exact) / 10);
}

/** The span of a resource's number, Quantity, Money or Range. */
export function numberValue({ value }: Value): ComparedSpan | undefined {
  const plain = numberOf(value) ?? numberOf(field(value, "value"));
  if (plain !== undefined) return { low: plain, high: plain };
  const [low, high] = [
    numberOf(field(field(value, "low"), "value")),
    numberOf(field(field(value, "high"), "value")),
  ];
  return low === undefined && high === undefined
    ? undefined
    : { low: low ?? Number.NEGATIVE_INFINITY, high: high ?? Number.POSITIVE_INFINITY };
}

/**
 * True if a quantity is in the searched unit: `|system|code`, or `||code` for a code or unit of any system
 * (R4 §3.1.1.4.12).
 */
export function inUnit({ value }: Value, system: string, code: string): boolean {
  if (system !== "" && text(value, "system") !== system) return false;
  return (
    code === "" ||
    [text(value, "code"), text(value, "currency"), ...(system === "" ? [text(value, "unit")] : [])].includes(
      code,
    )
  );
}
