import { csvRow } from "./accounting/csv.ts";
import { english, kindInWords } from "./accounting/page/english.ts";
import type { Affected } from "./breach.ts";
import type { Counts } from "./event.ts";

/** `Observation 12, Patient 1` */
export const countsInRow = (counts: Counts): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ") || "none";

/**
 * The affected individuals as rows of CSV (RFC 4180), for a mailing and for the log of breaches
 * (45 CFR 164.408(c)).
 */
export function breachCsv(affected: readonly Omit<Affected<unknown>, "stateFrom">[]): readonly string[] {
  const head = ["patient", "state", "first", "last", "disclosed", "policies", "never disclosed", "records"];
  return [
    csvRow(head),
    ...affected.map(({ patient, state, first, last, disclosed, policies, withheld, records }) =>
      csvRow([
        patient,
        state,
        new Date(first).toISOString(),
        new Date(last).toISOString(),
        countsInRow(disclosed),
        policies.join(" "),
        withheld.join(" "),
        String(records.length),
      ]),
    ),
  ];
}

/** The facts of a notice to an individual that records have. Dates are calendar days, `2026-11-24`. */
export interface BreachLetterFacts {
  /** `<origin>/Patient/<id>`; undefined: a draft for all individuals, which names none. */
  readonly patient: string | undefined;
  readonly from: string;
  readonly to: string;
  /** FHIR resource types. */
  readonly types: readonly string[];
  readonly discovered: string | undefined;
  /** The last day of 164.404(b). */
  readonly by: string | undefined;
}

/**
 * The draft of a notice to an individual (45 CFR 164.404(c)), a paragraph an element. Brackets mark the facts
 * that no record has.
 */
export const breachLetter = ({
  patient,
  from,
  to,
  types,
  discovered,
  by,
}: BreachLetterFacts): readonly string[] => [
  "[date]",
  `[name and last known address of ${patient ?? "the individual"}; next of kin if the individual died ` +
    "(164.404(d)(1)(ii))]",
  "Notice of a breach of your health information",
  `What happened. ${from === to ? `On ${dayInWords(from)}` : `Between ${dayInWords(from)} and ${dayInWords(to)}`} information about you was ` +
    "disclosed without permission. [What happened, in plain words.] " +
    `We discovered this on ${discovered === undefined ? "[date of the discovery]" : dayInWords(discovered)}.`,
  `What information. Records of these kinds: ${
    types.length === 0 ? "[kinds]" : types.map((type) => kindInWords(type)[1]).join("; ")
  }. [Whether names, social security numbers, account numbers, diagnoses were among them.]`,
  "What you can do. [Steps to protect yourself.]",
  "What we do. [The investigation, the measures against harm, and against a repetition.]",
  "Ask us. [A toll-free telephone number, an e-mail address, a web site, or a postal address.]",
  `[Send by first-class mail without unreasonable delay, by ${by === undefined ? "60 days after the discovery" : dayInWords(by)} at the latest.]`,
];

/** `2026-11-24` as a person writes it. */
function dayInWords(text: string): string {
  const [year = 0, month = 0, day = 0] = text.split("-").map(Number);
  return english.date({ year, month, day });
}
