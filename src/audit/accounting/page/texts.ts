import type { ExclusionClause } from "#audit/accounting/exclusions";
import type { WallTime } from "#kernel/wall-time";

/**
 * Every text of the accounting's page. A further language is one more value of this type; the page has no
 * text of its own.
 */
export interface PageTexts {
  /** BCP 47. */
  readonly language: string;
  readonly title: string;
  readonly lead: string;
  readonly dateTime: (time: WallTime) => string;
  readonly date: (day: Pick<WallTime, "year" | "month" | "day">) => string;
  /** `America/New_York` in words. */
  readonly zone: (name: string) => string;
  readonly person: {
    readonly label: string;
    /** The name and the birth date, as far as the policy shows them. */
    readonly known: (name: string | undefined, born: string | undefined) => string;
    readonly unknown: string;
    readonly records: string;
  };
  readonly period: { readonly label: string; readonly fromTo: (from: string, to: string) => string };
  readonly maker: { readonly label: string; readonly unknown: string; readonly made: string };
  readonly heads: Readonly<
    Record<"when" | "who" | "why" | "what" | "number" | "last" | "sum" | "record" | "more", string>
  >;
  readonly details: Readonly<
    Record<
      | "open"
      | "openSummed"
      | "time"
      | "recipient"
      | "purposes"
      | "agreement"
      | "resources"
      | "law"
      | "suspended"
      | "place"
      | "consent"
      | "proof"
      | "unproven",
      string
    >
  >;
  readonly caption: (zone: string) => string;
  readonly nothing: string;
  /** `12 test results and measurements`: `kind` is a FHIR resource type. */
  readonly counted: (kind: string, count: number) => string;
  readonly noCounts: string;
  /** A purpose of use in words. */
  readonly purpose: (code: string) => string;
  readonly required: string;
  readonly excluded: (clause: ExclusionClause) => string;
  readonly suspended: (until: string) => string;
  /** `given`: the day or time on which the Consent was given; undefined: it does not say. */
  readonly consent: (given: string | undefined, filed: string, purposes: readonly string[]) => string;
  readonly notes: Readonly<
    Record<
      "all" | "requiredOnly" | "first" | "further" | "summed" | "links" | "suspensions" | "consents",
      string
    >
  >;
  readonly proofs: { readonly title: string; readonly sentences: readonly string[] };
  readonly check: {
    readonly title: string;
    readonly sentences: readonly string[];
    /** The check by the page's own script. */
    readonly inBrowser: {
      readonly title: string;
      readonly sentences: (key: string) => readonly string[];
      readonly button: string;
      readonly proven: string;
      readonly wrong: string;
      readonly unproven: string;
      readonly allProven: (count: number) => string;
      readonly someWrong: (count: number) => string;
      readonly someUnproven: (count: number) => string;
    };
  };
  readonly research: string;
}
