import { type AccountingLine, readLine } from "#audit/accounting";
import { type AccountingFacts, protocolsWithin, protocolText } from "#audit/accounting-facts";
import { writeProof } from "#audit/accounting-proof";
import type { FoundLine } from "#audit/disclosures";
import { purposeInWords } from "./purpose-words.ts";
import { exclusions, type Standing, standingOf } from "#audit/exclusions";

/** A disclosure as an accounting tells it. */
export interface ToldLine {
  /** `<log>/<leaf index>/<line number>`. */
  readonly place: string;
  readonly patient: string; // as `Patient/<id>`
  readonly recipient: { readonly id: string; readonly name: string; readonly address: string | undefined };
  readonly says: AccountingLine;
  readonly standing: Standing;
  /** In an officer's: until when the individual is not to be told of it, as RFC 3339 writes it (164.528(a)(2)). */
  readonly heldUntil: string | undefined;
  /** JSON; undefined while no checkpoint reaches it. */
  readonly proof: string | undefined;
}

/** An accounting, before it has a form. */
export interface Accounting {
  readonly lines: readonly ToldLine[];
  /** The records of the one individual, as `Patient/<id>`: the one that was asked for first, and others that have lines here. */
  readonly patients: readonly string[];
  readonly from: string; // days, both included
  readonly to: string;
  readonly all: boolean;
  /** What is said beside the lines, sentence by sentence. */
  readonly words: readonly string[];
}

/** What a proof shows and what it does not: nobody may take the one for the other. */
const ofProofs =
  "Each line has a proof that anyone can check with the ledger's public key: that this disclosure was on record when its checkpoint was signed. " +
  "No proof shows that no line is missing: only an auditor who opens every record can see that.";

const ofLinks =
  "This record has more links to others than were looked at: disclosures of the same person's other records may be missing here.";

/** Beside an officer's lines alone. */
const ofHolds =
  "Some lines are suspended (45 CFR 164.528(a)(2)): the individual is not to be told of them until the time they say. " +
  "With for=individual this accounting is as the individual is told it.";

/** Judges lines and puts them into words. What the law does not ask for is left out unless `all`. */
export function tellAccounting(
  found: readonly FoundLine[],
  facts: AccountingFacts,
  { patient, isWhole, from, to, all }: Pick<Accounting, "from" | "to" | "all"> & { readonly patient: string; readonly isWhole: boolean },
): Accounting {
  const told = found
    .map((line) => toldLine(line, facts))
    .filter(({ standing }) => all || standing.required)
    .toSorted((one, other) => one.says.at - other.says.at); // those of several records of one person, too
  const scope = all
    ? "Every disclosure is listed; each says whether 45 CFR 164.528 asks for it."
    : "Listed is what 45 CFR 164.528 asks for; all=true lists the others as well.";
  const patients = [...new Set([patient, ...told.map((line) => line.patient)])];
  const held = told.some(({ heldUntil }) => heldUntil !== undefined) ? [ofHolds] : [];
  const research = protocolsWithin(facts, from, to).map(protocolText);
  const more = isWhole ? [] : [ofLinks];
  const words = [`Disclosures of ${patients.join(" and ")} from ${from} to ${to}. ${scope}`, ...more, ...held, ofProofs, ...research];
  return { lines: told, patients, from, to, all, words };
}

function toldLine(line: FoundLine, { recipients, agreements }: AccountingFacts): ToldLine {
  const says = readLine(line.content);
  if (says === undefined) throw new Error("accounting: a line that this version cannot read");
  const known = Object.hasOwn(recipients, says.recipient) ? recipients[says.recipient] : undefined;
  return {
    place: `${line.log}/${line.index}/${line.line}`,
    patient: line.patient.slice(line.patient.indexOf("/") + 1),
    recipient: { id: says.recipient, name: known?.name ?? says.recipient, address: known?.address },
    says,
    standing: standingOf(says, agreements),
    heldUntil: line.heldUntil === undefined ? undefined : new Date(line.heldUntil).toISOString(),
    proof: writeProof(line),
  };
}

/** Whether the law asks for a line, in words. */
export const standingText = (standing: Standing): string =>
  standing.required ? "yes" : `no: 164.528(a)(1)(${standing.clause}), ${exclusions[standing.clause]}`;

/** What was disclosed: `Observation 12, Patient 1`. */
export const countsText = ({ counts }: AccountingLine): string =>
  Object.entries(counts)
    .map(([type, count]) => `${type} ${count}`)
    .join(", ") || "that nothing was found";

export const purposeText = ({ purposes }: AccountingLine): string => purposes.map(purposeInWords).join(", ");
