import { isArray, isObject, property, readJson, textAt, type JsonObject } from "#fhir/json";
import type { OriginQuestion } from "#fhir/ports";
import { parseReference } from "#fhir/reference";
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
  readonly base: string;
}

// Merges of one patient's records; whoever has more is told so by nobody else either.
const patientsMax = 16;

/**
 * The ids of one individual: the one asked for, and those that the origin united with it by `Patient.link` (replaces, replaced-by). Both
 * records must say so: whoever may write one record could otherwise have another person's accounting told beside it.
 */
export async function unitedPatients(
  id: string,
  { toldTo, patient }: AccountingGrant,
  ask: Ask,
  names: Omit<NamedBases, "origin">,
): Promise<Result<readonly string[], UniteRefusal>> {
  const first = await readPatient(patient(id).ask, ask);
  if (!first.ok) return first;
  const seen = new Discloser(patient(id), { ...names, origin: first.value.base }).current(first.value.body, "Patient", id);
  if (!seen.ok) return seen;
  const ids = [id];
  const open: { readonly id: string; readonly links: readonly string[] }[] = [{ id, links: linked(seen.value, first.value.base) }];
  for (let one = open.shift(); one !== undefined && ids.length < patientsMax; one = open.shift()) {
    for (const other of one.links) {
      if (ids.includes(other) || ids.length >= patientsMax) continue;
      const read = await readPatient(patient(other).ask, ask);
      if (!read.ok && read.error.reason === "absent") continue; // merged away and gone: nobody can say more of it
      if (!read.ok) return read;
      const resource = toldTo === "officer" ? seenBy(patient(other), read.value, other, names) : plainly(read.value.body, other);
      if (resource !== undefined) names.residences.note(resource);
      const links = resource === undefined ? [] : linked(resource, read.value.base);
      if (!links.includes(one.id)) continue;
      ids.push(other);
      open.push({ id: other, links });
    }
  }
  return ok(ids);
}

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
function linked(resource: JsonObject, base: string): readonly string[] {
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
