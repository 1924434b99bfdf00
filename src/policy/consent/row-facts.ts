import type { RowWork } from "#fhir/search/row-work";
import { inlineLabel, workOn, type Sought } from "#fhir/json/facts";
import { isArray, isObject, property, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
import { elementsOf, isResourceType } from "#fhir/r4/elements";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import { rowLabels, statedLabels, withInside, type RowLabels } from "#policy/sensitivity/row-labels";
import { sensitivitiesOf } from "#policy/sensitivity/sensitive-codes";
import type { AskedTimes } from "./asked-facts.ts";
import { codeName } from "./consent.ts";
import { liesInside, spanOf, type TimeSpan } from "./time-span.ts";

/** The facts of a row that a Consent may ask for. */
export interface ConsentRowFacts {
  /** `Type/id` at the origin. */
  readonly reference: string;
  readonly type: string;
  readonly profiles: ReadonlySet<string>;
  /** `system|code` of every Coding anywhere in the row; `|code` without a system. */
  readonly codes: ReadonlySet<string>;
  /** The clinically relevant time; undefined if the row states none, or none that is understood. */
  readonly time: TimeSpan | undefined;
  readonly authors: Authors;
  /** `Type/id` of every local reference in the row. */
  readonly refersTo: ReadonlySet<string>;
  /** `Type/id` of the encounter, episode or plan that the row belongs to. */
  readonly belongsTo: ReadonlySet<string>;
  /** The contained resources: a part of the row, with a type and a time of their own. */
  readonly contained: readonly Pick<ConsentRowFacts, "type" | "time">[];
  readonly labels: RowLabels;
  /** The work on the row: each Consent that judges it spends of the row's share. */
  readonly work: RowWork;
  /**
   * Present if only bytes of the row were read: nothing of this stands in it, and its codes and references are not
   * known. It has no contained resource.
   */
  readonly captured?: { readonly lacks: Sought | undefined };
}

interface Authors {
  /** `Type/id`. */
  readonly known: ReadonlySet<string>;
  /** `Type/id` of every resource in an element that can state an author, the elements of `known` included. */
  readonly possible: ReadonlySet<string>;
  /** The row has an author that is not known by a local reference to a person or device. */
  readonly hasUnknown: boolean;
}

/*
 * The clinically relevant time of the data by element, the most relevant first: the first element that a row
 * has decides. (FHIR R4 Consent.provision.dataPeriod: "clinically relevant time"; five-Ws `FiveWs.done`,
 * `FiveWs.recorded` of each resource.)
 */
const stems = ["effective", "performed", "occurrence", "onset", "identified", "occurred"] as const;
const dates = ["DateTime", "Period", "Instant", "Date"] as const;
const choices = (forms: readonly string[]): readonly (readonly string[])[] =>
  stems.flatMap((stem) => forms.map((form) => [`${stem}${form}`]));
const furtherTimes: readonly (readonly string[])[] = [
  ["collection", "collectedDateTime"],
  ["collection", "collectedPeriod"],
  ["whenHandedOver"],
  ["whenPrepared"],
  ["servicedDate"],
  ["servicedPeriod"],
  ["billablePeriod"],
  ["started"],
  ["context", "period"],
  ["period"],
  ["sent"],
  ["start"],
  ["startDate"],
  ["authoredOn"],
  ["authored"],
  ["recordedDate"],
  ["recorded"],
  ["createdDateTime"],
  ["createdPeriod"],
  ["created"],
  ["dateWritten"],
  ["dateTime"],
  ["date"],
  ["dateAsserted"],
  ["recordedOn"],
  ["issued"],
];
export const timeElements = [...choices(dates), ...furtherTimes];

/**
 * The types about a patient to which R4 gives no element of time, but for the dates of a life. A Binary has none
 * either; its content has a time that nobody states.
 */
export const timelessTypes: ReadonlySet<string> = new Set([
  "BodyStructure",
  "MolecularSequence",
  "Patient",
  "Person",
]);

// A schedule, an age or a text is the time of the data too, in a form that is not understood: the date of the record
// beside it is a different time.
const decisiveTimes = [...choices([...dates, "Timing", "String", "Age", "Range"]), ...furtherTimes].map(
  (path) => ({
    path,
    first: path[0] ?? "",
    /** It states why the value is absent (data-absent-reason). */
    sibling: [...path.slice(0, -1), `_${path.at(-1)}`],
    firstOfSibling: path.length === 1 ? `_${path[0]}` : (path[0] ?? ""),
  }),
);

const timeMembers: ReadonlySet<string> = new Set(
  decisiveTimes.flatMap(({ first, firstOfSibling }) => [first, firstOfSibling]),
);

/** The members that can state the time of a row, in the order in which they decide. */
export const timesInOrder: readonly {
  readonly member: string;
  readonly sibling: string;
  /** The value of the member, as a whole, is the time. */
  readonly isWhole: boolean;
}[] = decisiveTimes.map(({ path, first, firstOfSibling }) => ({
  member: first,
  sibling: firstOfSibling,
  isWhole: path.length === 1,
}));

const authorElements = ["performer", "recorder", "asserter", "author", "enterer"] as const;
/** Elements of persons who may have written the row: enough for a deny, too little for a permit. */
const perhapsAuthors = [
  "requester",
  "informationSource",
  "sender",
  "provider",
  "resultsInterpreter",
] as const;
/** Elements of single types for the person who wrote the row: enough for a deny, too little for a permit. */
const furtherAuthors = [
  "assessor",
  "orderer",
  "prescriber",
  "expressedBy",
  "operator",
  "interpreter",
  "contributor",
] as const;
const authorMembers: ReadonlyMap<string, "author" | "perhaps" | "further"> = new Map([
  ...authorElements.map((name) => [name, "author"] as const),
  ...perhapsAuthors.map((name) => [name, "perhaps"] as const),
  ...furtherAuthors.map((name) => [name, "further"] as const),
]);
/**
 * The elements that can state an author of the row or of a part of it, at any depth: the author of a note, the
 * performer of a series, the agent of a Provenance. The meaning of an extension is not known, so it counts. The
 * participant of an Appointment, a general practitioner, a care team and a managing organization state no author.
 */
const possibleAuthors: ReadonlySet<string> = new Set([
  ...authorElements,
  ...perhapsAuthors,
  ...furtherAuthors,
  "agent",
  "attester",
  "authenticator",
  "authorReference",
  "collector",
  "extension",
  "modifierExtension",
  "observer",
  "referrer",
  "reportedReference",
  "reporter",
  "requestProvider",
  "requestor",
  "responsible",
  "responsibleParty",
  "who",
]);
/** Elements that can state an author in these types only. */
const possibleAuthorsByType: ReadonlyMap<string, readonly string[]> = new Map([
  ["actor", ["AppointmentResponse"]],
  ["authority", ["ImmunizationEvaluation", "ImmunizationRecommendation"]],
  ["device", ["Media", "Observation"]],
  ["insurer", ["ClaimResponse", "CoverageEligibilityResponse", "ExplanationOfBenefit"]],
  ["issuer", ["Invoice"]],
  ["owner", ["Task"]],
  ["participant", ["Encounter", "Invoice"]],
  ["source", ["DeviceUseStatement", "List", "QuestionnaireResponse"]],
  ["supplier", ["SupplyDelivery"]],
]);
/** The elements that place a row in an encounter, an episode or a plan. */
const belongingElements: readonly (readonly string[])[] = [
  ["encounter"],
  ["context"],
  ["context", "encounter"],
  ["item", "encounter"],
  ["episodeOfCare"],
  ["basedOn"],
  ["partOf"],
  ["carePlan"],
];

/** Reads the facts of a row. `base`: the origin's FHIR base. */
export function rowFactsOf(row: JsonObject, base: FhirBase, work: RowWork = workOn(row)): ConsentRowFacts {
  const [type, id] = [textAt(row, "resourceType") ?? "", textAt(row, "id") ?? ""];
  const found = walk(row, base);
  const meta = property(row, "meta");
  return {
    reference: `${type}/${id}`,
    type,
    profiles: new Set(valuesAt(meta, ["profile"]).filter((each) => typeof each === "string")),
    codes: found.codes,
    time: timeOf(row),
    contained: valuesAt(row, ["contained"])
      .filter(isObject)
      .map((each) => ({ type: textAt(each, "resourceType") ?? "", time: timeOf(each) })),
    authors: { ...authorsOf(row, type, base), possible: found.possibleAuthors },
    refersTo: found.references,
    belongsTo: localReferences(
      belongingElements.flatMap((path) => valuesAt(row, path)),
      base,
    ),
    labels: rowLabels(withInside(statedLabels(row), found.labels), found.sensitivities),
    work,
  };
}

/** The codes by which the value sets label a row, as `system|code: sensitivities`. */
export function labellingCodes(row: JsonObject, base: FhirBase): readonly string[] {
  return [...walk(row, base).codes].flatMap((name) => {
    const at = name.indexOf("|");
    const sensitivities = sensitivitiesOf(at === 0 ? undefined : name.slice(0, at), name.slice(at + 1));
    return sensitivities.length === 0 ? [] : [`${name}: ${sensitivities.join(", ")}`];
  });
}

/** The sensitivities that the codes of a row mean. */
export const sensitivitiesIn = (row: JsonObject, base: FhirBase): ReadonlySet<string> =>
  walk(row, base).sensitivities;

const noTexts: ReadonlySet<string> = new Set();

/** The facts of a row of which only the bytes were read. @param labels by its stated labels. */
export function capturedRowFacts(
  row: JsonObject,
  base: FhirBase,
  { labels, work, lacks }: Pick<ConsentRowFacts, "labels" | "work"> & { readonly lacks: Sought | undefined },
): ConsentRowFacts {
  const [type, id] = [textAt(row, "resourceType") ?? "", textAt(row, "id") ?? ""];
  const isAsked = lacks !== undefined && lacks.texts.size > 0;
  return {
    reference: `${type}/${id}`,
    type,
    profiles: noTexts,
    codes: noTexts,
    time: isAsked ? timeOf(row) : undefined,
    authors: {
      known: noTexts,
      possible: noTexts,
      hasUnknown: !isAsked || authorsOf(row, type, base).hasUnknown,
    },
    refersTo: noTexts,
    belongsTo: noTexts,
    contained: [],
    labels,
    work,
    captured: { lacks },
  };
}

/** The members of any row by which {@link timeOf} and {@link authorsOf} judge it. */
export const timeAndAuthorMembers: ReadonlySet<string> = new Set([
  ...timeMembers,
  ...authorElements,
  ...perhapsAuthors,
  ...furtherAuthors,
]);

const membersOfTypes = new Map<string, readonly string[]>();

/** Those of them that R4 has in a type. */
export function timeAndAuthorMembersOf(type: string): readonly string[] {
  const settled = membersOfTypes.get(type);
  if (settled !== undefined) return settled;
  const names = [...elementsOf(type).values()].flatMap(({ forms }) => forms.map(({ name }) => name));
  const members = names
    .flatMap((name) => [name, `_${name}`])
    .filter((name) => timeAndAuthorMembers.has(name));
  if (isResourceType(type)) membersOfTypes.set(type, members);
  return members;
}

/** How the time and the authors of a row answer what Consents ask: equal texts lead to equal verdicts. */
export function answerTo({ periods, authors }: AskedTimes, row: JsonObject, base: FhirBase): string {
  const time = periods.length === 0 ? undefined : timeOf(row);
  const inside = time === undefined ? "" : periods.map((period) => liesInside(time, period)).join();
  return `${authors && authorsOf(row, textAt(row, "resourceType") ?? "", base).hasUnknown} ${inside}`;
}

const timeKey = {};

/** Read once: several Consents and the engine ask for the time of the same row. */
const timeOf = (row: JsonObject): TimeSpan | undefined =>
  workOn(row).once(timeKey, () => ({ time: readTime(row) })).time;

function readTime(row: JsonObject): TimeSpan | undefined {
  if (!Object.keys(row).some((name) => timeMembers.has(name))) return undefined;
  for (const { path, sibling, first, firstOfSibling } of decisiveTimes) {
    if (!Object.hasOwn(row, first) && !Object.hasOwn(row, firstOfSibling)) continue;
    const values = valuesAt(row, path);
    if (values.length === 0) {
      if (valuesAt(row, sibling).length > 0) return undefined;
      continue;
    }
    const spans = values.map(spanOf).filter((span) => span !== null);
    return spans.length === values.length ? spans.reduce(joined) : undefined;
  }
  return undefined;
}

/** The span from the first to the last of two times. */
const joined = (a: TimeSpan, b: TimeSpan): TimeSpan => ({
  utc: [Math.min(a.utc[0], b.utc[0]), Math.max(a.utc[1], b.utc[1])],
  local: [Math.min(a.local[0], b.local[0]), Math.max(a.local[1], b.local[1])],
  isZoned: a.isZoned && b.isZoned,
});

const authorsKey = {};

function authorsOf(row: JsonObject, type: string, base: FhirBase): Omit<Authors, "possible"> {
  const read = () => ({ base, authors: readAuthors(row, type, base) });
  const known = workOn(row).once(authorsKey, read);
  return known.base === base ? known.authors : read().authors;
}

function readAuthors(row: JsonObject, type: string, base: FhirBase): Omit<Authors, "possible"> {
  const known = new Set<string>();
  let [isStated, hasUnknown] = [false, false];
  for (const name of Object.keys(row)) {
    const stands = authorMembers.get(name);
    if (stands === undefined) continue;
    for (const value of valuesAt(row, [name])) {
      if (stands === "perhaps") {
        hasUnknown = true;
        continue;
      }
      // a performer may be an object around its actor (Procedure.performer.actor)
      const actor = stands === "author" && isObject(value) ? property(value, "actor") : undefined;
      const local = localOf(actor === undefined ? value : actor, base);
      // the person behind a role, or in an organization, is not stated
      if (local === undefined || (stands === "author" && isOfSeveral.test(local))) hasUnknown = true;
      if (stands !== "author") continue;
      isStated = true;
      if (local !== undefined) known.add(local);
    }
  }
  const elements = elementsOf(type);
  const lacksAuthor = !isStated && authorElements.some((name) => elements.has(name));
  return { known, hasUnknown: hasUnknown || lacksAuthor };
}

const isOfSeveral = /^(?:PractitionerRole|Organization|CareTeam|Group)\//u;

function localOf(reference: Json, base: FhirBase): string | undefined {
  const found = parseReference((isObject(reference) && textAt(reference, "reference")) || "", base);
  return found.kind === "local" ? `${found.type}/${found.id}` : undefined;
}

const localReferences = (references: readonly Json[], base: FhirBase): ReadonlySet<string> =>
  new Set(references.map((reference) => localOf(reference, base)).filter((local) => local !== undefined));

interface Found {
  readonly codes: Set<string>;
  readonly sensitivities: Set<string>;
  readonly references: Set<string>;
  readonly possibleAuthors: Set<string>;
  readonly labels: Json[];
}

/** A contained role stands in the place of the reference to it, and states the practitioner behind it. */
const canStateAuthor = (name: string, type: string, isContained: boolean): boolean =>
  possibleAuthors.has(name) ||
  possibleAuthorsByType.get(name)?.includes(type) === true ||
  (isContained && name === "practitioner" && type === "PractitionerRole");

/** Every Coding, reference and inline label of a row, contained resources included. */
function walk(row: JsonObject, base: FhirBase): Found {
  const found: Found = {
    codes: new Set(),
    sensitivities: new Set(),
    references: new Set(),
    possibleAuthors: new Set(),
    labels: [],
  };
  const visit = (value: Json, type: string, isAuthor: boolean): void => {
    if (isArray(value)) for (const each of value) visit(each, type, isAuthor);
    else if (isObject(value)) {
      const code = textAt(value, "code");
      const system = textAt(value, "system");
      if (code !== undefined) {
        found.codes.add(codeName(system, code));
        for (const sensitivity of sensitivitiesOf(system, code)) found.sensitivities.add(sensitivity);
      }
      if (property(value, "url") === inlineLabel) found.labels.push(property(value, "valueCoding") ?? null);
      const reference = textAt(value, "reference") === undefined ? undefined : localOf(value, base);
      if (reference !== undefined) {
        found.references.add(reference);
        if (isAuthor) found.possibleAuthors.add(reference);
      }
      const inside = textAt(value, "resourceType") ?? type;
      for (const name in value) {
        const member = value[name];
        if (typeof member === "object" && member !== null)
          visit(member, inside, isAuthor || canStateAuthor(name, inside, true));
      }
    }
  };
  const type = textAt(row, "resourceType") ?? "";
  for (const name in row) {
    const member = row[name];
    // the row's own meta holds labels and tags, which are no codes of the data
    if (name !== "meta" && typeof member === "object" && member !== null)
      visit(member, type, canStateAuthor(name, type, false));
  }
  return found;
}
