import { isArray, isObject, property, readJson, textAt, type JsonObject } from "#fhir/json/json";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import { ok, type Result } from "#kernel/result";
import { Discloser, type DisclosureRefusal } from "#phi/disclose";
import type { AccountingGrant } from "#policy/evaluate-accounting";
import type { Grant } from "#policy/grant";
import type { RowsRefusal } from "./asking.ts";
import type { OriginRefusal } from "./forward.ts";
import type { WholeAnswer } from "./calls.ts";
import type { OriginSession } from "./origin-session.ts";
import { residenceFacts } from "#residence/row-residences";

export type UniteRefusal = RowsRefusal | DisclosureRefusal;

// Limit for the merged records of a patient.
const patientsMax = 16;
// The gateway reads each record that a link names. Without a limit a single writer of links could cause
// thousands of questions.
const readsMax = 64;

/** The records of one individual. */
export interface United {
  readonly ids: readonly string[];
  /** True if the record was read and every linked record links back. If not, there may be more records. */
  readonly isWhole: boolean;
}

/**
 * The ids of an individual: the requested id, and the ids that the origin united with it by `Patient.link`
 * (replaces, replaced-by). Both records must say so; otherwise a writer of one record could get the
 * accounting of a further person. A record that is absent or hidden counts alone: an individual does not
 * lose the accounting together with the row.
 */
export async function unitedPatients(
  id: string,
  { reader, grantToUnite, needsRow }: AccountingGrant,
  origin: OriginSession,
): Promise<Result<United, UniteRefusal>> {
  const alone = { ids: [id], isWhole: false };
  const first = await origin.read(grantToUnite(id).ask);
  if (!first.ok) return needsRow || isFault(first.error) ? first : ok(alone);
  const seen = await seenBy(grantToUnite(id), first.value, id, origin);
  if (!seen.ok) return needsRow ? seen : ok(alone);
  const linksOf = new Map([[id, linked(seen.value, first.value.base)]]); // for every record that was read
  const ids = [id];
  let isWhole = true;
  for (const one of ids) {
    // `ids` grows in the loop: a record that is united with a united record is of the same individual.
    for (const other of linksOf.get(one) ?? []) {
      if (ids.includes(other)) continue;
      if (ids.length >= patientsMax || (!linksOf.has(other) && linksOf.size > readsMax)) {
        isWhole = false;
        continue;
      }
      if (!linksOf.has(other)) {
        const read = await origin.read(grantToUnite(other).ask);
        if (!read.ok && isFault(read.error)) return read;
        linksOf.set(other, read.ok ? await linksIn(read.value, other) : []);
      }
      // A record that does not link back gives the same answer as an unreadable record: its existence is not
      // disclosed.
      if (linksOf.get(other)?.includes(one) === true) ids.push(other);
      else isWhole = false;
    }
  }
  return ok({ ids, isWhole });

  async function linksIn(read: WholeAnswer, other: string): Promise<readonly string[]> {
    const seen =
      reader === "officer"
        ? await seenBy(grantToUnite(other), read, other, origin)
        : ok(plainly(read.body, other));
    const resource = seen.ok ? seen.value : undefined;
    if (resource === undefined) return [];
    const judge = () => {
      origin.names.residences.note(residenceFacts(resource));
      return linked(resource, read.base);
    };
    return origin.barrier.judge(resource, judge, []);
  }
}

/**
 * Transient faults, which no row causes: asking again is better than an accounting that may lack lines of a
 * record.
 */
const faults: readonly OriginRefusal["reason"][] = [
  "origin_unknown",
  "origin_unreachable",
  "origin_timed_out",
  "origin_circuit_open",
  "origin_busy",
  "client_busy",
  "origin_throttled",
  "origin_unavailable",
];
const isFault = ({ reason }: OriginRefusal): boolean => faults.includes(reason);

async function seenBy(
  grant: Grant,
  { body, base }: WholeAnswer,
  id: string,
  origin: OriginSession,
): Promise<Result<JsonObject, UniteRefusal>> {
  const discloser = new Discloser(grant, origin.basesAt(base));
  const known = await origin.know(() => discloser.needsIn(body));
  const row = known.ok ? discloser.current(body, "Patient", id) : known;
  return row.ok ? ok(row.value.now) : row;
}

/**
 * The further record of an individual is outside the scope: the gateway reads only its links, and nothing of
 * it leaves.
 */
function plainly(body: Uint8Array, id: string): JsonObject | undefined {
  const json = readJson(body);
  if (!json.ok || !isObject(json.value)) return undefined;
  return textAt(json.value, "resourceType") === "Patient" && property(json.value, "id") === id
    ? json.value
    : undefined;
}

/** The origin's own patients to whom a record links as replacing it, or as replaced by it. */
function linked(resource: JsonObject, base: FhirBase): readonly string[] {
  const links = property(resource, "link");
  if (!isArray(links)) return [];
  return links.flatMap((link) => {
    if (!isObject(link) || !/^replace(?:s|d-by)$/u.test(textAt(link, "type") ?? "")) return [];
    const other = property(link, "other");
    const reference = isObject(other) ? parseReference(textAt(other, "reference") ?? "", base) : undefined;
    const isPatient =
      // a dot is no path
      reference?.kind === "local" && reference.type === "Patient" && !/^\.+$/u.test(reference.id);
    return isPatient ? [reference.id] : [];
  });
}
