import type { Writing } from "#fhir/interaction";
import { readPatch, type PatchOperation, type PatchRefusal } from "#fhir/json/patch";
import { isResource, readJson, textAt, type Json, type JsonObject, type JsonRefusal } from "#fhir/json/json";
import { canonicalText } from "#fhir/json/same";
import { readConditions, type ConditionsRefusal, type WriteConditions } from "#fhir/preconditions";
import { err, ok, type Result } from "#kernel/result";
import type { Content, ContentRefusal } from "#gateway/question";

/** The content of a write: nothing, a whole resource, or a patch. */
export type WriteBody =
  | { readonly kind: "none" }
  | { readonly kind: "resource"; readonly resource: JsonObject }
  | { readonly kind: "patch"; readonly operations: readonly PatchOperation[] };

/** A requested write: a request of its own, or an entry of a Bundle. */
export interface AskedWrite {
  readonly interaction: Writing;
  readonly body: WriteBody;
  readonly conditions: WriteConditions;
}

export type WriteBodyRefusal =
  | ConditionsRefusal
  | PatchRefusal
  | { readonly reason: `body_${Exclude<JsonRefusal["reason"], "too_large">}` }
  | ContentRefusal
  /** The type or the id does not match the URL (FHIR R4 http §3.1.0.4). */
  | { readonly reason: "resource_type_mismatch" | "resource_id_mismatch" };

/** Reads the body and the conditions of a write. Refusals here do not depend on stored rows. */
export async function readWrite(
  interaction: Writing,
  content: Content,
): Promise<Result<AskedWrite, WriteBodyRefusal>> {
  const conditions = readConditions((name) => content.stated(name));
  if (!conditions.ok) return conditions;
  if (deletions.has(interaction.kind))
    return ok({ interaction, body: { kind: "none" }, conditions: conditions.value });
  const bytes = await content.read(patches.has(interaction.kind) ? "patch" : "resource");
  if (!bytes.ok) return bytes;
  const read = bodyOf(interaction, bytes.value);
  return read.ok ? ok({ interaction, body: read.value, conditions: conditions.value }) : read;
}

/** The canonical text of a body: equal for equal JSON. */
export function contentOf(body: WriteBody): string {
  if (body.kind === "none") return "";
  return canonicalText(body.kind === "patch" ? body.operations : body.resource);
}

/** Reads the bytes of a write's body. */
function bodyOf(interaction: Writing, bytes: Uint8Array): Result<WriteBody, WriteBodyRefusal> {
  const json = readJson(bytes);
  return json.ok ? bodyIn(interaction, json.value) : err({ reason: `body_${json.error.reason}` });
}

/** The body of a write that is no deletion. */
export function bodyIn(interaction: Writing, json: Json): Result<WriteBody, WriteBodyRefusal> {
  if (patches.has(interaction.kind)) {
    const operations = readPatch(json);
    return operations.ok ? ok({ kind: "patch", operations: operations.value }) : operations;
  }
  if (!isResource(json, interaction.type)) return err({ reason: "resource_type_mismatch" });
  if (interaction.kind === "update" && textAt(json, "id") !== interaction.id)
    return err({ reason: "resource_id_mismatch" });
  return ok({ kind: "resource", resource: json });
}

export const deletions: ReadonlySet<Writing["kind"]> = new Set(["delete", "conditional-delete"]);
export const patches: ReadonlySet<Writing["kind"]> = new Set(["patch", "conditional-patch"]);
