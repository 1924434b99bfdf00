import { conditionalReferences } from "#fhir/batch";
import type { Nesting } from "#fhir/r4/compartment";
import { property, type JsonObject } from "#fhir/json/json";
import { conditionQuery, type WriteConditions } from "#fhir/preconditions";
import { baseNames, type FhirBase } from "#fhir/r4/reference";
import { isContentType } from "#fhir/route";
import { err, ok, type Result } from "#kernel/result";
import { patientsMax } from "#phi/disclosure";
import { faultsOfPatch, mergeBody, patchShown } from "#phi/merge/merge-body";
import type { Bases } from "#phi/origin-urls";
import { hiddenRoom } from "#phi/readable";
import type { Change, PlainWrite, WriteGrant } from "#policy/evaluate-write";
import { factsFor } from "#policy/facts";
import { mayChooseId } from "#policy/chosen-id";
import { showsAllPatched } from "#policy/unread-patch";
import { concernedByChange, concernedByCreate, namedInBody } from "#gateway/origin/concerned-by-write";
import { authorizeChange, type Permission } from "#gateway/admission/authorize";
import type { OriginSession } from "#gateway/origin/origin-session";
import { lacksType } from "#gateway/origin/at-origin";
import { isConditional } from "#gateway/origin/conditional-writes";
import { effectOf } from "#gateway/change/effects";
import { acceptResult } from "./accept-result.ts";
import { beyondReach, NewAttachments } from "./new-attachments.ts";
import { contentContext } from "./content-context.ts";
import { planDelete } from "./plan-delete.ts";
import { reachedRow } from "./reached-row.ts";
import {
  sizeHeldBy,
  unreadable,
  type FaultyResult,
  type PlannedWrite,
  type PlanRefusal,
} from "./planned-write.ts";
import { withoutPart2Labels } from "#phi/part2";
import { asRead, confirmsRow, cutForWriter, isCurrent, type StoredRow } from "./stored-row.ts";
import type { AskedWrite, WriteBody } from "./write-body.ts";
import { findByCriteria, findByQuery } from "./write-criteria.ts";
import { residenceFacts } from "#residence/row-residences";

/** Decides about a write, down to the bytes that the origin would get. It only reads at the origin. */
export async function planWrite(
  asked: AskedWrite,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<PlannedWrite, PlanRefusal>> {
  if (origin.held.lacksPlans) return err({ reason: "plan_too_large" });
  const planned = await decideWrite(asked, permission, origin);
  if (!planned.ok)
    return asked.interaction.kind === "update" ? err({ ...planned.error, isUpdate: true }) : planned;
  if (planned.value.kind !== "send") return planned;
  const { type, write } = planned.value;
  // The text may be larger than the submitted text, by the hidden part of the stored resource.
  if (!origin.held.takePlan(sizeHeldBy(planned.value))) return err({ reason: "plan_too_large" });
  const effect = effectOf(type)?.beforePlan;
  if (effect === undefined || write.body === undefined) return planned;
  const patient = await effect(write.body, permission, origin);
  return patient.ok ? ok({ ...planned.value, patient: patient.value }) : patient;
}

const plainKinds = {
  create: "create",
  update: "update",
  patch: "patch",
  delete: "delete",
  "conditional-update": "update",
  "conditional-patch": "patch",
  "conditional-delete": "delete",
} as const;

async function decideWrite(
  { interaction, body, conditions }: AskedWrite,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<PlannedWrite, PlanRefusal>> {
  const { type } = interaction;
  const kind = plainKinds[interaction.kind];
  if (lacksType((await origin.traits())?.capabilities.types, type)) {
    const ofType = authorizeChange(
      permission,
      kind === "create" ? { kind, type } : { kind, type, id: "any" },
    );
    return ofType.ok ? err({ reason: "type_not_at_origin" }) : ofType; // the rules of a client come first
  }
  if (kind === "create") {
    if (conditions.ifNoneExist === undefined) return planCreate({ kind, type }, body, permission, origin);
    const query = conditionQuery(conditions.ifNoneExist, type, origin.base);
    const found = await findByQuery(type, query, permission, origin);
    if (!found.ok) return found;
    return found.value === undefined
      ? planCreate({ kind, type }, body, permission, origin)
      : ok({ kind: "found", type, id: found.value.id, concerned: found.value });
  }
  if (kind === "delete") {
    const permitted = authorizeChange(permission, { kind, type, id: "any" });
    if (!permitted.ok) return permitted;
  }
  // This comes before any question to the origin: no row decides it.
  const change = kind === "delete" ? kind : "update";
  if (!isConditional(change, await origin.traits())) return err({ reason: `${change}_not_conditional` });
  const found =
    "criteria" in interaction
      ? await findByCriteria(interaction.criteria, permission, origin)
      : ok("id" in interaction ? interaction.id : undefined);
  if (!found.ok) return found;
  const id = found.value;
  if (id !== undefined)
    return kind === "delete"
      ? planDelete({ kind, type, id }, conditions, permission, origin)
      : planChange({ kind, type, id }, ofId(body, id), conditions, permission, origin);
  if (kind === "delete") return ok({ kind: "nothing", type });
  const isNew = kind === "update" && body.kind === "resource" && property(body.resource, "id") === undefined;
  return isNew ? planCreate({ kind: "create", type }, body, permission, origin) : err({ reason: "absent" });
}

/** FHIR R4 http §3.1.0.5.1: a body without an id means the found resource. */
const ofId = (body: WriteBody, id: string): WriteBody =>
  body.kind === "resource" && property(body.resource, "id") === undefined
    ? { ...body, resource: { ...body.resource, id } }
    : body;

async function planCreate(
  write: Extract<PlainWrite, { kind: "create" }>,
  body: WriteBody,
  { policy, access }: Permission,
  origin: OriginSession,
  chosenId?: string,
): Promise<Result<PlannedWrite, PlanRefusal>> {
  const { base } = origin;
  const { type } = write;
  const grant = authorizeChange({ policy, access }, write);
  if (!grant.ok) return grant;
  if (body.kind !== "resource") return err({ reason: "resource_type_mismatch" });
  const { id: _given, ...sent } = body.resource; // the server assigns it (FHIR R4 http §3.1.0.8)
  const placed = isContentType(type)
    ? await contentContext(sent, body.isAttached === true, { policy, access }, origin)
    : ok(undefined);
  if (!placed.ok) return placed;
  const context = placed.value;
  const submitted =
    context === undefined ? sent : { ...sent, securityContext: { reference: context.reference } };
  // References of a body are below the gateway's base, or below any base of the origin: its readers resolve both.
  const names: FhirBase = [base, ...baseNames((await origin.traits())?.base ?? base)];
  const bases = { origin: names, public: base };
  const related = await origin.relate(namedInBody(submitted, bases));
  if (!related.ok) return related;
  const facts = factsFor(grant.value, submitted);
  const known = await origin.know(() => grant.value.needsOfBody(facts, names));
  if (!known.ok) return known;
  const view = grant.value.writable(facts, names);
  if (view === undefined)
    return err({ reason: "result_outside_access", decision: grant.value.whyHidden(facts, names) });
  await origin.learnStorage();
  const attached = new NewAttachments(origin, bases);
  const merged = mergeBody(
    submitted,
    undefined,
    view,
    mergeContext(grant.value, bases, new WeakMap(), attached),
  );
  if (!merged.ok) return merged;
  if (!(await attached.mayBeRead({ policy, access }))) return err(beyondReach);
  const { resource, changes } = merged.value;
  const fault = faultIn(changes, grant.value, names);
  if (fault !== undefined) return err(fault);
  if (conditionalReferences(resource).length > 0)
    return err({ reason: "conditional_reference_not_supported" });
  const stored = chosenId === undefined ? resource : { ...resource, id: chosenId };
  const concerned =
    context === undefined
      ? concernedByCreate(stored, bases)
      : concernedByChange({ ...context.row, sent: stored, result: stored }, bases);
  if (concerned.patients.size > patientsMax) return err({ reason: "result_exceeds_limits" });
  const text = JSON.stringify(stored);
  const accepted = acceptResult({ type, result: resource, text, sent: resource }, { policy, access }, bases);
  if (!accepted.ok) return accepted;
  const { upload } = body;
  // Base64 has no sign that JSON escapes.
  const data = upload && Buffer.from(upload).toString("base64");
  const whole = data === undefined ? text : `${text.slice(0, -1)},"data":"${data}"}`;
  return ok({
    kind: "send",
    write:
      chosenId === undefined
        ? { method: "POST", path: type, body: whole }
        : { method: "PUT", path: `${type}/${chosenId}`, body: whole, ifNone: "same id" },
    ...(isContentType(type) && { content: stored }),
    type,
    id: chosenId,
    concerned,
    newNames: accepted.value,
  });
}

async function planChange(
  write: Exclude<PlainWrite, { kind: "create" }> & { readonly kind: "update" | "patch" },
  body: WriteBody,
  conditions: WriteConditions,
  { policy, access }: Permission,
  origin: OriginSession,
): Promise<Result<PlannedWrite, PlanRefusal>> {
  const { kind, type, id } = write;
  const grant = authorizeChange({ policy, access }, write);
  if (!grant.ok) return grant;
  const operations = body.kind === "patch" ? body.operations : [];
  const isTaken = grant.value.isTakenByEachRow(operations);
  if (!isTaken && !grant.value.mayReadSome)
    return err({ reason: "scope_insufficient", type, interaction: "read" });
  // Values are faulted before a row is read: a fault after that would tell that the row exists.
  const issues = isTaken ? faultsOfPatch(type, operations) : [];
  if (issues.length > 0) return err({ reason: "body_invalid", issues });
  const answer = await origin.read({ path: `${type}/${id}`, query: "" });
  if (!answer.ok) {
    const isFree = answer.error.reason === "absent" && conditions.ifMatch === undefined;
    return isFree && kind === "update" && mayChooseId(policy, access, type, id)
      ? planCreate({ kind: "create", type }, body, { policy, access }, origin, id)
      : answer;
  }
  const attached = new NewAttachments(origin, origin.basesAt(answer.value.base));
  const { bases } = attached;
  const found = await reachedRow(write, grant.value, answer.value.body, bases, origin);
  if (!found.ok) return found;
  if (confirmsRow(conditions.ifMatch, found.value.isReadable)) return err(unreadable);
  origin.names.residences.note(residenceFacts(found.value.stored));
  // Every answer from here on tells that the row exists.
  if (!origin.names.concerned.decide({ type, id, ...found.value.named }))
    return err({ reason: "answer_too_large" });
  const context = { grant: grant.value, row: found.value, attached, origin };
  const decide = () => decideChange(write, body, conditions, { policy, access }, context);
  if (body.kind !== "patch" || found.value.isReadable) return decide();
  // The writer may not read the row: each cause has the face of an absent row.
  if (!isTaken || !showsAllPatched(operations, found.value.view.object)) return err(unreadable);
  const decided = await decide();
  return decided.ok ? decided : err(unreadable);
}

/** Decides about a change of a visible row. */
async function decideChange(
  { type, id, kind }: Exclude<PlainWrite, { kind: "create" }> & { readonly kind: "update" | "patch" },
  body: WriteBody,
  { ifMatch }: WriteConditions,
  author: Pick<Permission, "policy" | "access">,
  {
    grant,
    row,
    attached,
    origin: session,
  }: {
    readonly grant: WriteGrant;
    readonly row: StoredRow;
    readonly attached: NewAttachments;
    readonly origin: OriginSession;
  },
): Promise<Result<PlannedWrite, PlanRefusal>> {
  const { stored, shown, sources, view, isReadable: isKnown, version } = row;
  const { bases } = attached;
  const read = isKnown ? asRead(stored, shown, grant, bases) : undefined;
  if (!isCurrent(ifMatch, read, grant.policyDigest)) return err({ reason: "version_not_current" });
  if (version === undefined) return err({ reason: "version_missing" });

  const { origin } = bases;
  const submitted =
    body.kind === "patch"
      ? patchShown(shown, body.operations, sources, !isKnown)
      : ok(body.kind === "resource" ? withoutPart2Labels(body.resource, read ?? shown, shown) : {});
  if (!submitted.ok) return submitted;
  const related = await session.relate(namedInBody(submitted.value, bases));
  if (!related.ok) return related;
  const known = await session.know(() => grant.needsOfBody(factsFor(grant, submitted.value), origin));
  if (!known.ok) return known;
  if (property(submitted.value, "resourceType") !== type) return err({ reason: "resource_type_mismatch" });
  if (property(submitted.value, "id") !== id) return err({ reason: "resource_id_mismatch" });
  const context = { ...mergeContext(grant, bases, sources, attached), patched: kind === "patch" };
  const merged = mergeBody(submitted.value, { stored, shown }, view, context);
  if (!merged.ok) return merged;
  if (!(await attached.mayBeRead(author))) return err(beyondReach);
  const { resource: result, changes } = merged.value;
  const standing = new Set(conditionalReferences(stored)); // an address elsewhere may have a query
  if (conditionalReferences(result).some((reference) => !standing.has(reference)))
    return err({ reason: "conditional_reference_not_supported" });
  const fault = faultIn(changes, grant, origin);
  if (fault !== undefined) return err(fault);
  const text = JSON.stringify(result);
  const room = hiddenRoom(stored, shown);
  const written = { type, result, text, sent: submitted.value, before: { stored, shown }, room: room.bytes };
  const accepted = acceptResult(written, author, bases);
  if (!accepted.ok) return accepted;
  if (!cutForWriter(result, grant, bases).ok) return err({ reason: "result_exceeds_limits" });
  const concerned = concernedByChange({ stored, named: row.named, sent: submitted.value, result }, bases);
  // The record of the write has no room for more patients.
  if (concerned.patients.size > patientsMax) return err({ reason: "result_exceeds_limits" });
  return ok({
    kind: "send",
    write: { method: "PUT", path: `${type}/${id}`, version, body: text },
    type,
    id,
    concerned,
    room: room.characters,
    newNames: accepted.value,
  });
}

const mergeContext = (
  grant: WriteGrant,
  bases: Bases,
  sources: WeakMap<JsonObject, JsonObject>,
  attached: NewAttachments,
) => ({
  attached: attached.toStore,
  bases,
  sources,
  viewInside: (inside: JsonObject, nesting: Nesting) =>
    grant.writableInside(factsFor(grant, inside), bases.origin, nesting),
  mayLinkTo: (other: JsonObject) => grant.mayLinkTo(other, bases.origin),
});

/** The first forbidden change of the resource, or of a resource inside it. */
function faultIn(changes: readonly Change[], grant: WriteGrant, base: FhirBase): FaultyResult | undefined {
  for (const change of changes) {
    const reason = grant.faultOf(change, base);
    if (reason === undefined) continue;
    // a nested resource is judged by the rules for its container
    return reason === "result_outside_access" && change.nesting === undefined
      ? { reason, decision: grant.whyHidden(factsFor(grant, change.result), base) }
      : { reason };
  }
  return undefined;
}
