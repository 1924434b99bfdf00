import { impliedSystems } from "./implied-systems.ts";

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
