import type { Writing } from "#fhir/interaction";
import { readPatch, type PatchOperation, type PatchRefusal } from "#fhir/json/patch";
import {
  isObject,
  isResource,
  property,
  readJson,
  textAt,
  type Json,
  type JsonObject,
  type JsonRefusal,
} from "#fhir/json/json";
import { canonicalText } from "#fhir/json/same";
import { isContentType } from "#fhir/route";
import { readConditions, type ConditionsRefusal, type WriteConditions } from "#fhir/preconditions";
import { err, ok, type Result } from "#kernel/result";
import { sha256 } from "#ledger/bytes/hash";
import { uploadBytesMax, type Content, type ContentRefusal } from "#gateway/question";

/** The content of a write: nothing, a whole resource, or a patch. */
export type WriteBody =
  | { readonly kind: "none" }
  | {
      readonly kind: "resource";
      readonly resource: JsonObject;
      /** The content of a Binary that came in a media type of its own; `resource` has none then. */
      readonly upload?: Uint8Array;
      /** A document of the same transaction leads to this Binary. */
      readonly isAttached?: boolean;
    }
  | { readonly kind: "patch"; readonly operations: readonly PatchOperation[] };

/** A requested write: a request of its own, or an entry of a Bundle. */
export interface AskedWrite {
  readonly interaction: Writing;
  readonly body: WriteBody;
  readonly conditions: WriteConditions;
  /** Medplum's client reads the URL of new content from the answer: no element of R4 has the URL. */
  readonly wantsUrl?: boolean;
}

export type WriteBodyRefusal =
  | ConditionsRefusal
  | PatchRefusal
  | { readonly reason: `body_${Exclude<JsonRefusal["reason"], "too_large">}` }
  | ContentRefusal
  /** A new Binary names no resource that its writer may change, and no document of its transaction leads to it. */
  | { readonly reason: "content_needs_context" }
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
  const isContent = interaction.kind === "create" && isContentType(interaction.type);
  const read = await (isContent && content.uploadType !== undefined
    ? uploadOf(content, content.uploadType)
    : readBody(interaction, content));
  if (!read.ok) return read;
  const asked = { interaction, body: read.value, conditions: conditions.value };
  if (!isContent) return ok(asked);
  const body = inContext(read.value, content.stated("x-security-context"));
  if (body === undefined) return err({ reason: "content_needs_context" });
  return ok({ ...asked, body, wantsUrl: content.stated("x-medplum") === "extended" });
}

async function readBody(
  interaction: Writing,
  content: Content,
): Promise<Result<WriteBody, WriteBodyRefusal>> {
  const bytes = await content.read(patches.has(interaction.kind) ? "patch" : "resource");
  return bytes.ok ? bodyOf(interaction, bytes.value) : bytes;
}

async function uploadOf(content: Content, contentType: string): Promise<Result<WriteBody, ContentRefusal>> {
  const upload = await content.read("upload", uploadBytesMax);
  if (!upload.ok) return upload;
  return ok({ kind: "resource", resource: { resourceType: "Binary", contentType }, upload: upload.value });
}

/**
 * A Binary behind the resource that the header `X-Security-Context` names (FHIR R4 binary §2.42.3). `undefined`: header
 * and body name two resources.
 */
function inContext(body: WriteBody, header: string | null): WriteBody | undefined {
  if (header === null || body.kind !== "resource") return body;
  const { resource } = body;
  const given = property(resource, "securityContext");
  if (given !== undefined)
    return isObject(given) && textAt(given, "reference") === header.trim() ? body : undefined;
  return { ...body, resource: { ...resource, securityContext: { reference: header.trim() } } };
}

/** The canonical text of a body: equal for equal JSON. */
export function contentOf(body: WriteBody): string {
  if (body.kind === "none") return "";
  if (body.kind === "patch") return canonicalText(body.operations);
  const { resource, upload } = body;
  return canonicalText(
    upload === undefined ? resource : [resource, Buffer.from(sha256(upload)).toString("hex")],
  );
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
