import { textAt, type JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import type { Instant } from "#kernel/clock";
import { actorsIn, followedIn, readActor, withActorNames, type ActorRow } from "#policy/consent/who-is-meant";
import type { ReadConsent } from "#gateway/consents/consent-filing";
import type { Asking } from "./asking.ts";
import { nobodysId, questionsById, rowsById } from "./rows-by-id.ts";

// Each type is asked for once, before the types that its resources name. The rounds are the same without such an actor:
// a hidden patient's Consents decide about no question.
const rounds = [["Group", "CareTeam"], ["PractitionerRole", "Device"], ["Organization"]] as const;
// The resources that are read for one Consent, and for all Consents of a patient, which share them alike.
const [followedMax, followedOfPatientMax] = [40, 400];
// Two resources of fifty at which the origin fails are found with fewer answers 500.
const faultsMax = 24;

/**
 * Consents with the names behind their actors: the members of a Group or a CareTeam, the person of a PractitionerRole,
 * the identifiers of an Organization or a Device. What is read for a patient depends on no further patient. Throws when
 * the origin does not answer: a denial may be missing.
 */
export async function withActors(
  consents: readonly ReadConsent[],
  origin: Asking,
  at: Instant,
): Promise<readonly ReadConsent[]> {
  const naming = consents.flatMap((consent) => {
    const { content } = consent;
    const next = content?.rules.isActive === true ? followedIn(actorsIn(content.rules)) : [];
    return content === undefined || next.length === 0
      ? []
      : [{ consent, ...content, next, followed: new Set<string>() }];
  });
  const byPatient = Map.groupBy(naming, ({ patient }) => patient);
  const sharers = (patient: string): number => byPatient.get(patient)?.length ?? 1;
  const rows = new Map<string, ActorRow>();
  const follow = (): void => {
    for (const { patient, next, followed } of naming) {
      const most = Math.min(followedMax, Math.max(1, Math.floor(followedOfPatientMax / sharers(patient))));
      for (const reference of next) if (followed.size < most) followed.add(reference);
    }
  };
  for (const types of rounds) {
    follow();
    const all = new Set(naming.flatMap(({ followed }) => [...followed]));
    await Promise.all(types.map((type) => readActors(type, all, origin, at, rows)));
    for (const each of naming)
      each.next = followedIn([...each.followed].flatMap((name) => rows.get(name)?.means ?? []));
  }
  const named = new Map(
    naming.map(({ consent, patient, rules, followed }) => {
      const own = new Map([...followed].flatMap((each) => entryOf(each, rows)));
      const content = { patient, rules: withActorNames(rules, patient, own, sharers(patient)) };
      return [consent, { ...consent, content }];
    }),
  );
  return consents.map((consent) => named.get(consent) ?? consent);
}

const entryOf = (
  reference: string,
  rows: ReadonlyMap<string, ActorRow>,
): readonly (readonly [string, ActorRow])[] => {
  const row = rows.get(reference);
  return row === undefined ? [] : [[reference, row]];
};

/** Asks for the resources of a type among these, and at least for an id that no server gives. */
async function readActors(
  type: string,
  among: ReadonlySet<string>,
  origin: Asking,
  at: Instant,
  rows: Map<string, ActorRow>,
): Promise<void> {
  const wanted = [...among].filter((reference) => reference.startsWith(`${type}/`));
  const twice = new Set<string>();
  const keeps = (row: JsonObject, base: FhirBase) => {
    const reference = `${type}/${textAt(row, "id")}`;
    if (textAt(row, "resourceType") !== type || !among.has(reference)) return false;
    // A row of an answer that was too long comes again.
    const [known, read] = [rows.get(reference), readActor(row, base, at)];
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(read)) twice.add(reference);
    rows.set(reference, read);
    return false; // the names alone are retained
  };
  const faults = { left: faultsMax };
  for (const [, ids] of questionsById(wanted.length === 0 ? [`${type}/${nobodysId}`] : wanted)) {
    const read = await rowsById(type, ids, origin, { keeps }, faults);
    // Without an actor of the type its server may fail: nothing rests on the answer.
    if (
      !read.ok &&
      wanted.length > 0 &&
      read.error.reason !== "too_many_rows" &&
      !read.error.reason.startsWith("answer_")
    )
      throw new Error(read.error.reason);
  }
  for (const reference of twice) rows.delete(reference); // which of them is meant is not known
}
