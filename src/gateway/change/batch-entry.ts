import {
  readBatch,
  type BatchBundle,
  type BatchEntry,
  type BatchRefusal,
  type EntryFault,
} from "#fhir/batch";
import {
  isListing,
  isReading,
  isWriting,
  readInteraction,
  type InteractionRefusal,
  type Reading,
  type Writing,
} from "#fhir/interaction";
import type { Listing } from "#fhir/listing";
import { isResource, property, readJson, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { isLenient, readConditions } from "#fhir/preconditions";
import { err, ok, type Result } from "#kernel/result";
import { wholeSteps } from "#kernel/whole-steps";
import type { HeldBytes } from "#gateway/origin/held-bytes";
import type { Content } from "#gateway/question";
import {
  bodyIn,
  deletions,
  patches,
  type AskedWrite,
  type WriteBody,
  type WriteBodyRefusal,
} from "#gateway/change/plan/write-body";

export interface AskedReading {
  readonly kind: "reading";
  readonly interaction: Reading | Listing;
  readonly isHead: boolean;
  readonly ifNoneMatch: string | null;
}

/** An entry of a bundle, as far as it can be read without the origin and the policy. */
export type AskedEntry = AskedReading | { readonly kind: "writing"; readonly write: AskedWrite };

export const interactionOf = (asked: AskedEntry): Reading | Listing | Writing =>
  asked.kind === "reading" ? asked.interaction : asked.write.interaction;

export type EntryReadRefusal = InteractionRefusal | WriteBodyRefusal | EntryFault;

export type BatchBodyRefusal = WriteBodyRefusal | BatchRefusal;

// As a tree a bundle takes ten times as much of an isolate's 128 MB, and its results as much again.
// Synthea's bundles have 0.1–1 MB.
const batchBytesMax = 4_194_304;

/** A parsed bundle, and `Prefer` of its request, which holds for each entry. */
export type AskedBundle = BatchBundle & { readonly prefer: string | null; readonly body: Json };
export type AskedBatch = Extract<AskedBundle, { kind: "batch" }>;
export type AskedTransaction = Extract<AskedBundle, { kind: "transaction" }>;

/** True if any entry is a write. An entry that cannot be read does nothing. */
export const hasWrite = (bundle: BatchBundle): boolean => hasEntry(bundle, isWriteEntry);

export const hasRead = (bundle: BatchBundle): boolean => hasEntry(bundle, (entry) => !isWriteEntry(entry));

const hasEntry = (bundle: BatchBundle, isMeant: (entry: BatchEntry) => boolean): boolean =>
  bundle.kind === "batch"
    ? bundle.entries.some((entry) => entry.ok && isMeant(entry.value))
    : bundle.entries.some(isMeant);

export const isWriteEntry = ({ method }: Pick<BatchEntry, "method">): boolean =>
  method !== "GET" && method !== "HEAD";

// The rows of a decision share the budget with the body, whose size the client chooses: by single bytes it could
// measure what it does not see of a row.
const stepBytes = 65_536;

/** Reads the bundle that was posted to the base. */
export async function readBatchBody(
  content: Content,
  { base, held }: { readonly base: string; readonly held: HeldBytes },
): Promise<Result<AskedBundle, BatchBodyRefusal>> {
  const bytes = await content.read("resource", batchBytesMax);
  if (!bytes.ok) return bytes;
  if (!held.takeTree(wholeSteps(bytes.value.length, stepBytes))) return err({ reason: "body_too_large" });
  const json = readJson(bytes.value);
  if (!json.ok) return err({ reason: `body_${json.error.reason}` });
  const batch = readBatch(json.value, base);
  return batch.ok ? ok({ ...batch.value, prefer: content.stated("prefer"), body: json.value }) : batch;
}

/**
 * Reads an entry as a request. An entry may do no more than a request of its own, and no batch in a batch. Operations
 * that list rows are entries with GET.
 *
 * @param resource as the entry has it, or with its references replaced.
 * @param prefer `Prefer` of the whole request.
 */
export function readAsked(
  { method, segments, query, header }: BatchEntry,
  resource: JsonObject | undefined,
  base: string,
  prefer: string | null,
): Result<AskedEntry, EntryReadRefusal> {
  const read = readInteraction(method, segments, query, base, "", isLenient(prefer));
  if (!read.ok) return read;
  const interaction = read.value;
  if (isReading(interaction) || (isListing(interaction) && !isWriteEntry({ method }))) {
    const ifNoneMatch = header("if-none-match");
    return ok({ kind: "reading", interaction, isHead: method === "HEAD", ifNoneMatch });
  }
  if (!isWriting(interaction))
    return err({ reason: "interaction_not_supported", interaction: interaction.kind });
  const conditions = readConditions((name) => (name === "prefer" ? prefer : header(name)));
  if (!conditions.ok) return conditions;
  const body = bodyOf(interaction, resource);
  return body.ok
    ? ok({ kind: "writing", write: { interaction, body: body.value, conditions: conditions.value } })
    : body;
}

function bodyOf(interaction: Writing, resource: JsonObject | undefined): Result<WriteBody, WriteBodyRefusal> {
  // a resource in the entry is not read (google's gateway tests have such an entry)
  if (deletions.has(interaction.kind)) return ok({ kind: "none" });
  if (resource === undefined) return err({ reason: "body_missing" });
  const json = patches.has(interaction.kind) ? patchIn(resource) : ok(resource);
  return json.ok ? bodyIn(interaction, json.value) : json;
}

/** FHIR R4 http §3.1.0.7.2: a JSON Patch in a Bundle is a Binary. */
function patchIn(resource: JsonObject): Result<Json, WriteBodyRefusal> {
  if (!isResource(resource, "Binary") || property(resource, "contentType") !== "application/json-patch+json")
    return err({ reason: "patch_type_not_supported" });
  const data = textAt(resource, "data") ?? "";
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/u.test(data))
    return err({ reason: "body_not_json" });
  const json = readJson(Uint8Array.from(Buffer.from(data, "base64")));
  return json.ok ? json : err({ reason: `body_${json.error.reason}` });
}
