import { randomUUID } from "node:crypto";
import type { Resource } from "@medplum/fhirtypes";
import { servedParametersOf } from "../origin/search-parameters.ts";
import { text, valuesOf } from "../origin/values.ts";

/** A resource from a file, with the URL by which its neighbours refer to it. */
export interface LoadedEntry {
  readonly fullUrl?: string;
  readonly resource: Resource;
}

/**
 * Gives each resource an id (its own, or the id in its `urn:uuid:`, or a new id). Turns the references of a
 * transaction (`urn:uuid:…`, the full URL of an entry, `Practitioner?identifier=system|value`; R4
 * §3.1.0.11.2) into `Type/id`.
 */
export function resolveReferences(entries: readonly LoadedEntry[]): {
  readonly resources: Resource[];
  readonly unresolved: number;
} {
  const resources = new Map<string, Resource>();
  const places = new Map<string, string>(); // by full URL, and by conditional reference
  for (const { fullUrl, resource } of entries) {
    const id =
      resource.id ??
      /^urn:uuid:(?<uuid>[0-9a-f-]{36})$/u.exec(fullUrl ?? "")?.groups?.["uuid"] ??
      randomUUID();
    const place = `${resource.resourceType}/${id}`;
    resources.set(place, { ...resource, id });
    if (fullUrl !== undefined) places.set(fullUrl, place);
    for (const identifier of identifiersOf(resource))
      places.set(`${resource.resourceType}?identifier=${identifier}`, place);
  }

  let unresolved = 0;
  const resolved = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(resolved);
    // Raw numbers have no prototype and stay unchanged.
    if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => {
        if (key !== "reference" || typeof inner !== "string") return [key, resolved(inner)];
        const place = places.get(inner) ?? places.get(decoded(inner));
        if (place === undefined && /^urn:|\?/u.test(inner)) unresolved += 1;
        return [key, place ?? inner];
      }),
    );
  };
  return { resources: [...resources.values()].map((resource) => resolved(resource) as Resource), unresolved }; // the same shape
}

function identifiersOf(resource: Resource): string[] {
  const parameter = servedParametersOf(resource.resourceType).get("identifier");
  if (parameter === undefined) return [];
  return valuesOf(resource, parameter).flatMap(({ value }) => {
    const [system, code] = [text(value, "system"), text(value, "value")];
    return code === undefined ? [] : [`${system ?? ""}|${code}`];
  });
}

/** A conditional reference is a query: its `|` may be escaped. */
function decoded(reference: string): string {
  try {
    return decodeURIComponent(reference);
  } catch {
    return reference;
  }
}
