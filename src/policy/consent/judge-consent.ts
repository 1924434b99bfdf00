import type { Instant } from "#kernel/clock";
import { workOf } from "#fhir/search/row-work";
import { coversPurpose } from "#fhir/r4/purpose-of-use";
import {
  confidentialityCodes,
  coversSensitivity,
  mentalHealth,
  psychotherapyNotes,
  restricted,
  type RowLabels,
} from "#policy/sensitivity/row-labels";
import {
  unclear,
  type ClassLimit,
  type ConsentApi,
  type ConsentRules,
  type DataLimit,
  type Effect,
  type ProvisionFrame,
  type LabelLimit,
  type ActorName,
  type Party,
  type Provision,
  type RootReading,
  type Unclear,
} from "./consent.ts";
import { codesMatch } from "./code-match.ts";
import { allOf, anyOf, type Match } from "./match.ts";
import { timelessTypes, type ConsentRowFacts } from "./row-facts.ts";
import { standsForPart2 } from "./part2-consent.ts";
import { includesInstant, liesInside, mayIncludeInstant, type TimeSpan } from "./time-span.ts";

/** A request as Consents see it: recipient, holder of the data, purpose, action and time. */
export interface ConsentRequest {
  readonly recipient: KnownParty;
  /** The organization that this gateway discloses for. */
  readonly holder: KnownParty;
  /** A code of v3-ActReason. */
  readonly purpose: string;
  readonly action: "read" | "write";
  /** The API of a payer through which the request came. */
  readonly api?: ConsentApi | undefined;
  readonly at: Instant;
  /** Only provisions that name security labels permit: whether a Consent lets a labelled row leave. */
  readonly isByLabel?: boolean;
  /** The labels that a permit without labels opens there; undefined: none. */
  readonly generalOpens?: GeneralOpening | undefined;
}

/** The labels that a permit without labels opens, by a policy (`labels.generalConsentOpens`). */
export interface GeneralOpening {
  /** Equal openings share it. */
  readonly name: number;
  readonly opens: (row: RowLabels) => boolean;
}

/** The names of a party: person, organizations, groups and care teams at the time of the request. */
export interface KnownParty {
  /** `Type/id` at the origin. */
  readonly references: ReadonlySet<string>;
  /** `system|value`. */
  readonly identifiers: ReadonlySet<string>;
  /** Resource types of which `references` is complete, beyond those that it names. */
  readonly complete?: ReadonlySet<string>;
  /** The names behind actors are read again at the origin; otherwise they may be outdated, and do not count. */
  readonly areNamesRead?: boolean;
}

export interface ConsentVerdict {
  readonly verdict: "permit" | "deny" | "silent";
  /** FHIRPath of the provision that decided. */
  readonly path: string;
  /** The number of kinds of criteria that led to that provision. */
  readonly specificity: number;
  /** It denies for the only reason that it permits other data (IHE PCF volume 1 §53.4.2). */
  readonly isBeyondData?: boolean;
}

/**
 * The verdict of a Consent about a request for a row. Each part that is not understood, and each fact that is not
 * known, may apply or not: a possible denial denies, and a permit permits only when no other effect is
 * possible.
 */
export function judgeConsent(
  consent: ConsentRules,
  request: ConsentRequest,
  row: ConsentRowFacts,
): ConsentVerdict {
  const { permit, deny, isSilent } = possibleEffects(consent, request, row);
  if (deny !== undefined)
    return { verdict: "deny", ...deny, isBeyondData: deny.isBeyondData === true && !isSilent };
  if (permit !== undefined && row.labels.isPart2 && !standsForPart2(consent, permit.path, request.purpose))
    return silence;
  return permit === undefined || isSilent ? silence : { verdict: "permit", ...permit };
}

const silence: ConsentVerdict = { verdict: "silent", path: "", specificity: 0 };

/** The provision behind an effect: its FHIRPath, and the number of kinds of criteria that led to it. */
interface Decided {
  readonly path: string;
  readonly specificity: number;
  /** See {@link ConsentVerdict}. */
  readonly isBeyondData?: boolean;
}

/** The effects that are possible; a row of unknown facts leaves several. */
interface Possible {
  readonly permit?: Decided | undefined;
  readonly deny?: Decided | undefined;
  readonly isSilent: boolean;
}
const silent: Possible = { isSilent: true };

/** False: by its API, period, purposes and actors a Consent is silent about each row of a request. */
export function mayConcern(consent: ConsentRules, request: Omit<ConsentRequest, "action">): boolean {
  if (!consent.isActive || !isOfApi(consent, request)) return false;
  if (consent.unclear !== undefined) return true;
  return consent.readings.some(({ root, outside }) => {
    if (periodMatch(root.frame, request.at) === "no") return false;
    const concerns = (action: ConsentRequest["action"]) => frameMatch(root, { ...request, action }) !== "no";
    return outside !== "silent" || concerns("read") || concerns("write");
  });
}

const isOfApi = ({ api }: ConsentRules, request: Pick<ConsentRequest, "api">): boolean =>
  api === undefined || (api === "both" ? request.api !== undefined : api === request.api);

function possibleEffects(consent: ConsentRules, request: ConsentRequest, row: ConsentRowFacts): Possible {
  if (!consent.isActive || !isOfApi(consent, request)) return silent;
  if (consent.unclear !== undefined)
    return { deny: { path: consent.unclear, specificity: 0 }, isSilent: false };
  return consent.readings
    .map((reading) => readingOf(reading, request, row))
    .reduce(either, { isSilent: false });
}

function readingOf(
  { root, outside, world }: RootReading,
  request: ConsentRequest,
  row: ConsentRowFacts,
): Possible {
  const inForce = periodMatch(root.frame, request.at);
  if (inForce === "no") return silent;
  const framed = allOf([frameMatch(root, request), root.isUnclear ? "unknown" : "yes"]);
  const beyond = byLabel(effectOf(outside, root), request, row.labels, "nothing");
  const limited = limitsMatch(root, row);
  const answer = byLabel(
    world === "closed" ? closedWorld(root, limited) : select(limited, effectOf(root.effect, root), beyond),
    request,
    row.labels,
    root.limits.labels,
  );
  const inside = unless(exceptionsOf(root, request, row), answer);
  return select(inForce, select(framed, inside, beyond), silent);
}

/** A root permit with limits permits nothing but that; a root deny with limits denies nothing but that. */
function closedWorld(root: Provision, limited: Match): Possible {
  const within = effectOf(root.effect, root);
  const { path, specificity, effect } = root;
  const beyond: Possible =
    effect === "deny"
      ? silent
      : { deny: { path, specificity, isBeyondData: effect === "permit" }, isSilent: false };
  return select(limited, within, beyond);
}

/**
 * A nested provision concerns the requests of the provisions around it. The root's limits on data do not hold
 * for it, or an exception could never widen ("N for all, PSY for one practitioner"); the limits of a nested
 * provision do.
 */
function provisionOf(provision: Provision, request: ConsentRequest, row: ConsentRowFacts): Possible {
  const within = allOf([
    periodMatch(provision.frame, request.at),
    frameMatch(provision, request),
    limitsMatch(provision, row),
    provision.isUnclear ? "unknown" : "yes",
  ]);
  if (within === "no") return silent;
  return select(
    within,
    unless(
      exceptionsOf(provision, request, row),
      byLabel(effectOf(provision.effect, provision), request, row.labels, provision.limits.labels),
    ),
    silent,
  );
}

/** Siblings that contradict each other deny. */
function exceptionsOf({ exceptions }: Provision, request: ConsentRequest, row: ConsentRowFacts): Possible {
  return exceptions
    .map((exception) => provisionOf(exception, request, row))
    .reduce(
      (all, next): Possible => ({
        deny: strongerDenial(all.deny, next.deny),
        permit: mayNotDeny(all) && mayNotDeny(next) ? stronger(all.permit, next.permit) : undefined,
        isSilent: all.isSilent && next.isSilent,
      }),
      silent,
    );
}

const mayNotDeny = ({ permit, isSilent }: Possible): boolean => permit !== undefined || isSilent;

/** The exceptions decide; `rest` does where they are silent. */
const unless = (exceptions: Possible, rest: Possible): Possible =>
  exceptions.isSilent ? either({ ...exceptions, isSilent: false }, rest) : exceptions;

/** The effect of a criterion that applies, or of a criterion that does not; both, if the match is unknown. */
const select = (match: Match, applies: Possible, otherwise: Possible): Possible =>
  match === "yes" ? applies : match === "no" ? otherwise : either(applies, otherwise);

const either = (a: Possible, b: Possible): Possible => ({
  permit: stronger(a.permit, b.permit),
  deny: strongerDenial(a.deny, b.deny),
  isSilent: a.isSilent || b.isSilent,
});

/** A denial of its own takes the place of the denial of other data. */
function strongerDenial(a: Decided | undefined, b: Decided | undefined): Decided | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return { ...(stronger(a, b) ?? a), isBeyondData: a.isBeyondData === true && b.isBeyondData === true };
}

const stronger = (a: Decided | undefined, b: Decided | undefined): Decided | undefined =>
  a === undefined || (b !== undefined && b.specificity > a.specificity) ? b : a;

function effectOf(effect: Effect | Unclear | "silent", { path, specificity }: Provision): Possible {
  const decided = { path, specificity };
  switch (effect) {
    case "permit":
      return { permit: decided, isSilent: false };
    case "deny":
      return { deny: decided, isSilent: false };
    case "silent":
      return silent;
    case null:
      return { permit: decided, deny: decided, isSilent: false };
  }
}

/** A permit that names no label is silent where only named labels count, but for what a policy says that it opens. */
const byLabel = (
  effect: Possible,
  { isByLabel, generalOpens }: ConsentRequest,
  labels: RowLabels,
  named: Provision["limits"]["labels"] | "nothing",
): Possible =>
  isByLabel !== true ||
  effect.permit === undefined ||
  (named !== undefined && named !== "nothing") ||
  generalOpens?.opens(labels) === true
    ? effect
    : { deny: effect.deny, isSilent: true };

/** Openings by their labels: memories of decisions have a number in place of a long text. */
const openings = new Map<string, number>();

function numberOf(text: string): number {
  const number = openings.get(text) ?? openings.size + 1;
  openings.set(text, number);
  return number;
}

/**
 * Psychotherapy notes, records of 42 CFR Part 2 and labels that are not known need a permit that names them.
 * @param excepts what a State's law excepts, with the labels above and below.
 */
export function generalOpening(
  labels: readonly LabelLimit[],
  excepts: readonly LabelLimit[],
): GeneralOpening {
  const known = new WeakMap<RowLabels, boolean>(); // each provision of each Consent asks
  const opens = (row: RowLabels) =>
    !row.isPart2 &&
    !row.hasUnknown &&
    !row.sensitivities.has(psychotherapyNotes) &&
    excepts.every((limit) => isDenied(limit, row) === "no") &&
    isPermitted(labels, row) === "yes";
  return {
    name: numberOf(JSON.stringify([labels, excepts])),
    opens: (row) => {
      const is = known.get(row) ?? opens(row);
      known.set(row, is);
      return is;
    },
  };
}

/**
 * A date without a zone is a date in UTC, and may be meant in any zone: a denial would else end hours before the
 * patient's last day does.
 */
function periodMatch({ period }: ProvisionFrame, at: Instant): Match {
  if (period === undefined) return "yes";
  if (period === unclear) return "unknown";
  if (includesInstant(period, at)) return "yes";
  return mayIncludeInstant(period, at) ? "unknown" : "no";
}

function frameMatch(
  { frame: { purposes, actions, recipients, holders, hasOtherActors } }: Provision,
  request: ConsentRequest,
): Match {
  return allOf([
    item(purposes, (purpose) => yesOrNo(coversPurpose(purpose, request.purpose))),
    item(actions, (action) => yesOrNo((action === "none" ? "write" : action) === request.action)),
    item(recipients, (party) => isParty(party, request.recipient)),
    item(holders, (party) => isParty(party, request.holder)),
    hasOtherActors === true ? "unknown" : "yes",
  ]);
}

/** An absent list does not restrict. */
const item = <T extends object | string>(
  items: readonly (T | Unclear)[] | undefined,
  match: (item: T) => Match,
): Match =>
  items === undefined ? "yes" : anyOf(items.map((each) => (each === unclear ? "unknown" : match(each))));

const yesOrNo = (is: boolean): Match => (is ? "yes" : "no");

/**
 * Answers whether a party is the party of a request. A request whose practitioner is known is not of a
 * different practitioner; a request without a known organization may be of any organization.
 */
function isParty({ reference, identifier, ...party }: Party, known: KnownParty): Match {
  const identifiers = identifier === undefined ? [] : [identifier];
  const itself = isNamed({ ...(reference !== undefined && { reference }), identifiers }, known);
  const meant = known.areNamesRead === true && "meant" in party ? party.meant : undefined;
  if (itself === "yes" || meant === undefined) return itself;
  const behind = item(meant, (name) => isNamed(name, known));
  if (itself === "unknown") return behind;
  return behind === "no" || (behind === "unknown" && identifier === undefined) ? itself : "unknown";
}

function isNamed({ reference, identifiers = [], all }: ActorName, known: KnownParty): Match {
  if (reference !== undefined && known.references.has(reference)) return "yes";
  if (identifiers.some((identifier) => known.identifiers.has(identifier))) return "yes";
  const isOther =
    (reference !== undefined && knowsAll(known, reference.slice(0, reference.indexOf("/")))) ||
    (!ofPerson.test(reference ?? "") &&
      identifiers.some((identifier) => isOnlyOther(identifier, identifiers, known)));
  if (isOther) return "no";
  return all === undefined ? "unknown" : allOf(all.map((part) => (part ? isNamed(part, known) : "unknown")));
}

/** The identifiers of a client's organization tell nothing of a person. */
const ofPerson = /^(?:Practitioner|PractitionerRole|RelatedPerson|Patient)\//u;
const manyFold: ReadonlySet<string> = new Set(["Group", "CareTeam"]); // a party may be in several

const knowsAll = ({ references, complete }: KnownParty, type: string): boolean =>
  complete?.has(type) === true ||
  (!manyFold.has(type) && [...references].some((reference) => reference.startsWith(`${type}/`)));

/** Who has several identifiers of a system (an NPI for each part) may have those of the caller, too. */
function isOnlyOther(identifier: string, among: readonly string[], { identifiers }: KnownParty): boolean {
  const isInSystem = (each: string) => each.startsWith(identifier.slice(0, identifier.indexOf("|") + 1));
  return among.filter(isInSystem).length === 1 && [...identifiers].some(isInSystem);
}

function limitsMatch(provision: Provision, row: ConsentRowFacts): Match {
  const { limits, effect } = provision;
  const { dataPeriod, labels, types, codes, data } = limits;
  row.work.spend(workOf.comparison * comparisonsOf(provision, row));
  return allOf([
    dataPeriod === undefined ? "yes" : timeMatch(dataPeriod, row),
    labels === undefined ? "yes" : labelsMatch(labels, row.labels, effect),
    item(types, (limit) => classMatch(limit, row)),
    codes === undefined ? "yes" : codesMatch(codes, row),
    item(data, (limit) => dataMatch(limit, row)),
  ]);
}

const itemsOf = new WeakMap<Provision, number>();

/** The comparisons that judging a row by a provision takes at most, without the provisions inside it. */
function comparisonsOf(provision: Provision, { codes, contained, labels }: ConsentRowFacts): number {
  const { frame, limits } = provision;
  let items = itemsOf.get(provision);
  if (items === undefined) {
    const { purposes, actions, recipients, holders } = frame;
    const lists = [purposes, actions, recipients, holders, limits.types, limits.data];
    items = lists.reduce((sum, list = []) => sum + list.length, 1);
    itemsOf.set(provision, items);
  }
  return (
    items +
    (limits.labels?.length ?? 0) * (1 + labels.sensitivities.size) +
    Math.min(limits.codes?.length ?? 0, codes.size) +
    (limits.dataPeriod === undefined ? 0 : contained.length)
  );
}

/**
 * A row outside of a period may contain a resource inside of it. A row of a type without any time lies in no period,
 * unless it contains a resource that lacks its time.
 */
function timeMatch(period: TimeSpan | Unclear, { type, time, contained }: ConsentRowFacts): Match {
  if (period === unclear) return "unknown";
  if (time === undefined && !timelessTypes.has(type)) return "unknown";
  const stated = time === undefined ? "no" : liesInside(time, period);
  const isOfContained = contained.some((each) =>
    each.time === undefined
      ? time === undefined && !timelessTypes.has(each.type)
      : liesInside(each.time, period) !== "no",
  );
  return stated === "no" && isOfContained ? "unknown" : stated;
}

function labelsMatch(
  limits: readonly (LabelLimit | Unclear)[],
  row: RowLabels,
  effect: Effect | Unclear,
): Match {
  if (effect === "permit") return isPermitted(limits, row);
  if (effect === "deny") return item(limits, (limit) => isDenied(limit, row));
  const [permitted, denied] = [isPermitted(limits, row), item(limits, (limit) => isDenied(limit, row))];
  return permitted === denied ? permitted : "unknown";
}

/**
 * A permit covers its level and the levels below (IHE PCF: N and R does not cover V). Beyond that level a row
 * needs each of its sensitivities permitted: HIV is not permitted by PSY, also where a row has both. The words for
 * mental health (PSY, MH, BH) are one kind. Two kinds
 * need to be named in any case: psychotherapy notes (45 CFR 164.508(b)(3)(ii): combined with no further
 * authorization) and records of 42 CFR Part 2 (§2.31(a)(3): a specific description of the information).
 */
function isPermitted(limits: readonly (LabelLimit | Unclear)[], row: RowLabels): Match {
  const { level, sensitivities, names, isOpen } = permittedLabels(limits);
  const isByLevel = !row.isPart2 && !row.sensitivities.has(psychotherapyNotes);
  if (isByLevel && row.level <= level && (!row.hasUnknown || level === mostProtective)) return "yes";
  const permits = (sensitivity: string) =>
    sensitivity === psychotherapyNotes
      ? sensitivities.has(sensitivity)
      : [...sensitivities].some(
          (wide) =>
            coversSensitivity(wide, sensitivity) ||
            (mentalHealth.includes(wide) && mentalHealth.includes(sensitivity)),
        );
  const isPermittedByKind =
    row.sensitivities.size + row.unknown.size > 0 &&
    row.level <= Math.max(level, restricted) &&
    [...row.sensitivities].every(permits) &&
    [...row.unknown].every((name) => names.has(name));
  if (isPermittedByKind) return "yes";
  return row.hasUnknown || isOpen ? "unknown" : "no";
}

const mostProtective = confidentialityCodes.length - 1;

/** The labels that a provision permits, prepared once for all rows: a row's many labels cost their sum. */
interface PermittedLabels {
  /** The highest. */
  readonly level: number;
  readonly sensitivities: ReadonlySet<string>;
  /** The labels that are in no table here. */
  readonly names: ReadonlySet<string>;
  /** A label is named that is in no table here, or is not understood. */
  readonly isOpen: boolean;
}

const preparedLabels = new WeakMap<readonly (LabelLimit | Unclear)[], PermittedLabels>();

function permittedLabels(limits: readonly (LabelLimit | Unclear)[]): PermittedLabels {
  const known = preparedLabels.get(limits);
  if (known !== undefined) return known;
  const [sensitivities, names] = [new Set<string>(), new Set<string>()];
  let [level, isOpen] = [-1, false];
  for (const limit of limits) {
    if (limit === unclear || "label" in limit) isOpen = true;
    if (limit === unclear) continue;
    if ("level" in limit) level = Math.max(level, limit.level);
    else if ("sensitivity" in limit) sensitivities.add(limit.sensitivity);
    else names.add(limit.label);
  }
  const labels = { level, sensitivities, names, isOpen };
  preparedLabels.set(limits, labels);
  return labels;
}

/**
 * A deny covers its level and the levels above, and its sensitivity with the codes above and below: a row
 * that is labelled SPI may be about any of these codes.
 */
function isDenied(limit: LabelLimit, row: RowLabels): Match {
  if ("label" in limit) return row.unknown.has(limit.label) ? "yes" : "unknown"; // it may mean any kind
  if ("level" in limit) return row.level >= limit.level ? "yes" : row.hasUnknown ? "unknown" : "no";
  const meant = [limit.sensitivity, ...(sameKinds.find((kinds) => kinds.includes(limit.sensitivity)) ?? [])];
  for (const sensitivity of row.sensitivities)
    if (meant.some((code) => coversSensitivity(code, sensitivity) || coversSensitivity(sensitivity, code)))
      return "yes";
  return row.hasUnknown ? "unknown" : "no";
}

// IHE PCF places ETHUD and OPIOIDUD below ETH, THO below SUD. Value sets label mental health PSY, BH or MH.
const sameKinds: readonly (readonly string[])[] = [
  ["ETH", "SUD"],
  [...mentalHealth, psychotherapyNotes],
];

/**
 * A profile is the origin's own claim about a row, and a writer may leave the claim out. So a profile never
 * permits, and a denial by profile denies every row. A row of a further type may contain a resource of the type.
 */
function classMatch(limit: ClassLimit, row: ConsentRowFacts): Match {
  if (!("type" in limit)) return "unknown";
  if (limit.type === row.type) return "yes";
  return containedTypes(row.contained).has(limit.type) ? "unknown" : "no";
}

const typesOfContained = new WeakMap<ConsentRowFacts["contained"], ReadonlySet<string>>();

/** The types of the contained resources, which are looked through once. */
function containedTypes(contained: ConsentRowFacts["contained"]): ReadonlySet<string> {
  const types = typesOfContained.get(contained) ?? new Set(contained.map(({ type }) => type));
  typesOfContained.set(contained, types);
  return types;
}

/**
 * `related` to an encounter, an episode or a plan: the rows that belong to it (IHE PCF), and for a denial each
 * row that refers to it. `related` to any further resource: the resources that it refers to, which the row
 * does not state. `dependents`: each row that refers to the resource (FHIR R4 consent-data-meaning).
 */
function dataMatch({ meaning, reference }: DataLimit, row: ConsentRowFacts): Match {
  if (meaning === "authoredby") {
    const { known, possible, hasUnknown } = row.authors;
    if (known.has(reference)) return "yes";
    return hasUnknown || possible.has(reference) || mayStandFor(reference, possible) ? "unknown" : "no";
  }
  if (row.reference === reference) return "yes";
  switch (meaning) {
    case "instance":
      return "no";
    case "dependents":
      return yesOrNo(row.refersTo.has(reference));
    case "related":
      if (!/^(?:Encounter|EpisodeOfCare|CarePlan)\//u.test(reference)) return "unknown";
      if (row.belongsTo.has(reference)) return "yes";
      return row.refersTo.has(reference) || mayBeOfEpisode(reference, row) ? "unknown" : "no";
  }
}

/** A row of a visit does not state the episode of care to which the visit belongs. */
const mayBeOfEpisode = (reference: string, { belongsTo }: ConsentRowFacts): boolean =>
  reference.startsWith("EpisodeOfCare/") && hasOfType(belongsTo, "Encounter/");

/** A role in an author's element does not state the practitioner behind it. */
const mayStandFor = (reference: string, possible: ReadonlySet<string>): boolean =>
  reference.startsWith("Practitioner/") && hasOfType(possible, "PractitionerRole/");

const typesIn = new WeakMap<ReadonlySet<string>, ReadonlySet<string>>();

/** Answers whether a resource of a type (`Type/`) is among these; they are looked through once. */
function hasOfType(references: ReadonlySet<string>, type: string): boolean {
  let types = typesIn.get(references);
  if (types === undefined) {
    types = new Set([...references].map((each) => each.slice(0, each.indexOf("/") + 1)));
    typesIn.set(references, types);
  }
  return types.has(type);
}
