import { type AccountingLine, readLine } from "./line.ts";
import { type PermittingConsent, readLineConsents } from "./line-consents.ts";
import { type AccountingFacts, protocolsWithin, protocolText } from "./facts.ts";
import { writeLineProof } from "./proof.ts";
import type { FoundLine } from "./disclosures.ts";
import type { Counts } from "#audit/event";
import { placeText } from "./line-place.ts";
import { purposeInWords } from "./purpose-words.ts";
import { groundText, type AccountingDuty, accountingDutyOf } from "./exclusions.ts";

/** A disclosure as an accounting lists it. */
export interface AccountingEntry {
  /** `<log>/<leaf index>/<line number>`. */
  readonly place: string;
  readonly patient: string; // as `Patient/<id>`
  readonly recipient: { readonly id: string; readonly name: string; readonly address: string | undefined };
  readonly says: AccountingLine;
  readonly standing: AccountingDuty;
  /**
   * For the individual: the Consents that let something of this disclosure through, as the gateway noted them. No
   * proof covers them. A sum has none.
   */
  readonly consents: readonly PermittingConsent[];
  /** For an officer: the end of the suspension for the individual, as RFC 3339 writes it (164.528(a)(2)). */
  readonly heldUntil: string | undefined;
  /** JSON; undefined while no checkpoint covers the line, and for a sum. */
  readonly proof: string | undefined;
  /** If the entry stands for several disclosures: the line is the first of them. */
  readonly sum: EntrySum | undefined;
}

export interface EntrySum {
  readonly number: number;
  /** As RFC 3339 writes it. */
  readonly last: string;
  readonly lastPlace: string;
  /** Sums over all disclosures of the entry, as {@link countsText}. */
  readonly disclosed: string;
  readonly counts: Counts;
}

/** An accounting, independent of its format. */
export interface Accounting {
  readonly lines: readonly AccountingEntry[];
  /**
   * The records of the individual, as `Patient/<id>`: first the requested record, then further records with
   * lines here.
   */
  readonly patients: readonly string[];
  readonly from: string; // days or times, both included
  readonly to: string;
  readonly all: boolean;
  /** Disclosures to the same recipient for the same purpose are a single entry (45 CFR 164.528(b)(3)). */
  readonly summed: boolean;
  /** `true`: no page came before this page. */
  readonly isFirst: boolean;
  /** The next page, if there is one. */
  readonly next: string | undefined;
  /** Every link between the person's records was followed. */
  readonly isWhole: boolean;
  /** Research of 50 or more individuals, in the words of 45 CFR 164.528(b)(4). */
  readonly research: readonly string[];
  /** The sentences that accompany the lines in a table and in FHIR. */
  readonly words: readonly string[];
}

/** States the strength and the limit of a proof, so that readers do not confuse the two. */
const proofsSentences =
  "Each line has a proof that anyone can check with the ledger's public key: that this disclosure was on record when its checkpoint was signed. " +
  "No proof shows that no line is missing: only an auditor who opens every record can see that.";

/** Only with sums, in every format. */
export const sumsSentence =
  "Disclosures to one recipient for one purpose are one entry: the first, how many, and the last";

const sumsSentences =
  `${sumsSentence} (45 CFR 164.528(b)(3)). ` +
  "To list each disclosure with its proof, leave out summed=true; recipient and purpose narrow the list to a single entry.";

const firstPageSentence = "This is the first page; the accounting is complete only with all of its pages.";
const furtherPageSentence = "This is a further page; the accounting is complete only with all of its pages.";

/**
 * The sentence is equal for an absent record, a hidden record and a record that was not examined: the
 * difference must not show.
 */
const linksSentence =
  "Some links between this person's records could not be confirmed: disclosures of another record of the same person may be missing here.";

/** Only with an officer's lines. */
const suspensionSentences =
  "Some lines are suspended (45 CFR 164.528(a)(2)): do not disclose them to the individual before the time that each line states. " +
  "Add for=individual to get the accounting that the individual may receive.";

/** Only with a line that names a Consent. */
const consentsSentence =
  "A Consent beside a line let something of that disclosure through: this is the gateway's word, which no proof covers. " +
  "An auditor can check it against the sealed records. A line without a Consent needed none, or none was noted.";

export interface AccountingScope extends Pick<
  Accounting,
  "from" | "to" | "all" | "summed" | "isFirst" | "next"
> {
  readonly patient: string;
  readonly isWhole: boolean;
}

/** Judges the lines of a page and writes the sentences that accompany them. */
export function composeAccounting(
  found: readonly FoundLine[],
  facts: AccountingFacts,
  scope: AccountingScope,
): Accounting {
  const { patient, isWhole, from, to, all, summed, isFirst, next } = scope;
  const lines = found
    .map((line) => entryOf(line, facts, summed))
    .toSorted((one, other) => one.says.at - other.says.at);
  const scopeSentence = all
    ? "Every disclosure is listed; each line says whether 45 CFR 164.528 requires it."
    : "Only the disclosures that 45 CFR 164.528 requires are listed; add all=true to list all disclosures.";
  const research = protocolsWithin(facts, from.slice(0, 10), to.slice(0, 10)).map(protocolText);
  const patients = [...new Set([patient, ...lines.map((line) => line.patient)])];
  const words = [
    `Disclosures of ${patients.join(" and ")} from ${from} to ${to}. ${scopeSentence}`,
    ...(isFirst ? [] : [furtherPageSentence]),
    ...(isFirst && next !== undefined ? [firstPageSentence] : []),
    ...(next === undefined ? [] : [`${nextPage}${next}`]),
    ...(summed ? [sumsSentences] : []),
    ...(isWhole ? [] : [linksSentence]),
    ...(lines.some(({ heldUntil }) => heldUntil !== undefined) ? [suspensionSentences] : []),
    ...(lines.some(({ consents }) => consents.length > 0) ? [consentsSentence] : []),
    ...(summed ? [] : [proofsSentences]),
    ...research,
  ];
  return { lines, patients, from, to, all, summed, isFirst, next, isWhole, research, words };
}

/**
 * The beginning of the sentence that names the next page; in a table it is the only mark of that sentence.
 */
export const nextPage = "The next page: ";

function entryOf(
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
    consents: summed || isEmpty(line.consents) ? [] : readLineConsents(line.consents),
    heldUntil: line.heldUntil === undefined ? undefined : new Date(line.heldUntil).toISOString(),
    proof: summed ? undefined : writeLineProof(line),
    sum: line.sum && {
      number: line.sum.number,
      last: new Date(line.sum.last.at).toISOString(),
      lastPlace: placeText(line.sum.last),
      disclosed: countsText(line.sum),
      counts: line.sum.counts,
    },
  };
}

const isEmpty = (bytes: Uint8Array | undefined): bytes is undefined =>
  bytes === undefined || bytes.length === 0;

/** A Consent beside a line: when it was given or filed, and for which purposes. */
export const consentText = ({ given, filedAt, purposes, digest }: PermittingConsent): string => {
  const filed = new Date(filedAt).toISOString();
  const dated = given === undefined ? `Consent filed ${filed}` : `Consent given ${given}, filed ${filed}`;
  const why = purposes.length === 0 ? "each purpose" : purposes.map(purposeInWords).join(", ");
  return `${dated}, for ${why} (digest ${digest})`;
};

/** States in words whether the law requires a line. */
export const standingText = (standing: AccountingDuty): string =>
  standing.required ? "yes" : `no: ${groundText(standing.clause).join(", ")}`;

/** The disclosed resources: `Observation 12, Patient 1`. */
export const countsText = ({ counts }: Pick<AccountingLine, "counts">): string =>
  Object.entries(counts)
    .map(([type, count]) => `${type} ${count}`)
    .join(", ") || "that nothing was found";

export const purposeText = ({ purposes }: AccountingLine): string => purposes.map(purposeInWords).join(", ");
