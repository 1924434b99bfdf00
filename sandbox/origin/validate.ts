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
  const structures = JSON.parse(gunzipSync(file).toString("utf8")) as StructureDefinition[]; // written so by the generator
  indexStructureDefinitionBundle(structures);
  indexed = true;
}

/** Throws medplum's OperationOutcomeError unless the resource is structurally valid R4; gives the warnings of one that is. */
export function validate(resource: Resource): OperationOutcomeIssue[] {
  index();
  // Raw numbers become plain ones: the validator knows no others.
  return validateResource(JSON.parse(JSON.stringify(resource)) as Resource); // the same resource
}

/** The elements of a resource type. */
export function structureOf(type: string): InternalTypeSchema {
  index();
  return getDataType(type);
}
