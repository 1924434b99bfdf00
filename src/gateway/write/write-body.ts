import type { Writing } from "#fhir/interaction";
import { readPatch, type PatchOperation, type PatchRefusal } from "#fhir/json/patch";
import { isObject, property, readJson, textAt, type JsonObject, type JsonRefusal } from "#fhir/json/json";
import { canonicalText } from "#fhir/json/same";
import { readConditions, type ConditionsRefusal, type WriteConditions } from "#fhir/preconditions";
import { err, ok, type Result } from "#kernel/result";
import type { Arrival } from "#gateway/admission/admit";
import {
  hasMediaType,
  readResourceBody,
  resourceTypes,
  type ResourceBodyRefusal,
} from "#gateway/admission/resource-body";

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
  | ResourceBodyRefusal
  | { readonly reason: "body_type_not_supported" | "patch_type_not_supported" }
  /** The type or the id does not match the URL (FHIR R4 http §3.1.0.4). */
  | { readonly reason: "resource_type_mismatch" | "resource_id_mismatch" };

/** Reads the body and the conditions of a write. Refusals here do not depend on stored rows. */
export async function readWrite(
  interaction: Writing,
  { headers, body }: Pick<Arrival, "headers" | "body">,
): Promise<Result<AskedWrite, WriteBodyRefusal>> {
  const conditions = readConditions((name) => headers.get(name));
  if (!conditions.ok) return conditions;
  if (interaction.kind === "delete" || interaction.kind === "conditional-delete")
    return ok({ interaction, body: { kind: "none" }, conditions: conditions.value });
  const isPatch = interaction.kind === "patch" || interaction.kind === "conditional-patch";
  if (!hasMediaType(headers, isPatch ? patchTypes : resourceTypes))
    return err({ reason: isPatch ? "patch_type_not_supported" : "body_type_not_supported" });
  const bytes = await readResourceBody(body);
  if (!bytes.ok) return bytes;
  const read = bodyOf(interaction, bytes.value);
  return read.ok ? ok({ interaction, body: read.value, conditions: conditions.value }) : read;
}

/** The canonical text of a body: equal for equal JSON. */
export function contentOf(body: WriteBody): string {
  switch (body.kind) {
    case "none":
      return "";
    case "resource":
      return canonicalText(body.resource);
    case "patch":
      return canonicalText(body.operations);
  }
}

/** Reads the bytes of a write's body. */
function bodyOf(interaction: Writing, bytes: Uint8Array): Result<WriteBody, WriteBodyRefusal> {
  const json = readJson(bytes);
  if (!json.ok) return err({ reason: `body_${json.error.reason}` });
  if (interaction.kind === "patch" || interaction.kind === "conditional-patch") {
    const operations = readPatch(json.value);
    return operations.ok ? ok({ kind: "patch", operations: operations.value }) : operations;
  }
  const resource = json.value;
  if (!isObject(resource) || property(resource, "resourceType") !== interaction.type)
    return err({ reason: "resource_type_mismatch" });
  if (interaction.kind === "update" && textAt(resource, "id") !== interaction.id)
    return err({ reason: "resource_id_mismatch" });
  return ok({ kind: "resource", resource });
}

// FHIRPath Patch and XML Patch could make changes that this gateway does not see.
const patchTypes: ReadonlySet<string> = new Set(["application/json-patch+json"]);
