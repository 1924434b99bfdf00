import { allConcernedBy } from "#fhir/r4/compartment";
import type { JsonObject } from "#fhir/json/json";
import { patientsNamedIn } from "#fhir/r4/reference";
import { patientsMax, type ConcernedPatients } from "#phi/disclosure";
import type { Bases } from "#phi/origin-urls";

/** Whom a write is about, as the record names them: `unseen` are those of a stored row whom its writer does not see in it. */
export type ConcernedBy = ConcernedPatients;

/** Of nobody. */
export const concernsNobody: ConcernedBy = {
  patients: new Set(),
  unseen: new Set(),
  room: 0,
  unnamed: false,
};

// Room in the record of a change for patients whom hidden elements name: a ninth shows in its length (docs/ledger-format.md §9).
const unseenMax = 8;

/** Whom a new resource and those inside it are about, and whom else it names: its writer said it all. */
export function concernedByCreate(resource: JsonObject, base: string): ConcernedBy {
  const { patients, unnamed } = allConcernedBy(resource, [base]);
  return {
    patients: new Set([...patients, ...patientsNamedIn(resource, [base])]),
    unseen: new Set(),
    room: 0,
    unnamed,
  };
}

/** A change of a stored row. */
interface Changed {
  readonly stored: JsonObject;
  /** Whom what is seen of it concerns. */
  readonly named: ConcernedPatients;
  /** What its writer sent, and what becomes of the row; of a deletion neither. */
  readonly sent?: JsonObject;
  readonly result?: JsonObject;
}

/**
 * Whom the row, what becomes of it and the resources inside these are about, and whom else the body names. What its writer sees in the row and
 * sends is known; what else the row and the result name only hidden elements do.
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
  const said =
    sent === undefined ? [] : [...allConcernedBy(sent, bases).patients, ...patientsNamedIn(sent, bases)];
  for (const patient of said) known.add(patient);
  const patients = new Set([...named.patients, ...known, ...all.flatMap((one) => one.patients)]);
  const unseen = new Set([...patients].filter((patient) => !known.has(patient)));
  return { patients, unseen, room: unseenMax, unnamed: all.some(({ unnamed }) => unnamed) };
}

/**
 * Whom a row is about that its writer cannot see in full, and deletes: owners first, as many as a record names. What could not be read may be
 * about somebody else too.
 */
export function concernedByUnread(row: JsonObject, { origin, public: own }: Bases): ConcernedBy {
  const bases = [origin, own];
  const named = new Set([...allConcernedBy(row, bases).patients, ...patientsNamedIn(row, bases)]);
  const patients = new Set([...named].slice(0, patientsMax));
  return { patients, unseen: patients, room: unseenMax, unnamed: true };
}
