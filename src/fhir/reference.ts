import { isResourceType, type ResourceType } from "./elements.ts";

/** What a FHIR reference or URL names (FHIR R4 §2.3.0.1). Compared by type and id, never by prefix. */
export type Reference =
  | { readonly kind: "local"; readonly type: ResourceType; readonly id: string }
  /** `#id`: inside the same resource; the empty id is the container itself. */
  | { readonly kind: "fragment"; readonly id: string }
  /** `urn:uuid:…`, `urn:oid:…`. */
  | { readonly kind: "urn" }
  /** An absolute URL elsewhere, or a text that is no reference of R4. */
  | { readonly kind: "foreign" };

const id = /^[A-Za-z0-9\-.]{1,64}$/u;
export const isId = (text: string): boolean => id.test(text);

const relative = /^(?<type>[A-Za-z]+)\/(?<id>[A-Za-z0-9\-.]{1,64})(?:\/_history\/[A-Za-z0-9\-.]{1,64})?$/u;

/** Reads a reference that was found below the FHIR base given (no trailing slash). */
export function parseReference(text: string, base: string): Reference {
  if (text.startsWith("#")) return { kind: "fragment", id: text.slice(1) };
  if (text.startsWith("urn:")) return { kind: "urn" };
  const below = text.startsWith(`${base}/`) ? text.slice(base.length + 1) : text;
  const { type = "", id = "" } = relative.exec(below)?.groups ?? {};
  // A version is the same resource: `Patient/1/_history/2` names Patient 1.
  return isResourceType(type) ? { kind: "local", type, id } : { kind: "foreign" };
}
