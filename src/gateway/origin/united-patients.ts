import { isArray, isObject, property, readJson, textAt, type JsonObject } from "#fhir/json/json";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import { ok, type Result } from "#kernel/result";
import { Discloser, type DisclosureRefusal } from "#phi/disclose";
import type { AccountingGrant } from "#policy/evaluate-accounting";
import type { Grant } from "#policy/grant";
import type { OriginRefusal } from "./forward.ts";
import type { OriginSession, WholeAnswer } from "./origin-session.ts";

export type UniteRefusal = OriginRefusal | DisclosureRefusal;

// Merges of one patient's records that count as one.
const patientsMax = 16;
// Each other record that a link names is read, whoever wrote the link: one writer could have the origin asked thousands of times.
const readsMax = 64;

/** The records of one individual. */
export interface United {
  readonly ids: readonly string[];
  /** Whether the record was read, and each record that it links to links back; else there may be more records. */
  readonly isWhole: boolean;
}

/**
 * The ids of one individual: the one asked for, and those that the origin united with it by `Patient.link` (replaces, replaced-by). Both
 * records must say so: whoever may write one record could otherwise have another person's accounting told beside it. A record that is not
 * there, and one that may not be seen, is one alone: nobody's accounting is taken away with the row.
 */
export async function unitedPatients(
  id: string,
  { toldTo, patient, needsRow }: AccountingGrant,
  origin: OriginSession,
): Promise<Result<United, UniteRefusal>> {
  const alone = { ids: [id], isWhole: false };
  const first = await origin.read(patient(id).ask);
  if (!first.ok) return needsRow || isFault(first.error) ? first : ok(alone);
  const seen = new Discloser(patient(id), origin.basesAt(first.value.base)).current(
    first.value.body,
    "Patient",
    id,
  );
  if (!seen.ok) return needsRow ? seen : ok(alone);
  const linksOf = new Map([[id, linked(seen.value, first.value.base)]]); // of every record that was read
  const ids = [id];
  let isWhole = true;
  for (const one of ids) {
    // `ids` grows on the way: what is united with a united record is of the same individual.
    for (const other of linksOf.get(one) ?? []) {
      if (ids.includes(other)) continue;
      if (ids.length >= patientsMax || (!linksOf.has(other) && linksOf.size > readsMax)) {
        isWhole = false;
        continue;
      }
      if (!linksOf.has(other)) {
        const read = await origin.read(patient(other).ask);
        if (!read.ok && isFault(read.error)) return read;
        linksOf.set(other, read.ok ? linksIn(read.value, other) : []);
      }
      // Of one that does not link back the same is said as of one that cannot be read: whether it is there is nothing to tell an individual.
      if (linksOf.get(other)?.includes(one) === true) ids.push(other);
      else isWhole = false;
    }
  }
  return ok({ ids, isWhole });

  function linksIn(read: WholeAnswer, other: string): readonly string[] {
    const resource =
      toldTo === "officer" ? seenBy(patient(other), read, other, origin) : plainly(read.body, other);
    if (resource === undefined) return [];
    origin.residences.note(resource);
    return linked(resource, read.base);
  }
}

/** What is no row's doing, and passes: to ask again is better than an accounting that may lack a record's lines. */
const faults: readonly OriginRefusal["reason"][] = [
  "origin_unknown",
  "origin_unreachable",
  "origin_timed_out",
  "origin_circuit_open",
  "origin_throttled",
  "origin_unavailable",
];
const isFault = ({ reason }: OriginRefusal): boolean => faults.includes(reason);

function seenBy(
  grant: Grant,
  { body, base }: WholeAnswer,
  id: string,
  origin: OriginSession,
): JsonObject | undefined {
  const seen = new Discloser(grant, origin.basesAt(base)).current(body, "Patient", id);
  return seen.ok ? seen.value : undefined;
}

/** An individual's other record is outside their scope: it is read for its links alone, and nothing of it leaves. */
function plainly(body: Uint8Array, id: string): JsonObject | undefined {
  const json = readJson(body);
  if (!json.ok || !isObject(json.value)) return undefined;
  return textAt(json.value, "resourceType") === "Patient" && property(json.value, "id") === id
    ? json.value
    : undefined;
}

/** Ids of the origin's own patients to whom it links as another record of the same person that takes, or took, its place. */
function linked(resource: JsonObject, base: FhirBase): readonly string[] {
  const links = property(resource, "link");
  if (!isArray(links)) return [];
  return links.flatMap((link) => {
    if (!isObject(link) || !/^replace(?:s|d-by)$/u.test(textAt(link, "type") ?? "")) return [];
    const other = property(link, "other");
    const reference = isObject(other) ? parseReference(textAt(other, "reference") ?? "", base) : undefined;
    const isPatient =
      reference?.kind === "local" && reference.type === "Patient" && !/^\.+$/u.test(reference.id); // a dot is no path
    return isPatient ? [reference.id] : [];
  });
}
