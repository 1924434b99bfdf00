import { utf8 } from "#fhir/bytes";
import { conditionalReferences } from "#fhir/batch";
import { allConcernedBy, type Nesting } from "#fhir/compartment";
import { readCriteria, type InteractionRefusal } from "#fhir/interaction";
import { isObject, property, readJson, textAt, type JsonObject, type JsonRefusal } from "#fhir/json";
import type { PatchRefusal } from "#fhir/json-patch";
import type { OriginWrite } from "#fhir/ports";
import type { WriteConditions } from "#fhir/preconditions";
import { readQuery, type QueryRefusal } from "#fhir/query";
import { patientsNamedIn, type FhirBase } from "#fhir/reference";
import { err, ok, type Result } from "#kernel/result";
import { patientsMax, type Naming } from "#phi/disclosure";
import { mergeBody, patchShown, type BodyRefusal } from "#phi/merge-body";
import { originUrls, type Bases } from "#phi/origin-urls";
import { cutResource, type CutRefusal } from "#phi/redact";
import type { ResourceView } from "#policy/compile";
import { evaluateWrite, type Change, type PlainWrite, type ResultFault, type WriteGrant } from "#policy/evaluate-write";
import type { PolicyRefusal } from "#policy/grant";
import { etagOf } from "./etag.ts";
import type { OriginRefusal } from "./forward.ts";
import type { AskedWrite, WriteBody } from "./write-body.ts";
import { findByCriteria, findRow, type CriteriaRefusal, type CriteriaScene } from "./write-criteria.ts";

export type PlanRefusal =
  | PolicyRefusal
  | CriteriaRefusal
  | InteractionRefusal
  | QueryRefusal
  | OriginRefusal
  | PatchRefusal
  | BodyRefusal
  | { readonly reason: `answer_${JsonRefusal["reason"]}` | "answer_mismatch" | "answer_too_large" | "row_outside_access" }
  | { readonly reason: "resource_withheld"; readonly because: CutRefusal }
  /** With the other plans of the request it is more than is held at once. */
  | { readonly reason: "plan_too_large" }
  | { readonly reason: "patch_not_a_resource" | "resource_type_mismatch" | "resource_id_mismatch" }
  /** It is not the version that the client has seen, or has none that a write could be held to. */
  | { readonly reason: "version_not_current" | "version_missing" }
  /** What becomes of it, or of a resource inside it, may not be. */
  | { readonly reason: ResultFault }
  /** The origin is not known to heed the version that a DELETE is held to. */
  | { readonly reason: "delete_not_conditional" }
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

/** Whom a write is about, as the record names them: `unseen` are those of a stored row whom its writer does not see in it. */
export type ConcernedBy = Naming;

/** Of nobody. */
export const concernsNobody: ConcernedBy = { patients: new Set(), unseen: new Set(), room: 0, unnamed: false };

// Room in the record of a change for patients whom hidden elements name: a ninth shows in its length (docs/ledger-format.md §9).
const unseenMax = 8;

/** Decides about one write, up to the very bytes that the origin would be sent. Asks it to read, and never to write. */
export async function planWrite(asked: AskedWrite, scene: CriteriaScene): Promise<Result<PlannedWrite, PlanRefusal>> {
  const planned = await decideWrite(asked, scene);
  if (!planned.ok || planned.value.kind !== "send") return planned;
  // A text of a tree: it may be larger than what was sent, by all that is hidden of the stored resource.
  return scene.origin.held.take(planned.value.write.body?.length ?? 0) ? planned : err({ reason: "plan_too_large" });
}

async function decideWrite(
  { interaction, body, conditions }: AskedWrite,
  scene: CriteriaScene,
): Promise<Result<PlannedWrite, PlanRefusal>> {
  const { type } = interaction;
  if (interaction.kind === "delete" || interaction.kind === "conditional-delete") {
    const permitted = evaluateWrite(scene.policy, scene.access, { kind: "delete", type, id: "any" });
    if (!permitted.ok) return permitted;
    // Before anything is asked of the origin: no row decides it.
    if ((await scene.origin.traits())?.honoursIfMatchOnDelete !== true) return err({ reason: "delete_not_conditional" });
  }
  switch (interaction.kind) {
    case "create": {
      if (conditions.ifNoneExist === undefined) return planCreate(interaction, body, scene);
      const pairs = readQuery(conditions.ifNoneExist);
      if (!pairs.ok) return pairs;
      const criteria = readCriteria(type, pairs.value, scene.origin.base);
      if (!criteria.ok) return criteria;
      const found = await findRow(criteria.value, scene);
      if (!found.ok) return found;
      return found.value === undefined
        ? planCreate(interaction, body, scene)
        : ok({ kind: "found", type, id: found.value.id, concerned: found.value });
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
  { policy, access, origin: { base } }: CriteriaScene,
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
    viewInside: (inside: JsonObject, nesting: Nesting) => grant.value.writableInside(inside, base, nesting),
    mayLinkTo: (other: JsonObject) => grant.value.mayLinkTo(other, base),
  };
  const merged = mergeBody(submitted, undefined, view, context);
  if (!merged.ok) return merged;
  const { resource, changes } = merged.value;
  const fault = faultIn(changes, grant.value, base);
  if (fault !== undefined) return err({ reason: fault });
  if (conditionalReferences(resource).length > 0) return err({ reason: "conditional_reference_not_supported" });
  const concerned = concernedByCreate(resource, base);
  if (concerned.patients.size > patientsMax) return err({ reason: "answer_too_large" });
  return ok({ kind: "send", write: { method: "POST", path: type, body: JSON.stringify(resource) }, type, id: undefined, concerned });
}

async function planChange(
  write: Exclude<PlainWrite, { kind: "create" }>,
  body: WriteBody,
  conditions: WriteConditions,
  { policy, access, origin }: CriteriaScene,
): Promise<Result<PlannedWrite, PlanRefusal>> {
  const { type, id } = write;
  const grant = evaluateWrite(policy, access, write);
  if (!grant.ok) return grant;
  const answer = await origin.read({ path: `${type}/${id}`, query: "" });
  if (!answer.ok) return answer;
  const bases = { origin: answer.value.base, public: origin.base };
  const found = standingIn(answer.value.body, write, grant.value, bases);
  if (!found.ok) return found;
  origin.residences.note(found.value.stored);
  // Whatever becomes of the write, that the row is there is told.
  if (!origin.concerned.decide({ type, id, ...found.value.named })) return err({ reason: "answer_too_large" });
  return decideChange(write, body, conditions, { grant: grant.value, row: found.value, bases });
}

/** A row that its writer sees, and what is to become of it. */
function decideChange(
  { type, id, kind }: Exclude<PlainWrite, { kind: "create" }>,
  body: WriteBody,
  { ifMatch }: WriteConditions,
  { grant, row, bases }: { readonly grant: WriteGrant; readonly row: Row; readonly bases: Bases },
): Result<PlannedWrite, PlanRefusal> {
  const { stored, shown, sources, view, version } = row;
  if (!isCurrent(ifMatch, shown, grant.policyDigest)) return err({ reason: "version_not_current" });
  if (version === undefined) return err({ reason: "version_missing" });

  const { origin } = bases;
  const path = `${type}/${id}`;
  const send = (write: OriginWrite, sent: JsonObject | undefined, result?: JsonObject): Result<PlannedWrite, PlanRefusal> => {
    const concerned = concernedByChange(row, sent, result, bases);
    return concerned.patients.size > patientsMax ? err({ reason: "answer_too_large" }) : ok({ kind: "send", write, type, id, concerned });
  };
  if (kind === "delete") return send({ method: "DELETE", path, version }, undefined);
  const submitted = body.kind === "patch" ? patchShown(shown, body.operations, sources) : ok(body.kind === "resource" ? body.resource : {});
  if (!submitted.ok) return submitted;
  if (property(submitted.value, "resourceType") !== type) return err({ reason: "resource_type_mismatch" });
  if (property(submitted.value, "id") !== id) return err({ reason: "resource_id_mismatch" });
  const viewInside = (inside: JsonObject, nesting: Nesting) => grant.writableInside(inside, origin, nesting);
  const mayLinkTo = (other: JsonObject) => grant.mayLinkTo(other, origin);
  const merged = mergeBody(submitted.value, { stored, shown }, view, { bases, sources, viewInside, mayLinkTo, patched: kind === "patch" });
  if (!merged.ok) return merged;
  const { resource: result, changes } = merged.value;
  const standing = new Set(conditionalReferences(stored)); // an address elsewhere may have a query
  if (conditionalReferences(result).some((reference) => !standing.has(reference)))
    return err({ reason: "conditional_reference_not_supported" });
  const fault = faultIn(changes, grant, origin);
  if (fault !== undefined) return err({ reason: fault });
  return send({ method: "PUT", path, version, body: JSON.stringify(result) }, submitted.value, result);
}

/** A stored resource, and what its writer may see and write of it. */
interface Row {
  readonly stored: JsonObject;
  readonly shown: JsonObject;
  readonly sources: WeakMap<JsonObject, JsonObject>;
  readonly view: ResourceView;
  readonly version: string | undefined;
  /** Whom what is seen of it concerns. */
  readonly named: Naming;
}

/** The stored resource as the origin gave it, judged; the row first, as with a read: what is wrong with a hidden one must not show. */
function standingIn(
  bytes: Uint8Array,
  { type, id }: { readonly type: string; readonly id: string },
  { seen, writable }: WriteGrant,
  bases: Bases,
): Result<Row, PlanRefusal> {
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
    viewInside: (inside, nesting) => seen.viewInside(inside, bases.origin, nesting),
    mayLinkTo: (other) => seen.mayLinkTo(other, bases.origin),
    note: (shown, from) => void sources.set(shown, from),
  });
  if (!cut.ok) return err({ reason: "resource_withheld", because: cut.error });
  const meta = property(stored, "meta");
  const said = isObject(meta) ? textAt(meta, "versionId") : undefined;
  const version = said !== undefined && /^[A-Za-z0-9.-]{1,64}$/u.test(said) ? said : undefined; // it goes into a header
  return ok({ stored, shown: cut.value.resource, sources, view, version, named: cut.value });
}

/** RFC 9110 §13.1.1 by what the client can know: the gateway's own tag, compared strongly, or the version where the view shows it. */
function isCurrent(ifMatch: WriteConditions["ifMatch"], shown: JsonObject, policyDigest: string): boolean {
  if (ifMatch === undefined || ifMatch === "*") return true;
  const own = etagOf(utf8(JSON.stringify(shown)), policyDigest);
  const meta = property(shown, "meta");
  const version = isObject(meta) ? textAt(meta, "versionId") : undefined;
  return ifMatch.some(({ weak, text }) => (!weak && `"${text}"` === own) || (version !== undefined && text === version));
}

/** The first thing that may not become of the resource, or of one inside it. */
function faultIn(changes: readonly Change[], { faultOf }: WriteGrant, base: FhirBase): ResultFault | undefined {
  for (const change of changes) {
    const fault = faultOf(change, base);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** Whom a new resource and those inside it are about, and whom else it names: its writer said it all. */
function concernedByCreate(resource: JsonObject, base: string): ConcernedBy {
  const { patients, unnamed } = allConcernedBy(resource, [base]);
  return { patients: new Set([...patients, ...patientsNamedIn(resource, [base])]), unseen: new Set(), room: 0, unnamed };
}

/**
 * Whom the row, what becomes of it and the resources inside these are about, and whom else the body names. What its writer sees in the row and
 * sends is known; what else the row and the result name only hidden elements do.
 */
function concernedByChange(
  { stored, named }: Row,
  sent: JsonObject | undefined,
  result: JsonObject | undefined,
  { origin, public: own }: Bases,
): ConcernedBy {
  const bases = [origin, own];
  const all = [stored, result].flatMap((resource) => (resource === undefined ? [] : [allConcernedBy(resource, bases)]));
  const known = new Set([...named.patients].filter((patient) => !named.unseen.has(patient)));
  if (sent !== undefined)
    for (const patient of [...allConcernedBy(sent, bases).patients, ...patientsNamedIn(sent, bases)]) known.add(patient);
  const patients = new Set([...named.patients, ...known, ...all.flatMap((one) => one.patients)]);
  const unseen = new Set([...patients].filter((patient) => !known.has(patient)));
  return { patients, unseen, room: unseenMax, unnamed: all.some(({ unnamed }) => unnamed) };
}
