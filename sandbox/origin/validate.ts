import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { indexStructureDefinitionBundle, validateResource } from "@medplum/core";
import type { Resource, StructureDefinition } from "@medplum/fhirtypes";

let indexed = false;

/** Throws medplum's OperationOutcomeError unless the resource is structurally valid R4. */
export function validate(resource: Resource): void {
  if (!indexed) {
    const file = readFileSync(join(import.meta.dirname, "structure-definitions.gen.json.gz"));
    const structures = JSON.parse(gunzipSync(file).toString("utf8")) as StructureDefinition[]; // written so by the generator
    indexStructureDefinitionBundle(structures);
    indexed = true;
  }
  // Raw numbers become plain ones: the validator knows no others.
  validateResource(JSON.parse(JSON.stringify(resource)) as Resource); // the same resource
}
