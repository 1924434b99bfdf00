import { text, type Value } from "../values.ts";

/** What a reference points at: `Patient/1` for one of this server's resources, else the URL as written; without a version. */
export function targetOf({ value }: Value, base: string): string | undefined {
  const reference = typeof value === "string" ? value : text(value, "reference");
  if (reference === undefined) return undefined;
  return local(reference, base).replace(/\/_history\/[^/]*$/u, "");
}

export const local = (url: string, base: string): string =>
  url.startsWith(`${base}/`) ? url.slice(base.length + 1) : url;

/** `Type/id`, in its two parts; undefined for anything else. */
export function localParts(target: string): { readonly type: string; readonly id: string } | undefined {
  const { type, id } = /^(?<type>[A-Z][A-Za-z]*)\/(?<id>[A-Za-z0-9.-]{1,64})$/u.exec(target)?.groups ?? {};
  return type === undefined || id === undefined ? undefined : { type, id };
}
