import { text, type Value } from "../values.ts";

/**
 * The target of a reference: `Patient/1` for a resource of this server, otherwise the URL as written; without
 * a version.
 */
export function targetOf({ value }: Value, base: string): string | undefined {
  const reference = typeof value === "string" ? value : text(value, "reference");
  if (reference === undefined) return undefined;
  return local(reference, base).replace(/\/_history\/[^/]*$/u, "");
}

export const local = (url: string, base: string): string =>
  url.startsWith(`${base}/`) ? url.slice(base.length + 1) : url;

/** The two parts of `Type/id`; undefined for any other text. */
export function localParts(target: string): { readonly type: string; readonly id: string } | undefined {
  const { type, id } = /^(?<type>[A-Z][A-Za-z]*)\/(?<id>[A-Za-z0-9.-]{1,64})$/u.exec(target)?.groups ?? {};
  return type === undefined || id === undefined ? undefined : { type, id };
}
