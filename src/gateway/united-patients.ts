import { isArray, isObject, property, readJson, textAt, type JsonObject } from "#fhir/json";
import type { OriginQuestion } from "#fhir/ports";
import { parseReference, type FhirBase } from "#fhir/reference";
import { ok, type Result } from "#kernel/result";
import { Discloser, type NamedBases, type Withheld } from "#phi/disclose";
import type { AccountingGrant } from "#policy/evaluate-accounting";
import type { Grant } from "#policy/grant";
import type { Ask } from "./all-rows.ts";
import type { OriginRefusal } from "./forward.ts";
import { wholeOf } from "./gather.ts";

export type UniteRefusal = OriginRefusal | Withheld;

interface Read {
  readonly body: Uint8Array;
  readonly base: FhirBase;
}

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
  ask: Ask,
  names: Omit<NamedBases, "origin">,
): Promise<Result<United, UniteRefusal>> {
  const alone = { ids: [id], isWhole: false };
  const first = await readPatient(patient(id).ask, ask);
  if (!first.ok) return needsRow || isFault(first.error) ? first : ok(alone);
  const seen = new Discloser(patient(id), { ...names, origin: first.value.base }).current(first.value.body, "Patient", id);
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
        const read = await readPatient(patient(other).ask, ask);
        if (!read.ok && isFault(read.error)) return read;
        linksOf.set(other, read.ok ? linksIn(read.value, other) : []);
      }
      // Of one that does not link back the same is said as of one that cannot be read: whether it is there is nothing to tell an individual.
      if (linksOf.get(other)?.includes(one) === true) ids.push(other);
      else isWhole = false;
    }
  }
  return ok({ ids, isWhole });

  function linksIn(read: Read, other: string): readonly string[] {
    const resource = toldTo === "officer" ? seenBy(patient(other), read, other, names) : plainly(read.body, other);
    if (resource === undefined) return [];
    names.residences.note(resource);
    return linked(resource, read.base);
  }
}

/** What is no row's doing, and passes: to ask again is better than an accounting that may lack a record's lines. */
const isFault = ({ reason }: OriginRefusal): boolean =>
  reason === "origin_unknown" || reason === "origin_unreachable" || reason === "origin_timed_out" || reason === "origin_circuit_open";

const readPatient = async (question: OriginQuestion, ask: Ask) => wholeOf(await ask(question));

function seenBy(grant: Grant, { body, base }: Read, id: string, names: Omit<NamedBases, "origin">): JsonObject | undefined {
  const seen = new Discloser(grant, { ...names, origin: base }).current(body, "Patient", id);
  return seen.ok ? seen.value : undefined;
}

/** An individual's other record is outside their scope: it is read for its links alone, and nothing of it leaves. */
function plainly(body: Uint8Array, id: string): JsonObject | undefined {
  const json = readJson(body);
  if (!json.ok || !isObject(json.value)) return undefined;
  return textAt(json.value, "resourceType") === "Patient" && property(json.value, "id") === id ? json.value : undefined;
}

/** Ids of the origin's own patients to whom it links as another record of the same person that takes, or took, its place. */
function linked(resource: JsonObject, base: FhirBase): readonly string[] {
  const links = property(resource, "link");
  if (!isArray(links)) return [];
  return links.flatMap((link) => {
    if (!isObject(link) || !/^replace(?:s|d-by)$/u.test(textAt(link, "type") ?? "")) return [];
    const other = property(link, "other");
    const reference = isObject(other) ? parseReference(textAt(other, "reference") ?? "", base) : undefined;
    const isPatient = reference?.kind === "local" && reference.type === "Patient" && !/^\.+$/u.test(reference.id); // a dot is no path
    return isPatient ? [reference.id] : [];
  });
}
