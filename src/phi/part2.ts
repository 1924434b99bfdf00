import type { Facts } from "#fhir/json/facts";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { nestedResources } from "#fhir/json/nested-resources";
import { isSameJson } from "#fhir/json/same";
import type { FhirBase } from "#fhir/r4/reference";
import type { Grant } from "#policy/grant";
import { part2Law } from "#policy/labels";
import { part2Notice } from "#policy/part2-notice";

const v3 = "http://terminology.hl7.org/CodeSystem/v3-";
/** The law, even where a view hides the label; keep the labels; do not disclose again without a consent. */
const marks = [
  { system: `${v3}ActUSPrivacyLaw`, code: part2Law },
  { system: `${v3}ActCode`, code: "PERSISTLABEL" },
  { system: `${v3}ActCode`, code: "NORDSCLCD" },
];

/**
 * The scope of the consent for a resource that is a record of 42 CFR Part 2, or has such a record inside that leaves
 * with it (contained, an entry of a Bundle); undefined for each further resource.
 * @param shown the part of the resource that leaves. `base`: the origin's.
 */
export function part2ScopeOf(
  part2Scope: Grant["part2Scope"],
  resource: JsonObject,
  shown: JsonObject,
  factsOf: (resource: JsonObject) => Facts,
  base: FhirBase,
): string | undefined {
  if (part2Scope === undefined) return undefined;
  const leaving = new Set([...nestedResources(shown)].slice(1).map((nested) => nameOf(nested.resource)));
  const scopes = new Set<string>();
  for (const { resource: each } of nestedResources(resource)) {
    const scope =
      each === resource || leaving.has(nameOf(each)) ? part2Scope(factsOf(each), base) : undefined;
    if (scope !== undefined) scopes.add(scope);
    if (leaving.size === 0) break;
  }
  return scopes.size === 0 ? undefined : [...scopes].join(" ");
}

const nameOf = (resource: JsonObject): string =>
  `${textAt(resource, "resourceType")}/${textAt(resource, "id")}`;

/**
 * A record of 42 CFR Part 2 with the labels that say how its recipient has to handle it. The label of the law has the
 * scope of the consent (42 CFR 2.32(b)): a resource that is read alone has no Bundle around it to state the scope.
 */
export function withPart2Labels(resource: JsonObject, scope: string): JsonObject {
  const meta = property(resource, "meta");
  const labels = securityLabels(resource);
  const missing = marks.filter(({ code }) => !labels.some((label) => hasCode(label, code)));
  const all: readonly Json[] = [...labels, ...missing];
  const law = all.findIndex((label) => hasCode(label, part2Law));
  const { resourceType = "", id, ...rest } = resource;
  return {
    resourceType,
    ...(id === undefined ? {} : { id }),
    ...rest,
    meta: {
      ...(isObject(meta) ? meta : {}),
      security: all.map((label, at) => (at === law && isObject(label) ? withScope(label, scope) : label)),
    },
  };
}

const hasCode = (label: Json, code: string): boolean => isObject(label) && property(label, "code") === code;

/** DS4P: what stands behind a label, here the consent by which the record leaves. */
function withScope(label: JsonObject, display: string): JsonObject {
  const extensions = property(label, "extension");
  return { ...label, extension: [...(isArray(extensions) ? extensions : []), scopeExtension(display)] };
}
const scopeExtension = (display: string): JsonObject => ({
  url: relatedArtifact,
  valueRelatedArtifact: { type: "justification", display },
});
const relatedArtifact =
  "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-sec-label-related-artifact";

/**
 * An update that sends back a record as it was read, without the labels that {@link withPart2Labels} added: labels
 * come from the stored version. The scope of the consent may differ from the read: a Consent was filed again, or the
 * update has another purpose. @param shown what leaves of it; `read`: the same with the added labels.
 */
export function withoutPart2Labels(body: JsonObject, read: JsonObject, shown: JsonObject): JsonObject {
  const meta = property(body, "meta");
  if (meta === undefined || !isObject(meta) || !isArray(property(meta, "security"))) return body;
  const labels = securityLabels(shown);
  const added = securityLabels(read).filter((label) => !labels.some((stored) => hasSameCode(stored, label)));
  const sent = securityLabels(body).filter((label) => !added.some((mark) => hasSameCode(mark, label)));
  if (read === shown || !isSameJson(sent.map(withoutScope), labels.map(withoutScope))) return body;
  const stored = property(shown, "meta");
  const stated = stored !== undefined && isObject(stored) ? property(stored, "security") : undefined;
  const others = Object.fromEntries(Object.entries(meta).filter(([name]) => name !== "security"));
  const next = { ...others, ...(stated !== undefined && { security: stated }) };
  const { meta: _meta, ...rest } = body;
  return Object.keys(next).length === 0 ? rest : { ...body, meta: next };
}

function securityLabels(resource: JsonObject): readonly Json[] {
  const meta = property(resource, "meta");
  const security = isObject(meta) ? property(meta, "security") : undefined;
  return security !== undefined && isArray(security) ? security : [];
}

const hasSameCode = (a: Json, b: Json): boolean =>
  isObject(a) &&
  isObject(b) &&
  ["system", "code"].every((name) => isSameJson(property(a, name), property(b, name)));

/** A label without the extension that {@link withScope} adds. A stored extension of another form stays. */
function withoutScope(label: Json): Json {
  if (!isObject(label) || !hasCode(label, part2Law)) return label;
  const extensions = property(label, "extension");
  if (extensions === undefined || !isArray(extensions)) return label;
  const others = extensions.filter((each) => !isScope(each));
  const { extension: _extension, ...rest } = label;
  return others.length === 0 ? rest : { ...rest, extension: others };
}

function isScope(extension: Json): boolean {
  const artifact = isObject(extension) ? property(extension, "valueRelatedArtifact") : undefined;
  const display = artifact !== undefined && isObject(artifact) ? textAt(artifact, "display") : undefined;
  return display !== undefined && isSameJson(extension, scopeExtension(display));
}

/** The entry of a Bundle that carries the notice. @param scope of the consent. */
export const part2Entry = (scope: string): string =>
  JSON.stringify({
    resource: {
      resourceType: "OperationOutcome",
      issue: [
        {
          severity: "information",
          code: "informational",
          details: { text: part2Notice },
          diagnostics: scope,
        },
      ],
    },
    search: { mode: "outcome" },
  });
