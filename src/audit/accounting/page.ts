import { type AccountingLine, readLine } from "./line.ts";
import { type AccountingFacts, protocolsWithin, protocolText } from "./facts.ts";
import { writeLineProof } from "./proof.ts";
import type { FoundLine } from "./disclosures.ts";
import { placeText } from "./line-place.ts";
import { purposeInWords } from "./purpose-words.ts";
import { exclusions, type AccountingDuty, accountingDutyOf } from "./exclusions.ts";

/** A disclosure as an accounting tells it. */
export interface AccountingEntry {
  /** `<log>/<leaf index>/<line number>`. */
  readonly place: string;
  readonly patient: string; // as `Patient/<id>`
  readonly recipient: { readonly id: string; readonly name: string; readonly address: string | undefined };
  readonly says: AccountingLine;
  readonly standing: AccountingDuty;
  /**
   * In an officer's: until when the individual is not to be told of it, as RFC 3339 writes it
   * (164.528(a)(2)).
   */
  readonly heldUntil: string | undefined;
  /** JSON; undefined while no checkpoint reaches it, and of a sum. */
  readonly proof: string | undefined;
  /** Where the entry is several disclosures: the line is the first of these. */
  readonly sum: EntrySum | undefined;
}

export interface EntrySum {
  readonly number: number;
  /** As RFC 3339 writes it. */
  readonly last: string;
  readonly lastPlace: string;
  /** Of all of them, as {@link countsText}. */
  readonly disclosed: string;
}

/** An accounting, before it has a form. */
export interface Accounting {
  readonly lines: readonly AccountingEntry[];
  /**
   * The records of the one individual, as `Patient/<id>`: the one that was asked for first, and others that
   * have lines here.
   */
  readonly patients: readonly string[];
  readonly from: string; // days or times, both included
  readonly to: string;
  readonly all: boolean;
  /** Disclosures to one recipient for one purpose are one entry (45 CFR 164.528(b)(3)). */
  readonly summed: boolean;
  /** Whether no page came before this one. */
  readonly isFirst: boolean;
  /** The next page, when there is one. */
  readonly next: string | undefined;
  /** What is said beside the lines, sentence by sentence. */
  readonly words: readonly string[];
}

/** What a proof shows and what it does not: nobody may take the one for the other. */
const ofProofs =
  "Each line has a proof that anyone can check with the ledger's public key: that this disclosure was on record when its checkpoint was signed. " +
  "No proof shows that no line is missing: only an auditor who opens every record can see that.";

/** Beside sums alone, in every form. */
export const sumsSentence =
  "Disclosures to one recipient for one purpose are one entry: the first, how many, and the last";

const ofSums =
  `${sumsSentence} (45 CFR 164.528(b)(3)). ` +
  "Without summed=true each is listed with its proof; recipient and purpose narrow the list to one entry's.";

const ofFirstPage = "This is the first page; the accounting is whole with all of its pages.";
const ofPage = "This is a further page; the accounting is whole with all of its pages.";

/**
 * The same of a record that is not there, may not be seen, or was not looked at: which it is is nothing to
 * tell.
 */
const ofLinks =
  "Not every link between this person's records could be confirmed: disclosures of another record of the same person may be missing here.";

/** Beside an officer's lines alone. */
const ofHolds =
  "Some lines are suspended (45 CFR 164.528(a)(2)): the individual is not to be told of them until the time they say. " +
  "With for=individual this accounting is as the individual is told it.";

interface Told extends Pick<Accounting, "from" | "to" | "all" | "summed" | "isFirst" | "next"> {
  readonly patient: string;
  readonly isWhole: boolean;
}

/** Judges the lines of a page and puts them into words. */
export function composeAccounting(
  found: readonly FoundLine[],
  facts: AccountingFacts,
  told: Told,
): Accounting {
  const { patient, isWhole, from, to, all, summed, isFirst, next } = told;
  const lines = found
    .map((line) => toldLine(line, facts, summed))
    .toSorted((one, other) => one.says.at - other.says.at);
  const scope = all
    ? "Every disclosure is listed; each says whether 45 CFR 164.528 asks for it."
    : "Listed is what 45 CFR 164.528 asks for; all=true lists the others as well.";
  const patients = [...new Set([patient, ...lines.map((line) => line.patient)])];
  const words = [
    `Disclosures of ${patients.join(" and ")} from ${from} to ${to}. ${scope}`,
    ...(isFirst ? [] : [ofPage]),
    ...(isFirst && next !== undefined ? [ofFirstPage] : []),
    ...(next === undefined ? [] : [`${nextPage}${next}`]),
    ...(summed ? [ofSums] : []),
    ...(isWhole ? [] : [ofLinks]),
    ...(lines.some(({ heldUntil }) => heldUntil !== undefined) ? [ofHolds] : []),
    ...(summed ? [] : [ofProofs]),
    ...protocolsWithin(facts, from.slice(0, 10), to.slice(0, 10)).map(protocolText),
  ];
  return { lines, patients, from, to, all, summed, isFirst, next, words };
}

/** What the sentence begins with that names the next page: in a table it is all that names it. */
export const nextPage = "The next page: ";

function toldLine(
  line: FoundLine,
  { recipients, agreements }: AccountingFacts,
  summed: boolean,
): AccountingEntry {
  const says = readLine(line.content);
  if (says === undefined) throw new Error("accounting: a line that this version cannot read");
  const known = Object.hasOwn(recipients, says.recipient) ? recipients[says.recipient] : undefined;
  return {
    place: placeText(line),
    patient: line.patient.slice(line.patient.indexOf("/") + 1),
    recipient: { id: says.recipient, name: known?.name ?? says.recipient, address: known?.address },
    says,
    standing: accountingDutyOf(says, agreements),
    heldUntil: line.heldUntil === undefined ? undefined : new Date(line.heldUntil).toISOString(),
    proof: summed ? undefined : writeLineProof(line),
    sum: line.sum && {
      number: line.sum.number,
      last: new Date(line.sum.last.at).toISOString(),
      lastPlace: placeText(line.sum.last),
      disclosed: countsText(line.sum),
    },
  };
}

/** Whether the law asks for a line, in words. */
export const standingText = (standing: AccountingDuty): string =>
  standing.required ? "yes" : `no: 164.528(a)(1)(${standing.clause}), ${exclusions[standing.clause]}`;

/** What was disclosed: `Observation 12, Patient 1`. */
export const countsText = ({ counts }: Pick<AccountingLine, "counts">): string =>
  Object.entries(counts)
    .map(([type, count]) => `${type} ${count}`)
    .join(", ") || "that nothing was found";

export const purposeText = ({ purposes }: AccountingLine): string => purposes.map(purposeInWords).join(", ");
