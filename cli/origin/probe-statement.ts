import { isObject, property, textAt, valuesAt, type JsonObject } from "#fhir/json/json";
import { typeInteractions } from "#fhir/origin";
import { isResourceType } from "#fhir/r4/elements";
import { isSupported } from "#fhir/search/search";
import { searchParametersOf } from "#fhir/search/parameters";
import type { FhirReply } from "./fhir-client.ts";

/** A type as a server's CapabilityStatement lists it, as far as the gateway can use it. */
export interface StatedType {
  readonly interactions: readonly string[];
  readonly search: readonly string[];
}

const interactions: ReadonlySet<string> = new Set(typeInteractions);

/** The types of a CapabilityStatement (FHIR R4 §5.1) that R4 defines. `undefined` if it is none. */
export function statedTypes({ status, body }: FhirReply): ReadonlyMap<string, StatedType> | undefined {
  if (status !== 200 || body === undefined || textAt(body, "resourceType") !== "CapabilityStatement")
    return undefined;
  const types = new Map<string, StatedType>();
  for (const resource of valuesAt(body, ["rest", "resource"]).filter(isObject)) {
    const type = textAt(resource, "type") ?? "";
    if (!isResourceType(type)) continue;
    const known = searchParametersOf(type);
    const search = textsAt(resource, ["searchParam", "name"]).filter((code) => {
      const definition = known.get(code);
      return definition !== undefined && isSupported(definition);
    });
    types.set(type, {
      interactions: sorted(
        textsAt(resource, ["interaction", "code"]).filter((code) => interactions.has(code)),
      ),
      search: sorted(search),
    });
  }
  return types;
}

/** The FHIR bases by which an answer names its own server. */
export function basesIn({ body, location }: FhirReply): readonly string[] {
  const implementation = body && property(body, "implementation");
  const texts = [
    ...(isObject(implementation) ? [textAt(implementation, "url")] : []),
    ...(body === undefined
      ? []
      : [...textsAt(body, ["link", "url"]), ...textsAt(body, ["entry", "fullUrl"])]),
    location,
  ];
  return texts.flatMap((text) => {
    if (text === undefined || !/^https?:\/\//iu.test(text)) return [];
    // A resource's address ends in its type; a page's link may have no path below the base.
    const [path = ""] = text.split(/[?#]/u);
    const below = path.split("/").findIndex((part, at) => at > 2 && isResourceType(part));
    const base = below === -1 ? path : path.split("/").slice(0, below).join("/");
    return [base.replace(/\/+$/u, "")];
  });
}

const textsAt = (value: JsonObject, path: readonly string[]): readonly string[] =>
  valuesAt(value, path).filter((text): text is string => typeof text === "string");

export const sorted = (texts: Iterable<string>): readonly string[] => [...new Set(texts)].toSorted();
