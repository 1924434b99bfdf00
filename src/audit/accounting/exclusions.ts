import { purposesAbove, purposesOutsideCare } from "#fhir/r4/purpose-of-use";
import type { AccountingLine } from "./line.ts";

/** The clauses of 45 CFR 164.528(a)(1): disclosures that an accounting need not list. */
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

/** De-identified data are no protected health information, so no clause of 164.528 is about them. */
export type ExclusionGround = ExclusionClause | "de-identified";

/** The law that excludes a line, and what it says. */
export const groundText = (ground: ExclusionGround): readonly [law: string, says: string] =>
  ground === "de-identified"
    ? ["164.502(d)(2)", "health information that is de-identified (164.514(a), (b))"]
    : [`164.528(a)(1)(${ground})`, exclusions[ground]];

/**
 * An operator's knowledge about an agreement that the lines do not state: each disclosure under it falls
 * under this clause.
 */
export type ExcludedAgreements = Readonly<Record<string, ExclusionClause>>;

/** States whether the law requires a line (164.528(a)(1)), or the clause that excludes it. */
export type AccountingDuty =
  | { readonly required: true }
  | { readonly required: false; readonly clause: ExclusionGround };

/**
 * The clause of a purpose of use, for a code and the codes below it in v3-ActReason. `required` marks a code below
 * an excluded code that is not excluded itself. A code that is missing here, or unknown, is required too: the
 * accounting rather lists too much than too little.
 */
const byPurpose: Readonly<Record<string, ExclusionClause | "required">> = {
  TREAT: "i",
  // Nobody but the individual can say whether it was an emergency: an accounting always lists break-glass.
  ETREAT: "required",
  HPAYMT: "i",
  HOPERAT: "i",
  ...Object.fromEntries(purposesOutsideCare.map((code) => [code, "required"] as const)),
  HDIRECT: "v",
  PATRQT: "ii",
  PWATRNY: "ii", // a personal representative is treated as the individual: 164.502(g)
  FAMRQT: "v",
  SUPNWK: "v",
};

/** The ground of each form in which rows leave. A form that is missing here is decided by its purpose. */
const byForm: Readonly<Record<string, ExclusionGround>> = {
  "safe-harbor": "de-identified",
  expert: "de-identified",
  "limited-data-set": "viii",
};

const COMPLIANCE = Date.UTC(2003, 3, 14); // 164.534(a): 14 April 2003

/**
 * Answers whether an accounting must list a line. If a line has several purposes, each must be excluded, and
 * the first purpose's clause is named.
 */
export function accountingDutyOf(
  { at, purposes, agreement, form }: Pick<AccountingLine, "at" | "purposes" | "agreement" | "form">,
  known: ExcludedAgreements,
): AccountingDuty {
  if (at < COMPLIANCE) return { required: false, clause: "ix" };
  if (form !== undefined && Object.hasOwn(byForm, form)) {
    const clause = byForm[form];
    if (clause !== undefined) return { required: false, clause };
  }
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
  for (const code of purposesAbove(purpose)) {
    const clause = Object.hasOwn(byPurpose, code) ? byPurpose[code] : undefined;
    if (clause !== undefined) return clause;
  }
  return "required";
}
