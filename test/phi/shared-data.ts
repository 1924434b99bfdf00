import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { isArray, isObject, property, readJson, type Json, type JsonObject } from "#fhir/json/json";

const root = join(import.meta.dirname, "../../../shared/data");

/** `true` if the folder of real data is missing next to the project. */
export const noSharedData = !existsSync(root);

/** Every resource of a folder of real data; resources in Bundles and NDJSON count singly. */
export function resourcesIn(...folders: readonly string[]): readonly JsonObject[] {
  return folders.flatMap((folder) => {
    const at = join(root, "fhir", folder);
    return readdirSync(at).flatMap((file) => {
      const bytes = readFileSync(join(at, file));
      const text = (file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
      const texts = file.includes(".ndjson") ? text.split("\n").filter((line) => line !== "") : [text];
      return texts.map(parse).flatMap(unbundled);
    });
  });
}

/**
 * Parses like a body, without the size limit: a patient's whole record is larger than the limit of an answer.
 */
function parse(text: string): Json {
  const value: unknown = JSON.parse(text, (_key, member: unknown, { source }: { source?: string } = {}) =>
    typeof member === "number" && source !== undefined ? raw(source) : member,
  );
  return value as Json; // JSON.parse returns only these types, and numbers became their text
}

/** The reader's own form of a number. */
function raw(source: string): Json {
  const read = readJson(new TextEncoder().encode(source));
  if (!read.ok) throw new Error("not a number");
  return read.value;
}

function unbundled(value: Json): readonly JsonObject[] {
  if (!isObject(value)) return [];
  const entries =
    value["resourceType"] === "Bundle" && value["type"] === "transaction"
      ? property(value, "entry")
      : undefined;
  if (!isArray(entries ?? null)) return [value];
  return (isArray(entries) ? entries : []).flatMap((entry) => {
    const resource = isObject(entry) ? property(entry, "resource") : undefined;
    return isObject(resource) ? [resource] : [];
  });
}
