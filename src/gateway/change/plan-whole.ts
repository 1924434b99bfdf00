import {
  attachedContent,
  conditionalReferences,
  isWriteOfType,
  referencesIn,
  withReferences,
  type BatchEntry,
  type BatchRefusal,
} from "#fhir/batch";
import { isReading } from "#fhir/interaction";
import { isResourceType } from "#fhir/r4/elements";
import { readingsBelow } from "#fhir/r4/reference";
import type { JsonObject } from "#fhir/json/json";
import { conditionQuery } from "#fhir/preconditions";
import { encodedQuery } from "#fhir/search/query";
import { err, ok, type Result } from "#kernel/result";
import { authorizeListing, authorizeReading, type Permission } from "#gateway/admission/authorize";
import { mayHideStrangers } from "#policy/search/searched-unnamed";
import { nameAsked } from "#gateway/admission/name-asked";
import type { OriginSession } from "#gateway/origin/origin-session";
import { findByQuery } from "#gateway/change/plan/write-criteria";
import { sizeHeldBy } from "#gateway/change/plan/planned-write";
import { planWrite } from "#gateway/change/plan/write-plan";
import { interactionOf, readAsked, type EntryReadRefusal } from "./batch-entry.ts";
import type { TransactionRefusal } from "./bundle-outcome.ts";
import type { ChangeRefusal, PlannedInSet, UnsentSet } from "./change-set.ts";
import { earlierWrite, onRepeat } from "./effects.ts";
import { whatOf } from "./entry-outcome.ts";

// Each reference is a search of its own.
const searchesMax = 100;

/** Why nothing of a transaction was sent to the origin. */
export type UnsentTransaction =
  | UnsentSet
  | ChangeRefusal
  | EntryReadRefusal
  | Extract<BatchRefusal, { readonly reason: "entry_repeated" }>
  | TransactionRefusal;

/**
 * Permits all entries, or none. The effect of a write that a condition finds done may have failed: then it is done
 * first, and the entries are decided again by the Consents of now.
 */
export async function planWhole(
  entries: readonly BatchEntry[],
  prefer: string | null,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<readonly PlannedInSet[], UnsentTransaction>> {
  const plan = () => planAll(entries, prefer, permission, origin);
  const { generation } = origin;
  const planned = await plan();
  if (!planned.ok) return planned;
  for (const { asked, plan: found } of planned.value) {
    const earlier = earlierWrite(asked, ok(found));
    const again = earlier && (await onRepeat(asked, earlier, permission, origin));
    if (again?.ok === false) return again;
  }
  if (generation === origin.generation) return planned;
  for (const { plan: before } of planned.value)
    if (before.kind === "send") origin.held.give(sizeHeldBy(before));
  return plan();
}

/** Decides about all entries before anything is done. The first refused entry refuses the whole. */
async function planAll(
  entries: readonly BatchEntry[],
  prefer: string | null,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<readonly PlannedInSet[], UnsentTransaction>> {
  const { policy } = permission;
  const places = await placesOf(entries, permission, origin);
  if (!places.ok) return places;
  const attached = attachedContent(entries);
  const planned: PlannedInSet[] = [];
  for (const [index, request] of entries.entries()) {
    const resource = request.resource && referringTo(request.resource, places.value);
    const asked = readAsked(request, resource, origin.base, prefer);
    if (!asked.ok) return asked;
    const interaction = interactionOf(asked.value);
    const naming = await nameAsked(permission, interaction, origin);
    if (!naming.ok) return naming;
    if (asked.value.kind === "reading") {
      const reading = asked.value.interaction;
      const grant = isReading(reading)
        ? authorizeReading(permission, reading)
        : authorizeListing(permission, reading);
      if (!grant.ok) return grant;
      continue;
    }
    const { write: read } = asked.value;
    const write = attached.has(request) ? { ...read, body: { ...read.body, isAttached: true } } : read;
    origin.beginQuestion();
    const plan = await planWrite(write, permission, origin);
    const covered = mayHideStrangers(interaction) ? await origin.coverRelation() : undefined;
    if (covered?.ok === false) return covered;
    if (!plan.ok) return plan;
    const what = whatOf(request, interaction);
    planned.push({ index, asked: write, what, origin, entry: request, plan: plan.value });
  }
  const sent = planned.flatMap(({ plan, index }) => (plan.kind === "send" ? [{ plan, index }] : []));
  const names = new Set(sent.flatMap(({ plan }) => [...(plan.newNames ?? [])]));
  if (names.size > policy.namesBeyondAccess) return err({ reason: "names_beyond_access" });
  // Conditions may have found the same row (FHIR R4 http §3.1.0.11.2). `readBatch` refuses entries with the same name.
  const paths = new Set<string>();
  for (const { plan, index } of sent) {
    if (plan.write.method === "POST") continue;
    if (paths.has(plan.write.path)) return err({ reason: "entry_repeated", at: index });
    paths.add(plan.write.path);
  }
  return ok(planned);
}

const referringTo = (resource: JsonObject, places: ReadonlyMap<string, string>): JsonObject =>
  withReferences(resource, (reference) => places.get(reference)) as JsonObject; // an object stays an object

/**
 * Resolves references that are not addresses: the `fullUrl` of an entry for an existing resource, and a
 * search in place of an address. A resource that the transaction creates keeps its `urn:`, which the origin
 * resolves.
 */
async function placesOf(
  entries: readonly BatchEntry[],
  permission: Permission,
  origin: OriginSession,
): Promise<Result<ReadonlyMap<string, string>, UnsentTransaction>> {
  const places = new Map<string, string>();
  for (const { fullUrl, method, segments } of entries) {
    const [type, id] = segments;
    if (fullUrl !== undefined && method !== "POST" && type !== undefined && id !== undefined)
      places.set(fullUrl, `${type}/${id}`);
  }
  const all = entries.flatMap(({ resource }) => resource ?? []);
  const referred = new Set(all.flatMap((resource) => [...referencesIn(resource)]));
  const searches = [
    ...[...new Set(all.flatMap((resource) => conditionalReferences(resource)))].map((name) => {
      const [type = "", ...query] = (readingsBelow(name, origin.base)[0] ?? name).split("?");
      return { name, type, query: encodedQuery(query.join("?")), isNeeded: true };
    }),
    ...entries.flatMap((entry) => {
      const { fullUrl: name = "", segments } = entry;
      const query = isWriteOfType(entry) && referred.has(name) ? conditionOf(entry, origin) : "";
      const [type = ""] = segments;
      return entry.fullUrl === undefined || query === "" ? [] : [{ name, type, query, isNeeded: false }];
    }),
  ];
  if (searches.length > searchesMax) return err({ reason: "too_many_references" });
  for (const { name, type, query, isNeeded } of searches) {
    if (!isResourceType(type)) return err({ reason: "resource_type_unknown" });
    const found = await findByQuery(type, query, permission, origin);
    if (!found.ok) return found;
    if (found.value !== undefined) places.set(name, `${type}/${found.value.id}`);
    else if (isNeeded) return err({ reason: "reference_unresolved" });
  }
  return ok(places);
}

/** The search by which an entry finds a row that may exist already; empty: it makes a row in any case. */
const conditionOf = (
  { method, segments: [type = ""], query, header }: BatchEntry,
  { base }: Pick<OriginSession, "base">,
): string => (method === "POST" ? conditionQuery(header("if-none-exist")?.trim() ?? "", type, base) : query);
