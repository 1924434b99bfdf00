import { purposeOfUse } from "#fhir/r4/purpose-of-use.gen";
import type { AccountingLine } from "./line.ts";

/** A clause of 45 CFR 164.528(a)(1): disclosures that an accounting need not list. */
export const exclusions = {
  i: "to carry out treatment, payment and health care operations (164.506)",
  ii: "to the individual about himself or herself (164.502)",
  iii: "incident to a use or disclosure that is otherwise permitted (164.502(a)(1)(iii))",
  iv: "pursuant to an authorization (164.508)",
  v: "for a facility's directory, or to persons involved in the individual's care (164.510)",
  vi: "for national security or intelligence purposes (164.512(k)(2))",
  vii: "to correctional institutions or law enforcement officials about someone in custody (164.512(k)(5))",
  viii: "as part of a limited data set (164.514(e))",
  ix: "before the compliance date of the covered entity",
} as const;
export type ExclusionClause = keyof typeof exclusions;

/**
 * What an operator knows of an agreement that no line says: under it every disclosure falls under this
 * clause.
 */
export type ExcludedAgreements = Readonly<Record<string, ExclusionClause>>;

/** Whether the law asks for a line (164.528(a)(1)), or by which clause it does not. */
export type AccountingDuty =
  | { readonly required: true }
  | { readonly required: false; readonly clause: ExclusionClause };

/**
 * What a purpose of use says, for a code and those below it in v3-ActReason. A code that stands below an
 * excluded one and is a permission of its own in 164.512, or in doubt, is listed here as required; a code
 * that is not here, or not known, is required too: too much is told, never too little.
 */
const byPurpose: Readonly<Record<string, ExclusionClause | "required">> = {
  TREAT: "i",
  HPAYMT: "i",
  HOPERAT: "i",
  DONAT: "required", // 164.512(h)
  GOV: "required", // 164.512(k)
  HDECD: "required", // 164.512(g)
  HLEGAL: "required", // 164.512(e), where it is not legal services of one's own
  MILCDM: "required", // 164.512(k)(1)
  MILDCRG: "required", // 164.512(k)(1)
  MLTRAINING: "required", // no operation that 164.501 names
  HDIRECT: "v",
  PATRQT: "ii",
  PWATRNY: "ii", // a personal representative is treated as the individual: 164.502(g)
  FAMRQT: "v",
  SUPNWK: "v",
};

const COMPLIANCE = Date.UTC(2003, 3, 14); // 164.534(a): 14 April 2003

/**
 * Whether an accounting must list a line. Of several purposes each must be excluded, and the first one's
 * clause is named.
 */
export function accountingDutyOf(
  { at, purposes, agreement }: Pick<AccountingLine, "at" | "purposes" | "agreement">,
  known: ExcludedAgreements,
): AccountingDuty {
  if (at < COMPLIANCE) return { required: false, clause: "ix" };
  if (agreement !== undefined && Object.hasOwn(known, agreement)) {
    const clause = known[agreement];
    if (clause !== undefined) return { required: false, clause };
  }
  const clauses = purposes.map(clauseOf);
  const [first] = clauses;
  return first === undefined || first === "required" || clauses.includes("required")
    ? { required: true }
    : { required: false, clause: first };
}

function clauseOf(purpose: string): ExclusionClause | "required" {
  for (
    let code: string | undefined = purpose;
    code;
    code = Object.hasOwn(purposeOfUse, code) ? purposeOfUse[code] : undefined
  ) {
    const clause = Object.hasOwn(byPurpose, code) ? byPurpose[code] : undefined;
    if (clause !== undefined) return clause;
  }
  return "required";
}
