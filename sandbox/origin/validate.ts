import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  getDataType,
  indexStructureDefinitionBundle,
  validateResource,
  type InternalTypeSchema,
} from "@medplum/core";
import type { OperationOutcomeIssue, Resource, StructureDefinition } from "@medplum/fhirtypes";

let indexed = false;

function index(): void {
  if (indexed) return;
  const file = readFileSync(join(import.meta.dirname, "structure-definitions.gen.json.gz"));
  // the generator wrote it in this form
  const structures = JSON.parse(gunzipSync(file).toString("utf8")) as StructureDefinition[];
  indexStructureDefinitionBundle(structures);
  indexed = true;
}

/**
 * Throws medplum's OperationOutcomeError unless the resource is structurally valid R4. Returns the warnings
 * of a valid resource.
 */
export function checkStructure(resource: Resource): OperationOutcomeIssue[] {
  index();
  // Turns raw numbers into plain numbers, because the validator knows only these.
  const plain = JSON.parse(JSON.stringify(resource)) as Resource; // an equal resource
  // The validator's pattern for base64 runs out of stack at some megabytes.
  if (plain.resourceType === "Binary") delete plain.data;
  return validateResource(plain);
}

/** The elements of a resource type. */
export function structureOf(type: string): InternalTypeSchema {
  index();
  return getDataType(type);
}
