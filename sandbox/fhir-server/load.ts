import { statSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { Resource } from "@medplum/fhirtypes";
import { parseExact } from "../origin/exact-json.ts";
import { servedTypes } from "../origin/search-parameters.ts";
import { resolveReferences, type LoadedEntry } from "./resolve-references.ts";
import { StartRefusal } from "../start-refusal.ts";

/** The content of a folder. */
export interface Folder {
  /**
   * Each resource has an id, resolved references, and its numbers in their written form. If two share a type
   * and id, the later stays.
   */
  readonly resources: Resource[];
  /** Files, or lines of a file (`file:3`), that could not be read, each with the reason. */
  readonly unread: readonly { readonly file: string; readonly why: string }[];
  /** The number of references to nothing in this folder: `urn:uuid:` or conditional references. */
  readonly unresolved: number;
}

/**
 * The resources of a folder for `Origin.load`. Prints the number of read resources by type, and the unread
 * files. Throws a StartRefusal when there is no resource to load.
 */
export async function loadFolder(
  dir: string,
  say: (line: string) => void = (line) => console.error(line),
): Promise<Resource[]> {
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new StartRefusal(`--bundles: ${dir} is not a folder`);
  const { resources, unread, unresolved } = await readFolder(dir);
  for (const { file, why } of unread) say(`not loaded: ${file}: ${why}`);
  if (resources.length === 0)
    throw new StartRefusal(
      `--bundles: ${dir} has no FHIR resource in .json, .json.gz, .ndjson or .ndjson.gz`,
    );
  const counts = Map.groupBy(resources, ({ resourceType }) => resourceType);
  const listed = [...counts]
    .toSorted(([, a], [, b]) => b.length - a.length)
    .map(([type, of]) => `${of.length} ${type}`);
  say(
    `read from ${dir}: ${listed.join(", ")}` +
      (unresolved === 0 ? "" : `; ${unresolved} references have no target in it`),
  );
  return resources;
}

/**
 * Reads every FHIR file below a folder, in the order of their names: Bundles of any kind, single resources,
 * and lines of either.
 */
export async function readFolder(dir: string): Promise<Folder> {
  const names = await readdir(dir, { recursive: true });
  const unread: { file: string; why: string }[] = [];
  const entries: LoadedEntry[] = [];
  for (const name of names.filter((file) => /\.(?:nd)?json(?:\.gz)?$/u.test(file)).toSorted()) {
    const read = await text(join(dir, name));
    if (typeof read !== "string") {
      unread.push({ file: name, why: read.why });
      continue;
    }
    const parts = /\.ndjson(?:\.gz)?$/u.test(name)
      ? read.split("\n").map((line, i) => ({ file: `${name}:${i + 1}`, json: line }))
      : [{ file: name, json: read }];
    for (const { file, json } of parts.filter((part) => part.json.trim() !== "")) {
      const found = entriesOf(json);
      if (typeof found === "string") unread.push({ file, why: found });
      else for (const entry of found) entries.push(entry);
    }
  }
  const { resources, unresolved } = resolveReferences(entries);
  return { resources, unread, unresolved };
}

async function text(file: string): Promise<string | { readonly why: string }> {
  try {
    const bytes = await readFile(file);
    const plain = file.endsWith(".gz") ? await promisify(gunzip)(bytes) : bytes;
    // a byte-order mark is dropped
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(plain);
  } catch (fault) {
    return { why: fault instanceof Error ? fault.message : "unreadable" };
  }
}

/**
 * The resources of a document, or the reason why it has none. A Bundle inside a Bundle is a resource like any
 * other resource.
 */
function entriesOf(json: string): LoadedEntry[] | string {
  let document: unknown;
  try {
    document = parseExact(json);
  } catch {
    return "not JSON"; // the parser's message would quote the file
  }
  if (!isResource(document)) return "not a FHIR R4 resource";
  if (document.resourceType !== "Bundle") return [{ resource: document }];
  const entries = (document.entry ?? []).flatMap(({ fullUrl, resource }): LoadedEntry[] =>
    isResource(resource) ? [{ resource, ...(fullUrl !== undefined && { fullUrl }) }] : [],
  );
  return entries.length === 0 ? "a Bundle without resources" : entries;
}

function isResource(value: unknown): value is Resource {
  return (
    typeof value === "object" &&
    value !== null &&
    "resourceType" in value &&
    servedTypes.has(String(value.resourceType))
  );
}
