import type { ExcludedAgreements } from "./exclusions.ts";

/** A recipient of disclosures: the entity, and its address if it is known (45 CFR 164.528(b)(2)(ii)). */
export interface Recipient {
  readonly name: string;
  readonly address?: string | undefined;
}

/** Facts that an entity adds to its accountings, since the lines do not state them. */
export interface AccountingFacts {
  /** The recipients, by client id. The registry's entry of a client goes before them. */
  readonly recipients: Readonly<Record<string, Recipient>>;
  readonly agreements: ExcludedAgreements;
  /** The entity that makes the accountings; undefined if the operator did not state it. */
  readonly entity: { readonly name: string; readonly contact?: string | undefined } | undefined;
  /** The public address of the ledger, and the key of its root log: a page can then check itself in the browser. */
  readonly ledger: PublicLedger | undefined;
  /** The IANA time zone of a page for a request that names none. */
  readonly zone: string;
  readonly protocols: readonly ResearchProtocol[];
}

/** The ledger as its readers know it. */
export interface PublicLedger {
  /** `https://host` without a trailing slash. */
  readonly url: string;
  /** The verifier key of the root log (C2SP signed-note): it covers every log. */
  readonly key: string;
}

/**
 * A research activity for which the records of 50 or more individuals were disclosed, with the facts that
 * 164.528(b)(4)(i)(A)–(F) requires.
 */
export interface ResearchProtocol {
  readonly name: string;
  /** In plain language: its purpose, and the criteria by which records were selected. */
  readonly description: string;
  /** The kind of health information that was disclosed. */
  readonly information: string;
  /** Days, `YYYY-MM-DD`: the period of disclosures, with the date of the last one. */
  readonly from: string;
  readonly to: string;
  /** Name, address and telephone number of the sponsor, and of the researcher who received the records. */
  readonly sponsor: string;
  readonly researcher: string;
}

/** The protocols whose period overlaps that of an accounting (days, both included). */
export const protocolsWithin = (
  { protocols }: AccountingFacts,
  from: string,
  to: string,
): readonly ResearchProtocol[] => protocols.filter((protocol) => protocol.from <= to && protocol.to >= from);

/** A protocol as a paragraph; its last sentence is that of 164.528(b)(4)(i)(F). */
export const protocolText = ({
  name,
  description,
  information,
  from,
  to,
  sponsor,
  researcher,
}: ResearchProtocol): string =>
  `Research protocol ${name}: ${description} Information: ${information}. Disclosures from ${from} to ${to}. Sponsor: ${sponsor}. ` +
  `Researcher: ${researcher}. Your health information may or may not have been disclosed for this protocol.`;
