import { utf8 } from "#fhir/bytes";
import { conditionalReferences } from "#fhir/batch";
import { concernedBy, ownersOf } from "#fhir/compartment";
import { readCriteria, type InteractionRefusal } from "#fhir/interaction";
import { isObject, property, readJson, textAt, type JsonObject, type JsonRefusal } from "#fhir/json";
import type { PatchRefusal } from "#fhir/json-patch";
import type { OriginWrite } from "#fhir/ports";
import type { WriteConditions } from "#fhir/preconditions";
import { readQuery, type QueryRefusal } from "#fhir/query";
import { err, ok, type Result } from "#kernel/result";
import { patientsMax } from "#phi/disclosure";
import { mergeBody, patchShown, type BodyRefusal } from "#phi/merge-body";
import { originUrls, type Bases } from "#phi/origin-urls";
import { cutResource, type CutRefusal } from "#phi/redact";
import type { ResourceView } from "#policy/compile";
import { evaluateWrite, type PlainWrite, type WriteGrant } from "#policy/evaluate-write";
import type { PolicyRefusal } from "#policy/grant";
import { etagOf } from "./etag.ts";
import { readWhole, type OriginRefusal } from "./forward.ts";
import type { AskedWrite, WriteBody } from "./write-body.ts";
import { findByCriteria, findRow, type CriteriaRefusal, type CriteriaScene } from "./write-criteria.ts";

/** `concerned`: of a refusal that tells of what may be seen of a row, whom that is about. */
export type PlanRefusal = PlanReason & { readonly concerned?: ConcernedBy };

type PlanReason =
  | PolicyRefusal
  | CriteriaRefusal
  | InteractionRefusal
  | QueryRefusal
  | OriginRefusal
  | PatchRefusal
  | BodyRefusal
  | { readonly reason: `answer_${JsonRefusal["reason"]}` | "answer_mismatch" | "answer_too_large" | "row_outside_access" }
  | { readonly reason: "resource_withheld"; readonly because: CutRefusal }
  | { readonly reason: "patch_not_a_resource" | "resource_type_mismatch" | "resource_id_mismatch" }
  /** It is not the version that the client has seen, or has none that a write could be held to. */
  | { readonly reason: "version_not_current" | "version_missing" }
  /** What becomes of it is outside what may be written, or would be another patient's. */
  | { readonly reason: "result_outside_access" | "result_changes_patient" }
  /** Its writer would see by it what is hidden now: more of this resource, or other patients. */
  | { readonly reason: "result_widens_access" }
  /** It names what it refers to by a search, which an origin would answer with what its writer may not find. */
  | { readonly reason: "conditional_reference_not_supported" };

/** What a write comes to, all decided and nothing done. */
export type PlannedWrite =
  | {
      readonly kind: "send";
      readonly write: OriginWrite;
      readonly type: PlainWrite["type"];
      /** `undefined`: the origin will give it one. */
      readonly id: string | undefined;
      readonly concerned: ConcernedBy;
    }
  /** `If-None-Exist`, and there is one: nothing is created. */
  | { readonly kind: "found"; readonly type: PlainWrite["type"]; readonly id: string; readonly concerned: ConcernedBy }
  /** A conditional delete of what is not there. */
  | { readonly kind: "nothing"; readonly type: PlainWrite["type"] };

/** Whom a write is about, as the record names them. */
export interface ConcernedBy {
  /** Ids of the origin's patients. */
  readonly patients: ReadonlySet<string>;
  readonly unnamed: boolean;
}

/** Decides about one write, up to the very bytes that the origin would be sent. Asks it to read, and never to write. */
export async function planWrite(
  { interaction, body, conditions }: AskedWrite,
  scene: CriteriaScene,
): Promise<Result<PlannedWrite, PlanRefusal>> {
  const { type } = interaction;
  switch (interaction.kind) {
    case "create": {
      if (conditions.ifNoneExist === undefined) return planCreate(interaction, body, scene);
      const pairs = readQuery(conditions.ifNoneExist);
      if (!pairs.ok) return pairs;
      const criteria = readCriteria(type, pairs.value, scene.base);
      if (!criteria.ok) return criteria;
      const found = await findRow(criteria.value, scene);
      if (!found.ok) return found;
      return found.value === undefined ? planCreate(interaction, body, scene) : ok({ kind: "found", type, ...found.value });
    }
    case "update":
    case "patch":
    case "delete":
      return planChange(interaction, body, conditions, scene);
    case "conditional-update":
    case "conditional-patch":
    case "conditional-delete": {
      const found = await findByCriteria(interaction.criteria, scene);
      if (!found.ok) return found;
      const kind = interaction.kind === "conditional-update" ? "update" : interaction.kind === "conditional-patch" ? "patch" : "delete";
      if (found.value !== undefined) return planChange({ kind, type, id: found.value }, ofId(body, found.value), conditions, scene);
      if (kind === "delete") return ok({ kind: "nothing", type });
      // Under an id of the client's choosing it would tell whether that id is taken: the same face as an update of what is not there.
      const isNew = kind === "update" && body.kind === "resource" && property(body.resource, "id") === undefined;
      return isNew ? planCreate({ kind: "create", type }, body, scene) : err({ reason: "absent" });
    }
  }
}

/** FHIR R4 http §3.1.0.5.1: without an id the body means the one that was found. */
const ofId = (body: WriteBody, id: string): WriteBody =>
  body.kind === "resource" && property(body.resource, "id") === undefined ? { ...body, resource: { ...body.resource, id } } : body;

async function planCreate(
  write: Extract<PlainWrite, { kind: "create" }>,
  body: WriteBody,
  { policy, access, base }: CriteriaScene,
): Promise<Result<PlannedWrite, PlanRefusal>> {
  const { type } = write;
  const grant = evaluateWrite(policy, access, write);
  if (!grant.ok) return grant;
  if (body.kind !== "resource") return err({ reason: "resource_type_mismatch" });
  const { id: _given, ...submitted } = body.resource; // the server gives it (FHIR R4 http §3.1.0.8)
  // The origin's own base is not known yet, and a body names what it refers to by the gateway's.
  const view = grant.value.writable(submitted, base);
  if (view === undefined) return err({ reason: "result_outside_access" });
  const context = {
    bases: { origin: base, public: base },
    sources: new WeakMap<JsonObject, JsonObject>(),
    viewInside: (inside: JsonObject) => grant.value.writableInside(inside, base),
  };
  const merged = mergeBody(submitted, undefined, view, context);
  if (!merged.ok) return merged;
  if (grant.value.writable(merged.value, base) !== view) return err({ reason: "result_outside_access" });
  if (grant.value.widens(undefined, merged.value)) return err({ reason: "result_widens_access" });
  if (conditionalReferences(merged.value).length > 0) return err({ reason: "conditional_reference_not_supported" });
  const { patients, unnamed } = concernedBy(merged.value, [base]);
  const concerned = { patients: new Set(patients), unnamed };
  if (concerned.patients.size > patientsMax) return err({ reason: "answer_too_large" });
  return ok({ kind: "send", write: { method: "POST", path: type, body: JSON.stringify(merged.value) }, type, id: undefined, concerned });
}

async function planChange(
  write: Exclude<PlainWrite, { kind: "create" }>,
  body: WriteBody,
  conditions: WriteConditions,
  { policy, access, ask, base, residences }: CriteriaScene,
): Promise<Result<PlannedWrite, PlanRefusal>> {
  const { type, id } = write;
  const grant = evaluateWrite(policy, access, write);
  if (!grant.ok) return grant;
  const answer = await ask({ path: `${type}/${id}`, query: "" });
  const bytes = answer.ok ? await readWhole(answer.value.body) : answer;
  if (!answer.ok || !bytes.ok) return bytes.ok ? err({ reason: "absent" }) : bytes;
  const found = standingIn(bytes.value, write, grant.value, { origin: answer.value.base, public: base });
  if (!found.ok) return found;
  residences.note(found.value.stored);
  const bases = { origin: answer.value.base, public: base };
  const planned = decideChange(write, body, conditions, { grant: grant.value, row: found.value, bases });
  return planned.ok ? planned : err({ ...planned.error, concerned: allConcerned([found.value.stored], found.value.patients, bases) });
}

/** A row that its writer sees, and what is to become of it. */
function decideChange(
  { type, id, kind }: Exclude<PlainWrite, { kind: "create" }>,
  body: WriteBody,
  { ifMatch }: WriteConditions,
  { grant, row, bases }: { readonly grant: WriteGrant; readonly row: Row; readonly bases: Bases },
): Result<PlannedWrite, PlanReason> {
  const { stored, shown, sources, view, version } = row;
  if (!isCurrent(ifMatch, shown, grant.policyDigest)) return err({ reason: "version_not_current" });
  if (version === undefined) return err({ reason: "version_missing" });

  const { origin } = bases;
  const path = `${type}/${id}`;
  const send = (write: OriginWrite, ...all: readonly JsonObject[]): Result<PlannedWrite, PlanReason> => {
    const concerned = allConcerned(all, row.patients, bases);
    return concerned.patients.size > patientsMax ? err({ reason: "answer_too_large" }) : ok({ kind: "send", write, type, id, concerned });
  };
  if (kind === "delete") return send({ method: "DELETE", path, version }, stored);
  const submitted = body.kind === "patch" ? patchShown(shown, body.operations, sources) : ok(body.kind === "resource" ? body.resource : {});
  if (!submitted.ok) return submitted;
  if (property(submitted.value, "resourceType") !== type) return err({ reason: "resource_type_mismatch" });
  if (property(submitted.value, "id") !== id) return err({ reason: "resource_id_mismatch" });
  const viewInside = (inside: JsonObject) => grant.writableInside(inside, origin);
  const merged = mergeBody(submitted.value, { stored, shown }, view, { bases, sources, viewInside, patched: kind === "patch" });
  if (!merged.ok) return merged;
  const result = merged.value;
  const standing = new Set(conditionalReferences(stored)); // an address elsewhere may have a query
  if (conditionalReferences(result).some((reference) => !standing.has(reference)))
    return err({ reason: "conditional_reference_not_supported" });
  if (!sameOwners(stored, result, origin)) return err({ reason: "result_changes_patient" });
  if (grant.writable(result, origin) === undefined || grant.seen?.viewOf(result, origin) === undefined)
    return err({ reason: "result_outside_access" });
  if (grant.widens(stored, result)) return err({ reason: "result_widens_access" });
  return send({ method: "PUT", path, version, body: JSON.stringify(result) }, stored, result);
}

/** A stored resource, and what its writer may see and write of it. */
interface Row {
  readonly stored: JsonObject;
  readonly shown: JsonObject;
  readonly sources: WeakMap<JsonObject, JsonObject>;
  readonly view: ResourceView;
  readonly version: string | undefined;
  readonly patients: ReadonlySet<string>;
}

/** The stored resource as the origin gave it, judged; the row first, as with a read: what is wrong with a hidden one must not show. */
function standingIn(
  bytes: Uint8Array,
  { type, id }: { readonly type: string; readonly id: string },
  { seen, writable }: WriteGrant,
  bases: Bases,
): Result<Row, PlanReason> {
  const read = readJson(bytes);
  if (!read.ok) return err({ reason: `answer_${read.error.reason}` });
  const stored = read.value;
  if (!isObject(stored)) return err({ reason: "answer_mismatch" });
  const [shownBy, view] = [seen?.viewOf(stored, bases.origin), writable(stored, bases.origin)];
  if (seen === undefined || shownBy === undefined || view === undefined) return err({ reason: "row_outside_access" });
  if (property(stored, "resourceType") !== type || property(stored, "id") !== id) return err({ reason: "answer_mismatch" });
  const sources = new WeakMap<JsonObject, JsonObject>();
  const cut = cutResource(stored, shownBy, {
    bases,
    urls: originUrls(bases),
    viewInside: (inside) => seen.viewInside(inside, bases.origin),
    mayLinkTo: (other) => seen.mayLinkTo(other, bases.origin),
    note: (shown, from) => void sources.set(shown, from),
  });
  if (!cut.ok) return err({ reason: "resource_withheld", because: cut.error });
  const meta = property(stored, "meta");
  const said = isObject(meta) ? textAt(meta, "versionId") : undefined;
  const version = said !== undefined && /^[A-Za-z0-9.-]{1,64}$/u.test(said) ? said : undefined; // it goes into a header
  return ok({ stored, shown: cut.value.resource, sources, view, version, patients: cut.value.patients });
}

/** RFC 9110 §13.1.1 by what the client can know: the gateway's own tag, compared strongly, or the version where the view shows it. */
function isCurrent(ifMatch: WriteConditions["ifMatch"], shown: JsonObject, policyDigest: string): boolean {
  if (ifMatch === undefined || ifMatch === "*") return true;
  const own = etagOf(utf8(JSON.stringify(shown)), policyDigest);
  const meta = property(shown, "meta");
  const version = isObject(meta) ? textAt(meta, "versionId") : undefined;
  return ifMatch.some(({ weak, text }) => (!weak && `"${text}"` === own) || (version !== undefined && text === version));
}

function sameOwners(stored: JsonObject, result: JsonObject, base: string): boolean {
  const [before, after] = [ownersOf(stored, base), ownersOf(result, base)];
  return before.size === after.size && [...before].every((owner) => after.has(owner));
}

function allConcerned(
  resources: readonly JsonObject[],
  shown: ReadonlySet<string>,
  bases: { origin: string; public: string },
): ConcernedBy {
  const each = resources.map((resource) => concernedBy(resource, [bases.origin, bases.public]));
  return { patients: new Set([...shown, ...each.flatMap(({ patients }) => patients)]), unnamed: each.some(({ unnamed }) => unnamed) };
}
