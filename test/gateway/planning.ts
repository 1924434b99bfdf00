import { isObject, readJson, textAt, type JsonObject } from "#fhir/json/json";
import type { ResourceType } from "#fhir/r4/elements";
import { readPatch } from "#fhir/json/patch";
import { planWrite } from "#gateway/change/plan/write-plan";
import { parseScopes } from "#identity/scopes";
import { instant } from "#kernel/clock";
import { ok } from "#kernel/result";
import { Residences } from "#residence/row-residences";
import { compilePolicy } from "#policy/compile";
import type { PolicyDocument } from "#policy/schema";
import { sessionOf } from "../support/origin-session.ts";

export const base = "https://api.example/v1/fhir/main";
export const origin = "https://origin.internal/fhir";
export const residences = new Residences(instant(0));
export const to = (reference: string) => ({ reference });

async function* body(bytes: Uint8Array) {
  for (let from = 0; from < bytes.length; from += 65_536) yield ok(bytes.subarray(from, from + 65_536));
}

const utf8 = (text: string) => new TextEncoder().encode(text);

function read(value: object): JsonObject {
  const json = readJson(utf8(JSON.stringify(value)));
  if (!json.ok || !isObject(json.value)) throw new Error("a test's own mistake");
  return json.value;
}

/**
 * The plan of a write by a user who may access Amara. The stored resource may be given as the text of the
 * origin's answer.
 */
export async function plan(
  document: PolicyDocument,
  scope: string,
  stored: object | string | undefined,
  sent: object,
) {
  const resource = read(sent);
  const type = resource["resourceType"] as ResourceType;
  const interaction =
    stored === undefined
      ? ({ kind: "create", type } as const)
      : ({ kind: "update", type, id: textAt(resource, "id") ?? "" } as const);
  return planned(document, scope, stored, interaction, { kind: "resource", resource });
}

/** As {@link plan}, for a JSON Patch. */
export async function planPatch(
  document: PolicyDocument,
  scope: string,
  stored: { readonly resourceType: string; readonly id: string },
  operations: readonly object[],
) {
  const json = readJson(utf8(JSON.stringify(operations)));
  const patch = json.ok ? readPatch(json.value) : json;
  if (!patch.ok) throw new Error("a test's own mistake");
  const interaction = { kind: "patch", type: stored.resourceType as ResourceType, id: stored.id } as const;
  return planned(document, scope, stored, interaction, { kind: "patch", operations: patch.value });
}

/** As {@link plan}, for a deletion. */
export async function planDelete(
  document: PolicyDocument,
  scope: string,
  stored: object | string,
  place: { readonly type: string; readonly id: string },
) {
  return planned(
    document,
    scope,
    stored,
    { kind: "delete", type: place.type as ResourceType, id: place.id },
    { kind: "none" },
  );
}

async function planned(
  document: PolicyDocument,
  scope: string,
  stored: object | string | undefined,
  interaction: Parameters<typeof planWrite>[0]["interaction"],
  sent: Parameters<typeof planWrite>[0]["body"],
) {
  const scopes = parseScopes(scope);
  if (!scopes.ok) throw new Error("a test's own mistake");
  const answer = utf8(typeof stored === "string" ? stored : JSON.stringify(stored ?? null));
  return planWrite(
    {
      interaction,
      body: sent,
      conditions: { ifMatch: undefined, ifNoneExist: undefined, returns: undefined },
    },
    {
      policy: compilePolicy(document, "sha256:test"),
      access: { scopes: scopes.value, patient: undefined, usersPatients: new Set(["amara"]) },
    },
    sessionOf(async () => ok({ kind: "answered", base: origin, body: body(answer) }), { base }),
  );
}

/** The kind of the planned write, or the reason of the refusal. */
export const outcomeOf = (planned: Awaited<ReturnType<typeof plan>>): string =>
  planned.ok ? planned.value.kind : planned.error.reason;

/** The patients in the record of a write. */
export function namedBy(planned: Awaited<ReturnType<typeof plan>>) {
  const concerned = planned.ok && "concerned" in planned.value ? planned.value.concerned : undefined;
  return { patients: [...(concerned?.patients ?? [])].toSorted(), unnamed: concerned?.unnamed ?? false };
}
