import { impliedSystems } from "#fhir/r4/implied-systems";
import type { SearchValue } from "./value.ts";

/** The code systems of the plain codes at the paths of a parameter. Undefined: R4 does not define one of them. */
export function systemsOfCodes(
  type: string,
  paths: readonly (readonly string[])[] = [],
): ReadonlySet<string> | undefined {
  const all = new Set<string>();
  for (const path of paths) {
    const implied = impliedSystems(type, path);
    if (implied === undefined) return undefined;
    for (const system of implied) all.add(system);
  }
  return all;
}

/**
 * Answers whether a token finds a plain code or a boolean. No row states its system, so a stated system is compared
 * with the systems that R4 defines for the element, and excludes nothing where R4 defines none.
 */
export const isPlainToken = (
  found: string | boolean,
  { system, code }: Pick<Extract<SearchValue, { kind: "token" }>, "system" | "code">,
  systems: ReadonlySet<string> | undefined,
): boolean =>
  (!system || systems === undefined || systems.has(system)) && (code === "" || String(found) === code);
