import { largest } from "#kernel/largest";
import type { Instant } from "#kernel/clock";
import type { ConsentRules } from "./consent.ts";
import {
  judgeConsent,
  type ConsentRequest,
  type ConsentVerdict,
  type GeneralOpening,
} from "./judge-consent.ts";
import type { ConsentRowFacts } from "./row-facts.ts";

/** A Consent of a patient as it was filed. */
export interface FiledConsent {
  /** The pseudonym of the Consent resource. */
  readonly consent: string;
  /** SHA-256 of the Consent's compiled form. */
  readonly digest: string;
  readonly rules: ConsentRules;
  readonly filedAt: Instant;
  /**
   * The patient, a consent registrar or a verifying origin filed it. Otherwise only its denials count: a client
   * cannot widen its access by a Consent that it wrote.
   */
  readonly mayPermit: boolean;
  /** The client that filed it; null: it was read at the origin. */
  readonly filedBy?: string | null;
}

/**
 * The rule that combines several Consents about the same row. `deny-overrides`: any denial denies.
 * `most-specific`: the verdict that rests on the most kinds of criteria. `most-recent`: the Consent that was
 * given last (Consent.dateTime). A denial wins every tie.
 */
export type Combining = "deny-overrides" | "most-specific" | "most-recent";

/** `honoured`: permit unless a Consent denies. `required`: deny unless a Consent permits. */
export type ConsentBase = "honoured" | "required";

export interface ConsentPolicy {
  readonly base: ConsentBase;
  readonly combining: Combining;
  /** The labels that a permit without labels opens; undefined: no row with a label. */
  readonly generalOpens?: GeneralOpening | undefined;
}

export interface ConsentDecision {
  readonly isPermitted: boolean;
  /** The Consent and the provision that decided; undefined if the base policy did. */
  readonly because: { readonly consent: string; readonly digest: string; readonly path: string } | undefined;
  /** Nothing denies but that Consents which may permit are limited to other data. */
  readonly isBeyondData?: boolean;
}

/** Decides about a row by the Consents of a patient whom the row concerns. */
export function decideByConsents(
  consents: readonly FiledConsent[],
  request: ConsentRequest,
  row: ConsentRowFacts,
  { base, combining, generalOpens }: ConsentPolicy,
): ConsentDecision {
  const asked = { ...request, generalOpens };
  const verdicts = consents
    .map((consent): Spoken => ({ consent, ...judgeConsent(consent.rules, asked, row) }))
    .filter(({ verdict, consent }) => verdict === "deny" || (verdict === "permit" && consent.mayPermit));
  const counted = strongest(verdicts, combining);
  const decisive =
    verdicts.find(({ verdict, consent }) => verdict === "deny" && consent.rules.standsForUnread === true) ??
    counted.find(({ verdict }) => verdict === "deny") ??
    counted[0];
  if (decisive === undefined) return { isPermitted: base === "honoured", because: undefined };
  return {
    isPermitted: decisive.verdict === "permit",
    because: { consent: decisive.consent.consent, digest: decisive.consent.digest, path: decisive.path },
    ...(decisive.isBeyondData === true && verdicts.every(isOfOtherData) && { isBeyondData: true }),
  };
}

interface Spoken extends ConsentVerdict {
  readonly consent: FiledConsent;
}

const isOfOtherData = ({ verdict, isBeyondData, consent }: Spoken): boolean =>
  verdict === "permit" || (isBeyondData === true && consent.mayPermit);

/** The verdicts that count. Each rule drops a verdict only when a further verdict certainly precedes it. */
function strongest(verdicts: readonly Spoken[], combining: Combining): readonly Spoken[] {
  switch (combining) {
    case "deny-overrides":
      return verdicts;
    case "most-specific": {
      const most = largest(verdicts.map(({ specificity }) => specificity));
      return verdicts.filter(({ specificity }) => specificity === most);
    }
    case "most-recent": {
      const last = largest(verdicts.map((verdict) => givenBetween(verdict)[0]));
      return verdicts.filter((verdict) => last < givenBetween(verdict)[1]);
    }
  }
}

/**
 * The time in which a Consent was given, from and until. A Consent cannot be given after it was filed; a
 * denial without a date may be the latest, a permit without a date the earliest.
 */
function givenBetween({
  consent: { rules, filedAt },
  verdict,
}: Spoken): readonly [from: number, until: number] {
  const end = filedAt + 1;
  if (rules.given === undefined) return verdict === "deny" ? [filedAt, end] : [-Infinity, -Number.MAX_VALUE];
  const [from, until] = rules.given.utc;
  return [Math.min(from, filedAt), Math.min(until, end)];
}
