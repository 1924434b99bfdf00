import {
  fhirpathPatchTypedValue,
  normalizeErrorString,
  parseFhirPathPatchParameters,
  toTypedValue,
} from "@medplum/core";
import type { Parameters, Resource } from "@medplum/fhirtypes";
import type { Body } from "../call.ts";
import { copied, isExactObject } from "../exact-json.ts";
import { badRequest, ServerRefusal } from "../refusal.ts";
import type { Stored } from "../stored.ts";
import type { Submitted } from "../store.ts";
import { field } from "../values.ts";
import { jsonPatched } from "./json-patch.ts";

/**
 * A resource after a patch: JSON Patch, or FHIRPath Patch in Parameters (R4 http.html#patch). Its type and id
 * stay.
 */
export function patched(resource: Stored, body: Body): Submitted {
  const after = applied(resource, body);
  if (!isExactObject(after) || after["resourceType"] !== resource.resourceType || after["id"] !== resource.id)
    throw new ServerRefusal(422, "processing", "A patch changes neither type nor id.");
  return { ...after, resourceType: resource.resourceType, id: resource.id };
}

function applied(resource: Stored, body: Body): unknown {
  if (body.kind === "none") throw badRequest("There is no patch.");
  if (body.kind === "json" && body.type.startsWith("application/json-patch+json"))
    return jsonPatched(resource, body.value);
  if (body.kind === "json" && field(body.value, "resourceType") === "Parameters")
    return fhirpathPatched(resource, body.value as Parameters); // checked just above
  throw new ServerRefusal(415, "not-supported", "Patches are read as JSON Patch, or FHIRPath Patch.");
}

function fhirpathPatched(resource: Stored, patch: Parameters): unknown {
  const copy = copied(resource) as unknown as Resource; // it was stored as a resource
  try {
    fhirpathPatchTypedValue(toTypedValue(copy), parseFhirPathPatchParameters(patch));
  } catch (fault) {
    // medplum's parser and its evaluator throw plain errors.
    throw new ServerRefusal(422, "processing", normalizeErrorString(fault));
  }
  return copy;
}
