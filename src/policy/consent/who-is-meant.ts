import { isArray, isObject, objectAt, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { localId, parseReference, type FhirBase } from "#fhir/r4/reference";
import type { Instant } from "#kernel/clock";
import {
  unclear,
  type ConsentRules,
  type ActorName,
  type Party,
  type Provision,
  type Unclear,
} from "./consent.ts";
import { formMax, storedFormOf } from "./stored-form.ts";
import { includesInstant, mayIncludeInstant, spanOfPeriod } from "./time-span.ts";

// The names to which the actors of one Consent come, and of all Consents of a patient: forms are stored and sent.
const [namesMax, namesOfPatientMax] = [250, 2_000];

/** A resource at the origin, as far as it tells who is meant. */
export interface ActorRow {
  /** Any of them is meant. Each in the list is unclear, or the name of a party. */
  readonly means: readonly (ActorName | Unclear)[];
  /** The only patient whose Consents may mean it. */
  readonly patient?: string | undefined;
}

/** Reads who is meant, by type. A type that is missing here is known by its reference alone. */
const readers: Readonly<Record<string, (row: JsonObject, base: FhirBase, at: Instant) => ActorRow>> = {
  Organization: (row) => ({ means: [ofItself(row)] }),
  Device: (row, base) => {
    const patient = objectAt(row, "patient");
    const id = localId(textAt(patient ?? {}, "reference") ?? "", "Patient", base);
    if (patient === undefined) return { means: [ofItself(row)] };
    return id === undefined ? unread : { means: [ofItself(row)], patient: id };
  },
  PractitionerRole: (row, base, at) => {
    const isNow = isInPeriod(row, at);
    if (isNow === unclear) return unread;
    if (!isNow || property(row, "active") === false) return { means: [] };
    const organization = property(row, "organization");
    const part = (reference: Json | undefined, type: string): ActorName | Unclear => {
      const named = partyOf(reference, base, type);
      return named?.reference?.startsWith(`${type}/`) === false ? unclear : named;
    };
    const all = [
      part(property(row, "practitioner"), "Practitioner"),
      ...(organization === undefined ? [] : [part(organization, "Organization")]),
    ];
    return { means: [{ reference: `PractitionerRole/${textAt(row, "id")}`, all }] };
  },
  Group: (row, base, at) => {
    if (property(row, "active") === false) return { means: [] };
    // A Group that describes its members, or that counts more of them than it lists, leaves some unnamed.
    const count = Number(JSON.stringify(property(row, "quantity") ?? 0));
    const listed = property(row, "member") ?? (property(row, "quantity") !== undefined ? [] : undefined);
    if (property(row, "actual") !== true || !isArray(listed) || !(count <= listed.length)) return unread;
    return { means: membersIn(listed, "entity", base, at) };
  },
  CareTeam: (row, base, at) => {
    const status = textAt(row, "status") ?? "active";
    const patient = localId(textAt(objectAt(row, "subject") ?? {}, "reference") ?? "", "Patient", base);
    const isNow = isInPeriod(row, at);
    if (patient === undefined || isNow === unclear) return unread;
    if (status === "inactive" || !isNow) return { means: [], patient };
    const listed = property(row, "participant");
    if (status !== "active" || !isArray(listed)) return unread;
    return { means: membersIn(listed, "member", base, at), patient };
  },
};

const unread: ActorRow = { means: [unclear] };

/** Reads a resource that tells who is meant. A member that may change its meaning leaves it unclear. */
export function readActor(row: JsonObject, base: FhirBase, at: Instant): ActorRow {
  const read = readers[textAt(row, "resourceType") ?? ""];
  return read === undefined || mayMeanElse(row) ? unread : read(row, base, at);
}

const mayMeanElse = (object: JsonObject): boolean =>
  property(object, "modifierExtension") !== undefined || property(object, "implicitRules") !== undefined;

/**
 * The resource by its own reference and its identifiers; unclear without an identifier: no caller has the reference. A part
 * of an organization states each identifier twice: like an organization with several of a system, it may have more of them.
 */
function ofItself(row: JsonObject): ActorName | Unclear {
  const listed = property(row, "identifier");
  const stated = (isArray(listed) ? listed : []).flatMap(identifierIn);
  const identifiers = property(row, "partOf") === undefined ? stated : [...stated, ...stated];
  return identifiers.length === 0
    ? unclear
    : { reference: `${textAt(row, "resourceType")}/${textAt(row, "id")}`, identifiers };
}

/**
 * The party that a reference names; unclear for a display alone. An identifier alone names no person: a caller has the
 * identifiers of an organization, and they tell nothing of a person.
 */
function partyOf(reference: Json | undefined, base: FhirBase, type?: string): ActorName | Unclear {
  if (!isObject(reference)) return unclear;
  const found = parseReference(textAt(reference, "reference") ?? "", base);
  if (found.kind === "local") return { reference: `${found.type}/${found.id}` };
  const identifiers = identifierIn(property(reference, "identifier") ?? null);
  const isOrganization = (type ?? textAt(reference, "type")) === "Organization";
  return isOrganization && identifiers.length > 0 && textAt(reference, "reference") === undefined
    ? { identifiers }
    : unclear;
}

function identifierIn(stated: Json): readonly string[] {
  const [system, value] = isObject(stated) ? [textAt(stated, "system"), textAt(stated, "value")] : [];
  return system === undefined || value === undefined ? [] : [`${system}|${value}`];
}

function membersIn(
  listed: readonly Json[],
  name: string,
  base: FhirBase,
  at: Instant,
): readonly (ActorName | Unclear)[] {
  if (listed.length > namesMax) return [unclear];
  return listed.flatMap((item) => {
    if (!isObject(item) || mayMeanElse(item)) return [unclear];
    const isNow = isInPeriod(item, at);
    if (isNow === unclear) return [unclear];
    return isNow && property(item, "inactive") !== true ? [partyOf(property(item, name), base)] : [];
  });
}

/** Unclear: the period is none, or it may include the time in some zone. */
function isInPeriod(object: JsonObject, at: Instant): boolean | Unclear {
  const period = property(object, "period");
  const span = period === undefined ? undefined : spanOfPeriod(period);
  if (span === undefined) return true;
  if (span === null || includesInstant(span, at) !== mayIncludeInstant(span, at)) return unclear;
  return includesInstant(span, at);
}

const isFollowed = (reference: string | undefined): reference is string =>
  reference !== undefined && Object.hasOwn(readers, reference.slice(0, reference.indexOf("/")));

const severalFold = /^(?:Group|CareTeam)\//u;

/** The references of these names behind which further names stand. */
export const followedIn = (names: readonly (ActorName | Party | Unclear)[]): readonly string[] =>
  names.flatMap((each) => {
    const { reference, all }: { reference?: string | undefined; all?: ActorName["all"] } = each ?? {};
    if (all !== undefined) return followedIn(all);
    return isFollowed(reference) ? [reference] : [];
  });

/** The parties of a Consent. */
export const actorsIn = ({ readings }: ConsentRules): readonly (Party | Unclear)[] =>
  readings.flatMap(({ root }) => partiesOf(root));

const partiesOf = ({
  frame: { recipients = [], holders = [] },
  exceptions,
}: Provision): readonly (Party | Unclear)[] => [...recipients, ...holders, ...exceptions.flatMap(partiesOf)];

/**
 * The rules with the names behind their actors. An actor whose resource is not among the rows, or that comes to too
 * many names, stays as it is: a denial of it denies each caller, and a permit for it is silent.
 * @param patient the patient of the Consent: a CareTeam or a Device of a different patient is not followed.
 * @param sharers the patient's Consents that share the room for names.
 */
export function withActorNames(
  rules: ConsentRules,
  patient: string,
  rows: ReadonlyMap<string, ActorRow>,
  sharers = 1,
): ConsentRules {
  let left = Math.min(namesMax, Math.floor(namesOfPatientMax / sharers));
  /** The names behind a reference. A Group in a Group, or a team in a team, is not followed. */
  const namesOf = (reference: string, isMember = false): readonly (ActorName | Unclear)[] => {
    const row = rows.get(reference);
    const isOwn = (row?.patient ?? patient) === patient;
    if (row === undefined || !isOwn || (isMember && severalFold.test(reference))) return [unclear];
    return row.means.flatMap((name): readonly (ActorName | Unclear)[] => {
      if (name?.all !== undefined) return [{ ...name, all: name.all.map(ofPart) }];
      const next = name?.reference;
      if (next === `Patient/${patient}`) return []; // no Consent limits the individual
      if (next?.startsWith("Patient/") === true) return [unclear];
      return isFollowed(next) && next !== reference ? namesOf(next, true) : [name];
    });
  };
  const ofPart = (part: ActorName | Unclear): ActorName | Unclear => {
    const [found = unclear] = isFollowed(part?.reference) ? namesOf(part.reference, true) : [part];
    return found;
  };
  const known = new Map<string, readonly (ActorName | Unclear)[]>();
  const named = (party: Party | Unclear): Party | Unclear => {
    if (!isFollowed(party?.reference)) return party;
    const meant = known.get(party.reference) ?? namesOf(party.reference);
    known.set(party.reference, meant);
    if (meant.length > left) return party;
    left -= meant.length;
    return { ...party, meant };
  };
  const inside = (provision: Provision): Provision => {
    const { recipients, holders } = provision.frame;
    return {
      ...provision,
      frame: {
        ...provision.frame,
        ...(recipients && { recipients: recipients.map(named) }),
        ...(holders && { holders: holders.map(named) }),
      },
      exceptions: provision.exceptions.map(inside),
    };
  };
  const readings = rules.readings.map((reading) => ({ ...reading, root: inside(reading.root) }));
  const found = { ...rules, readings };
  return storedFormOf(found).length > formMax ? rules : found;
}
