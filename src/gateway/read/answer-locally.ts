import { capabilityStatement } from "#fhir/capability";
import type { AnsweredLocally } from "#fhir/interaction";
import {
  isArray,
  isObject,
  property,
  readJson,
  textAt,
  type Json,
  type JsonObject,
  type JsonRefusal,
} from "#fhir/json/json";
import { bodyOutcome, operationOutcome } from "#fhir/outcome";
import { validateResource } from "#fhir/validate/validate";
import type { Origins } from "#fhir/ports";
import type { AuthorizationServers } from "#registry/ports";
import { err, ok, type Result } from "#kernel/result";
import { capabilitiesOf } from "#policy/capabilities";
import type { CompiledPolicy } from "#policy/compile";
import { allowed } from "#policy/evaluate-listing";
import type { PolicyRefusal } from "#policy/grant";
import type { Access } from "#policy/row-access";
import type { Arrival, Call } from "#gateway/admission/admit";
import { oauthUris } from "./oauth-uris.ts";
import {
  hasMediaType,
  readResourceBody,
  resourceTypes,
  type ResourceBodyRefusal,
} from "#gateway/admission/resource-body";

export type LocalRefusal =
  | PolicyRefusal
  | ResourceBodyRefusal
  | { readonly reason: "body_type_not_supported" | "resource_type_mismatch" | "resource_id_mismatch" }
  | { readonly reason: `body_${JsonRefusal["reason"]}` }
  /** Of `$validate`: a profile or a mode to judge by. */
  | { readonly reason: "parameter_not_supported"; readonly parameter: string };

export interface TellPorts {
  readonly publicUrl: string;
  readonly authorizationServers: AuthorizationServers;
  readonly origins: Pick<Origins, "traits">;
}

interface Scene {
  readonly call: Call;
  readonly policy: CompiledPolicy;
  readonly access: Access;
  readonly message: Pick<Arrival, "headers" | "body">;
}

/** What is answered without the origin being asked for it: nothing of a patient's is in it. */
export async function tell(
  interaction: AnsweredLocally,
  scene: Scene,
  ports: TellPorts,
): Promise<Result<object, LocalRefusal>> {
  switch (interaction.kind) {
    case "capabilities": {
      const { signIn } = await ports.authorizationServers.of(scene.call.origin);
      const traits = await ports.origins.traits(scene.call.origin);
      const types = capabilitiesOf(scene.policy, scene.access, {
        mayDelete: traits?.honoursIfMatchOnDelete === true,
      });
      return ok(capabilityStatement(oauthUris(ports.publicUrl, signIn), types));
    }
    case "validate":
      return allowed(scene.policy, "validate") ?? validated(interaction, scene);
  }
}

/** What was sent is in no record and comes back in no answer, but for the places in it that are wrong. */
async function validated(
  { type, id }: Extract<AnsweredLocally, { kind: "validate" }>,
  { call, message }: Scene,
): Promise<Result<object, LocalRefusal>> {
  if (!hasMediaType(message.headers, resourceTypes)) return err({ reason: "body_type_not_supported" });
  const bytes = await readResourceBody(message.body);
  if (!bytes.ok) return bytes;
  const json = readJson(bytes.value);
  if (!json.ok) return err({ reason: `body_${json.error.reason}` });
  const resource = resourceIn(json.value, type);
  if (!resource.ok) return resource;
  const own = property(resource.value, "id");
  if (id !== undefined && own !== undefined && own !== id) return err({ reason: "resource_id_mismatch" });
  const issues = validateResource(resource.value);
  if (issues.length > 0) return ok(bodyOutcome(issues, call.id));
  return ok(
    operationOutcome({
      severity: "information",
      code: "informational",
      text: "The structure is that of R4.",
      requestId: call.id,
    }),
  );
}

/** Sent as it is, or as the one parameter `resource` (http://hl7.org/fhir/R4/resource-operation-validate.html). */
function resourceIn(body: Json, type: string): Result<JsonObject, LocalRefusal> {
  if (!isObject(body)) return err({ reason: "resource_type_mismatch" });
  if (textAt(body, "resourceType") === type) return ok(body);
  const parameters = property(body, "parameter");
  if (textAt(body, "resourceType") !== "Parameters" || !isArray(parameters))
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
