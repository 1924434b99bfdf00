import { explainSample } from "#authoring/explain-sample";
import { grantedTypes, type GrantedRows } from "#authoring/granted-types";
import { textAt, type JsonObject } from "#fhir/json/json";
import { isResourceType } from "#fhir/r4/elements";
import { parseScopes } from "#identity/scopes";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { compilePolicy } from "#policy/compile";
import { readPolicyDocument } from "#policy/document";
import { showsInEachRule } from "#policy/relations";
import type { ShownGrant } from "./registry-view.ts";
import { sampleResources } from "./sample-resources.ts";

/** An element of a sample under a grant. */
export interface SeenElement {
  readonly path: string;
  readonly fate: "shown" | "partly" | "removed" | "changed" | "added";
  readonly why: string;
}

/** A sample as it is at the origin, and as it would leave. */
export interface SeenSample {
  readonly type: string;
  /** The reasons why nothing leaves; empty if the sample leaves. */
  readonly kept: readonly string[];
  readonly before: JsonObject;
  readonly after: JsonObject | undefined;
  readonly elements: readonly SeenElement[];
}

/** Whatever a grant lets its client see, and invented samples of it. */
export interface Seen {
  readonly granted: readonly GrantedRows[];
  readonly samples: readonly SeenSample[];
}

/**
 * Lists each type and element that the grant shows, and cuts each sample with the engine that serves requests, as a
 * read under the grant, in the form of its policy. The error is the reason why a policy cannot be read. No request is
 * made.
 */
export function whatItSees(
  { scopes: scopeText, purpose }: Pick<ShownGrant, "scopes" | "purpose">,
  body: unknown,
  at: Instant,
): Result<Seen, string> {
  const document = readPolicyDocument(body);
  if (!document.ok) return err(document.error[0].problem);
  const scopes = parseScopes(scopeText);
  if (!scopes.ok) return err(scopes.error.reason);
  const policy = compilePolicy(document.value, "");
  // A grant of one patient is shown with the samples' own patient.
  const isOfPatient = scopeText.includes("patient/");
  const access = {
    scopes: scopes.value,
    patient: isOfPatient ? "sample" : undefined,
    usersPatients: undefined,
    shows: showsInEachRule(policy),
    purpose,
    at,
  };
  const about = { document: document.value, policy, access, users: "" };
  return ok({
    granted: grantedTypes(about),
    samples: sampleResources.flatMap((resource): SeenSample[] => {
      const type = textAt(resource, "resourceType") ?? "";
      if (!isResourceType(type)) return [];
      const { kept, before, after, changes } = explainSample(
        about,
        { kind: "read", type, id: "sample" },
        resource,
      );
      const changed = changes.map(({ kind, path, why }): SeenElement => ({ path, fate: kind, why }));
      const touched = new Set(changed.map(({ path }) => path.split(/[.[]/u)[0]));
      const changedWhole = new Set(changed.map(({ path }) => path));
      const shown = Object.keys(after ?? {})
        .filter((path) => path in resource && path !== "resourceType" && !changedWhole.has(path))
        .map((path): SeenElement => ({ path, fate: touched.has(path) ? "partly" : "shown", why: "" }));
      return [{ type, kept, before, after, elements: [...shown, ...changed] }];
    }),
  });
}
