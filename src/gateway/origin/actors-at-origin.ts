import { textAt, type JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import type { Instant } from "#kernel/clock";
import { actorsIn, followedIn, readActor, withActorNames, type ActorRow } from "#policy/consent/who-is-meant";
import type { ReadConsent } from "#gateway/consents/consent-filing";
import type { Asking } from "./asking.ts";
import { questionsById, rowsById } from "./rows-by-id.ts";

// An actor, its members, and the organization of a role: a Group in a Group in a Group is followed no further.
const levelsMax = 4;
// The resources that are read for one Consent, and for all Consents of a patient, which share them alike.
const [followedMax, followedOfPatientMax] = [40, 400];

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
      : [{ consent, ...content, next: [...new Set(next)], followed: new Set<string>() }];
  });
  const byPatient = Map.groupBy(naming, ({ patient }) => patient);
  const sharers = (patient: string): number => byPatient.get(patient)?.length ?? 1;
  const rows = new Map<string, ActorRow>();
  const asked = new Set<string>();
  for (let level = 1; level <= levelsMax; level += 1) {
    for (const { patient, next, followed } of naming) {
      const most = Math.min(followedMax, Math.max(1, Math.floor(followedOfPatientMax / sharers(patient))));
      for (const reference of next) if (followed.size < most) followed.add(reference);
    }
    const unknown = new Set(
      naming.flatMap(({ followed }) => [...followed].filter((each) => !asked.has(each))),
    );
    for (const [type, ids] of questionsById(unknown)) await readActors(type, ids, origin, at, rows);
    for (const reference of unknown) asked.add(reference);
    for (const each of naming) {
      const { followed } = each;
      const behind = each.next.flatMap((name) => (followed.has(name) ? (rows.get(name)?.means ?? []) : []));
      each.next = [...new Set(followedIn(behind))].filter((name) => !followed.has(name));
    }
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

async function readActors(
  type: string,
  ids: readonly string[],
  origin: Asking,
  at: Instant,
  rows: Map<string, ActorRow>,
): Promise<void> {
  const twice = new Set<string>();
  const keeps = (row: JsonObject, base: FhirBase) => {
    const id = textAt(row, "id") ?? "";
    const reference = `${type}/${id}`;
    if (textAt(row, "resourceType") !== type || !ids.includes(id)) return false;
    if (rows.has(reference)) twice.add(reference);
    rows.set(reference, readActor(row, base, at));
    return false; // the names alone are retained
  };
  const read = await rowsById(type, ids, origin, { keeps });
  for (const reference of twice) rows.delete(reference); // which of them is meant is not known
  if (!read.ok && read.error.reason !== "too_many_rows" && !read.error.reason.startsWith("answer_"))
    throw new Error(read.error.reason);
}
