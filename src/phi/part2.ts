import { isArray, isObject, property, type JsonObject } from "#fhir/json/json";
import { isSameJson } from "#fhir/json/same";
import { part2Notice } from "#policy/part2-notice";

const v3 = "http://terminology.hl7.org/CodeSystem/v3-";
/** The law, even where a view hides the label; keep the labels; do not disclose again without a consent. */
const marks = [
  { system: `${v3}ActUSPrivacyLaw`, code: "42CFRPart2" },
  { system: `${v3}ActCode`, code: "PERSISTLABEL" },
  { system: `${v3}ActCode`, code: "NORDSCLCD" },
];

/** A record of 42 CFR Part 2 with the labels that say how its recipient has to handle it. */
export function withPart2Labels(resource: JsonObject): JsonObject {
  const meta = property(resource, "meta");
  const security = isObject(meta) ? (property(meta, "security") ?? []) : [];
  const labels = isArray(security) ? security : [];
  const missing = marks.filter(
    ({ code }) => !labels.some((label) => isObject(label) && property(label, "code") === code),
  );
  const { resourceType = "", id, ...rest } = resource;
  return {
    resourceType,
    ...(id === undefined ? {} : { id }),
    ...rest,
    meta: { ...(isObject(meta) ? meta : {}), security: [...labels, ...missing] },
  };
}

/**
 * An update that sends back a record as it was read, without the labels that {@link withPart2Labels} added: labels
 * come from the stored version. @param shown what leaves of it; `read`: the same with the added labels.
 */
export function withoutPart2Labels(body: JsonObject, read: JsonObject, shown: JsonObject): JsonObject {
  const [meta, seen, own] = [body, read, shown].map((resource) => property(resource, "meta"));
  if (meta === undefined || !isObject(meta) || seen === undefined || !isObject(seen)) return body;
  if (!isSameJson(property(meta, "security"), property(seen, "security"))) return body;
  const stated = own !== undefined && isObject(own) ? property(own, "security") : undefined;
  const others = Object.fromEntries(Object.entries(meta).filter(([name]) => name !== "security"));
  return { ...body, meta: { ...others, ...(stated !== undefined && { security: stated }) } };
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
