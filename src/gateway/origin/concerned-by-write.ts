import { allConcernedBy } from "#fhir/r4/concerned-patients";
import type { JsonObject } from "#fhir/json/json";
import { patientsNamedIn } from "#fhir/r4/reference";
import { patientsMax, type ConcernedPatients } from "#phi/disclosure";
import type { Bases } from "#phi/origin-urls";

/**
 * The patients of a write, as its record names them. `unseen`: patients of a stored row that its writer does
 * not see.
 */
export type ConcernedBy = ConcernedPatients;

/** A write that concerns no patient. */
export const concernsNobody: ConcernedBy = {
  patients: new Set(),
  unseen: new Set(),
  room: 0,
  unnamed: false,
};

// The record of a change has room for eight patients whom hidden elements name: a ninth shows in its length
// (docs/ledger-format.md §9).
const unseenMax = 8;

/**
 * The patients of a new resource and of the resources inside it, and all further patients in it: its writer
 * knows them all.
 */
export function concernedByCreate(resource: JsonObject, bases: Bases): ConcernedBy {
  const { unnamed } = allConcernedBy(resource, [bases.origin, bases.public]);
  return { patients: namedInBody(resource, bases), unseen: new Set(), room: 0, unnamed };
}

/** Each patient whom a resource as its writer sees it names: the resource, and the resources inside it. */
export function namedInBody(resource: JsonObject, { origin, public: own }: Bases): ReadonlySet<string> {
  const bases = [origin, own];
  return new Set([...allConcernedBy(resource, bases).patients, ...patientsNamedIn(resource, bases)]);
}

/** A change of a stored row. */
interface Changed {
  readonly stored: JsonObject;
  /** The patients of the visible part of the row. */
  readonly named: ConcernedPatients;
  /** The submitted resource, and the resource as it will be stored. A deletion has neither. */
  readonly sent?: JsonObject;
  readonly result?: JsonObject;
}

/**
 * The patients of the stored row, of the result and of the resources inside both, and all further patients
 * in the body. The writer knows the patients in the visible part of the row and in the body; the remaining
 * patients are in hidden elements, and so `unseen`.
 */
export function concernedByChange(
  { stored, named, sent, result }: Changed,
  { origin, public: own }: Bases,
): ConcernedBy {
  const bases = [origin, own];
  const all = [stored, result].flatMap((resource) =>
    resource === undefined ? [] : [allConcernedBy(resource, bases)],
  );
  const known = new Set([...named.patients].filter((patient) => !named.unseen.has(patient)));
  const ofBody = sent === undefined ? [] : namedInBody(sent, { origin, public: own });
  for (const patient of ofBody) known.add(patient);
  const patients = new Set([...named.patients, ...known, ...all.flatMap((one) => one.patients)]);
  const unseen = new Set([...patients].filter((patient) => !known.has(patient)));
  return { patients, unseen, room: unseenMax, unnamed: all.some(({ unnamed }) => unnamed) };
}

/**
 * The patients of a row that is deleted and that its writer cannot see in full, owners first. The part that the
 * gateway cannot read may concern further patients, so the row counts as unnamed.
 */
export function concernedByUnread(row: JsonObject, bases: Bases): ConcernedBy {
  const patients = namedInBody(row, bases);
  return { patients, unseen: patients, room: unseenMax, unnamed: true };
}

/** The first patients, as many as the record of an answer takes. All of them are on record before the write is sent. */
export function firstConcerned({ patients, unseen, ...more }: ConcernedBy): ConcernedBy {
  const first = new Set([...patients].slice(0, patientsMax));
  return { ...more, patients: first, unseen: new Set([...unseen].filter((patient) => first.has(patient))) };
}
