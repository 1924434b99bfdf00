import { dayMilliseconds } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { isPatient } from "#audit/values";

/**
 * A suspension of an individual's right to an accounting of the disclosures to a recipient, for the time that
 * a health oversight agency or a law enforcement official states (45 CFR 164.528(a)(2)).
 */
export interface Suspension {
  readonly id: string;
  /** Client id of the agency or official. */
  readonly recipient: string;
  /** The period of the statement: ms since 1970, both included. */
  readonly from: number;
  readonly to: number;
  /** The statement and its author: (a)(2)(i) in writing, or (a)(2)(ii)(A) oral and documented afterwards. */
  readonly statement: string;
  readonly oral: boolean;
}

/** A suspension of a patient's accounting, as an operator submits it. */
export interface SuspensionRequest {
  readonly patient: string; // `<origin>/Patient/<id>`
  readonly suspension: Suspension;
}

export interface SuspensionProblem {
  readonly reason: "suspension_invalid";
  readonly field: string; // never its value
}

// 164.528(a)(2)(ii)(C): an oral statement counts for no longer than 30 days.
const ORAL_MS = 30 * dayMilliseconds;
const fields = ["id", "patient", "recipient", "from", "to", "statement", "oral"];

/**
 * Reads an operator's document: `{ id, patient, recipient, from, to, statement, oral }`, times as RFC 3339
 * writes them. Never throws.
 */
export function readSuspension(input: unknown): Result<SuspensionRequest, SuspensionProblem> {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return bad("");
  const given = new Map<string, unknown>(Object.entries(input));
  const unknownField = [...given.keys()].find((field) => !fields.includes(field));
  if (unknownField !== undefined) return bad(/^[a-z]{1,32}$/iu.test(unknownField) ? unknownField : "");
  const text = (field: string, pattern: RegExp): string | undefined => {
    const value = given.get(field);
    return typeof value === "string" && pattern.test(value) ? value : undefined;
  };
  const [id, recipient, statement] = [
    text("id", /^[A-Za-z0-9._-]{1,64}$/u),
    text("recipient", /^\S{1,256}$/u),
    text("statement", /^[^\p{Cc}]{10,4000}$/u),
  ];
  const [patient, from, to] = [given.get("patient"), timeAt(given.get("from")), timeAt(given.get("to"))];
  const oral = given.get("oral") ?? false;
  if (id === undefined) return bad("id");
  if (!isPatient(patient)) return bad("patient");
  if (recipient === undefined) return bad("recipient");
  if (from === undefined) return bad("from");
  if (to === undefined || to < from) return bad("to");
  if (statement === undefined) return bad("statement");
  if (typeof oral !== "boolean") return bad("oral");
  if (oral && to - from > ORAL_MS) return bad("to");
  return ok({ patient, suspension: { id, recipient, from, to, statement, oral } });
}

/**
 * The recipients whose disclosures are withheld from the individual at an instant, each with the end of the
 * suspension in ms since 1970.
 */
export function suspendedRecipients(
  suspensions: readonly Suspension[],
  now: number,
): ReadonlyMap<string, number> {
  const until = new Map<string, number>();
  for (const { recipient, from, to } of suspensions)
    if (now >= from && now <= to) until.set(recipient, Math.max(to, until.get(recipient) ?? 0));
  return until;
}

function timeAt(value: unknown): number | undefined {
  if (
    typeof value !== "string" ||
    !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?(?:Z|[+-]\d\d:\d\d)$/u.test(value)
  )
    return undefined;
  const at = Date.parse(value);
  return Number.isNaN(at) || at < 0 ? undefined : at;
}

const bad = (field: string): Result<never, SuspensionProblem> => err({ reason: "suspension_invalid", field });
