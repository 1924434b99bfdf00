import type { JsonObject } from "#fhir/json/json";
import type { PagePlace } from "#fhir/ports";
import { err, ok, type Result } from "#kernel/result";
import { EverythingPage } from "#phi/everything-page";
import type { EverythingGrant } from "#policy/evaluate-listing";
import { allRows } from "#gateway/origin/all-rows";
import { fill, type Filled } from "./fill-page.ts";
import type { GatherRefusal } from "./gather.ts";
import type { OriginSession } from "#gateway/origin/origin-session";
import { passOver } from "#gateway/origin/pass-over";

// Limit for the resources to which the rows of a page refer: practitioners, organizations, locations.
const referredMax = 1_000;
const idsMax = 200;

/**
 * A page of everything about a patient. It asks for the patient and then for the rest, whatever the first
 * answer was. Then it asks, by id, for the resources outside all compartments to which the rows of this page
 * refer: an origin may send them on a different page, or not at all.
 */
export async function listEverything(
  grant: EverythingGrant,
  start: PagePlace,
  origin: OriginSession,
): Promise<Result<Filled<EverythingPage>, GatherRefusal>> {
  const answer = await origin.read(grant.patient.ask);
  const patient = answer.ok ? origin.standing(grant.patient, answer.value, "Patient", grant.id) : answer;
  if (!patient.ok) {
    await passOver(await origin.ask(start.link === undefined ? grant.ask : { link: start.link }));
    return patient;
  }
  const filled = await fill(
    { ask: grant.ask, type: "searchset" },
    start,
    origin,
    (base) => new EverythingPage(grant, origin.basesAt(base)),
  );
  // The patient exists: a server without this operation answers like this.
  if (!filled.ok)
    return filled.error.reason === "absent" ? err({ reason: "origin_rejected_search", status: 404 }) : filled;
  const { page } = filled.value;
  const found = await referred([...page.referred.keys()], origin);
  if (!found.ok) return found;
  const brought = page.bring(found.value);
  return brought.ok ? filled : brought;
}

async function referred(
  references: readonly string[],
  origin: OriginSession,
): Promise<Result<readonly JsonObject[], GatherRefusal>> {
  if (references.length > referredMax) return err({ reason: "too_many_rows" });
  const byType = Map.groupBy(references, (reference) => reference.slice(0, reference.indexOf("/")));
  const resources: JsonObject[] = [];
  for (const [type, among] of byType) {
    for (let from = 0; from < among.length; from += idsMax) {
      const ids = among.slice(from, from + idsMax).map((reference) => reference.slice(type.length + 1));
      const found = await allRows(
        { path: type, query: `_id=${ids.join(",")}&_count=${idsMax}`, posted: true },
        5 * idsMax,
        origin,
      );
      if (!found.ok) return found;
      resources.push(...found.value.rows);
    }
  }
  return ok(resources);
}
