import { isConditional } from "#gateway/origin/conditional-writes";
import { capabilityStatement } from "#fhir/capability";
import type { AnsweredLocally } from "#fhir/interaction";
import {
  isArray,
  isObject,
  isResource,
  property,
  readJson,
  textAt,
  type Json,
  type JsonObject,
  type JsonRefusal,
} from "#fhir/json/json";
import { bodyOutcome, operationOutcome } from "#fhir/outcome";
import { validateResource } from "#fhir/validate/validate";
import type { AuthorizationServers } from "#registry/ports";
import { err, ok, type Result } from "#kernel/result";
import { capabilitiesOf, usCoreServed } from "#policy/capabilities";
import type { Permission } from "#gateway/admission/authorize";
import type { OriginSession } from "#gateway/origin/origin-session";
import { oauthUris } from "./oauth-uris.ts";
import type { Content, ContentRefusal } from "#gateway/question";

export type LocalRefusal =
  | ContentRefusal
  | { readonly reason: "resource_type_mismatch" | "resource_id_mismatch" }
  | { readonly reason: `body_${JsonRefusal["reason"]}` }
  /** `$validate` with a profile or a mode. */
  | { readonly reason: "parameter_not_supported"; readonly parameter: string };

export interface LocalPorts {
  readonly publicUrl: string;
  readonly authorizationServers: AuthorizationServers;
}

/**
 * Answers `metadata` for a known caller: the interactions that its policy and its scopes allow at this
 * origin.
 */
export async function capabilities(
  { policy, access }: Permission,
  origin: OriginSession,
  ports: LocalPorts,
): Promise<object> {
  const { signIn } = await ports.authorizationServers.of(origin.name);
  const traits = await origin.traits();
  const types = capabilitiesOf(policy, access, {
    mayDelete: isConditional("delete", traits),
    types: traits?.capabilities.types,
  });
  const profiles = usCoreServed(policy, types);
  return capabilityStatement(oauthUris(ports.publicUrl, signIn), types, profiles, policy.form?.kind);
}

/**
 * Answers `$validate`. The record and the answer contain nothing of the submitted resource but the places of
 * its errors.
 */
export async function validate(
  { type, id }: Extract<AnsweredLocally, { kind: "validate" }>,
  content: Content,
  requestId: string,
): Promise<Result<object, LocalRefusal>> {
  const bytes = await content.read("resource");
  if (!bytes.ok) return bytes;
  const json = readJson(bytes.value);
  if (!json.ok) return err({ reason: `body_${json.error.reason}` });
  const resource = resourceIn(json.value, type);
  if (!resource.ok) return resource;
  const stated = property(resource.value, "id");
  if (id !== undefined && stated !== undefined && stated !== id)
    return err({ reason: "resource_id_mismatch" });
  const issues = validateResource(resource.value);
  if (issues.length > 0) return ok(bodyOutcome(issues, requestId));
  return ok(
    operationOutcome({
      severity: "information",
      code: "informational",
      text: "The structure is that of R4.",
      requestId,
    }),
  );
}

/**
 * The body is the resource, or Parameters with the single parameter `resource`
 * (http://hl7.org/fhir/R4/resource-operation-validate.html).
 */
function resourceIn(body: Json, type: string): Result<JsonObject, LocalRefusal> {
  if (!isObject(body)) return err({ reason: "resource_type_mismatch" });
  if (textAt(body, "resourceType") === type) return ok(body);
  const parameters = property(body, "parameter");
  if (!isResource(body, "Parameters") || !isArray(parameters))
    return err({ reason: "resource_type_mismatch" });
  const [sent, other] = parameters.toSorted((a, b) => Number(isNamed(b)) - Number(isNamed(a)));
  if (other !== undefined) return err({ reason: "parameter_not_supported", parameter: nameOf(other) });
  const resource =
    sent !== undefined && isObject(sent) && isNamed(sent) ? property(sent, "resource") : undefined;
  return isObject(resource) && textAt(resource, "resourceType") === type
    ? ok(resource)
    : err({ reason: "resource_type_mismatch" });
}

const isNamed = (parameter: Json) => isObject(parameter) && textAt(parameter, "name") === "resource";

function nameOf(parameter: Json): string {
  const name = isObject(parameter) ? textAt(parameter, "name") : undefined;
  return name === "profile" || name === "mode" ? name : "parameter";
}
