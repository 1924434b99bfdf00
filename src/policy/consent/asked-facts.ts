import type { Sought, SoughtTexts } from "#fhir/json/facts";
import type { ConsentRules, Provision } from "./consent.ts";
import { SpanBounds, type TimeSpan } from "./time-span.ts";

/**
 * What a Consent asks about a row, beyond its type and patients. A row in which none of the texts stands has none of
 * the listed codes, refers to none of the listed resources, and is none of them.
 */
export interface AskedFacts extends SoughtTexts {
  /** The labels, of the origin and by the codes in the row. */
  readonly labels: boolean;
  /** The times in which the row may lie. */
  readonly periods: readonly TimeSpan[];
  /** Whether the row states all of its authors. */
  readonly authors: boolean;
}

const known = new WeakMap<ConsentRules, AskedFacts>();

/** Compiled once for a Consent. */
export function factsAsked(rules: ConsentRules): AskedFacts {
  let asked = known.get(rules);
  if (asked === undefined) {
    const provisions = rules.readings.flatMap(({ root }) => withExceptions(root));
    const data = provisions.flatMap(({ limits }) => (limits.data ?? []).filter((each) => each !== null));
    asked = {
      labels: provisions.some(({ limits }) => limits.labels !== undefined),
      periods: [...new Set(provisions.flatMap(({ limits }) => limits.dataPeriod ?? []))],
      authors: data.some(({ meaning }) => meaning === "authoredby"),
      codes: provisions.flatMap(({ limits }) => (limits.codes ?? []).filter((code) => code !== null)),
      names: [
        ...new Set([
          ...data.flatMap(({ meaning, reference }) => namesFor(meaning, reference)),
          ...(rules.statement?.rows ?? []).flatMap((row) => namesFor("instance", row)),
        ]),
      ],
    };
    known.set(rules, asked);
  }
  return asked;
}

const withExceptions = (provision: Provision): readonly Provision[] => [
  provision,
  ...provision.exceptions.flatMap(withExceptions),
];

/** The id, and the type of rows that may stand for the resource: a role for its practitioner, a visit for its episode. */
function namesFor(meaning: string, reference: string): readonly string[] {
  const [type = "", id = ""] = reference.split("/");
  if (meaning === "authoredby" && type === "Practitioner") return [id, "PractitionerRole"];
  return meaning === "related" && type === "EpisodeOfCare" ? [id, "Encounter"] : [id];
}

/** Answers whether an engine that sought this, and found nothing of it, knows all that a Consent asks. */
export const isAnswered = (asked: AskedFacts, sought: Sought | undefined): boolean =>
  (!asked.labels || sought?.labels === true) && (asksNothing(asked) || sought?.texts.has(asked) === true);

const asksNothing = ({ periods, authors, codes, names }: AskedFacts): boolean =>
  !authors && periods.length + codes.length + names.length === 0;

/** What Consents ask of the time and the authors of a row: rows that answer alike are judged alike. */
export interface AskedTimes {
  readonly periods: readonly TimeSpan[];
  readonly bounds: SpanBounds;
  readonly authors: boolean;
}

/** @returns undefined: they ask for neither. */
export function timesAsked(all: readonly AskedFacts[]): AskedTimes | undefined {
  const periods = all.flatMap((asked) => asked.periods);
  const authors = all.some((asked) => asked.authors);
  return authors || periods.length > 0 ? { periods, bounds: new SpanBounds(periods), authors } : undefined;
}

/** What an engine looks for in rows. @param labels a policy asks for them. @returns undefined: nothing. */
export function soughtBy(all: readonly AskedFacts[], labels: boolean): Sought | undefined {
  const texts = new Set(all.filter((asked) => !asksNothing(asked)));
  const asksLabels = labels || all.some((asked) => asked.labels);
  return asksLabels || texts.size > 0 ? { labels: asksLabels, texts } : undefined;
}
