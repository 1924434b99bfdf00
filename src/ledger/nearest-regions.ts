import type { Region } from "#kernel/region";
import type { RegionShards } from "./layout.ts";

/** The circumstances of a record that decide its region. */
interface Circumstances {
  readonly kind: "key" | "client" | "address";
  readonly home?: Region | undefined;
  readonly continent?: string | undefined;
}

/** Regions on a continent, by the codes of `cf.continent`; then regions nearby, the nearest group first. */
const byContinent: Readonly<Record<string, readonly (readonly Region[])[]>> = {
  AF: [["afr"], ["me"], ["weur", "eeur"], ["enam"]],
  AN: [["oc"], ["sam"], ["afr"]],
  AS: [["apac", "apac-ne", "apac-se"], ["me"], ["oc"], ["eeur"], ["weur"], ["wnam"]],
  EU: [["weur", "eeur"], ["me"], ["afr"], ["enam"]],
  NA: [["enam", "wnam"], ["sam"], ["weur"]],
  OC: [["oc"], ["apac-se"], ["apac", "apac-ne"], ["wnam"]],
  SA: [["sam"], ["enam"], ["wnam"], ["weur"]],
};

/** `cf.continent` of the countries in the region `me` is Asia or Africa. */
const onContinentToo: Readonly<Record<string, readonly Region[]>> = { AF: ["me"], AS: ["me"] };

/**
 * The regions whose logs a record may go to. A key stays in its client's home region, wherever it sends from.
 * A different sender gets the region of its continent: the client's home region if that is there, otherwise
 * all regions there, so that their load is even. Empty: no configured region is nearer than any other.
 */
export function nearestRegions(
  regions: readonly RegionShards[],
  { kind, home, continent }: Circumstances,
): readonly RegionShards[] {
  const atHome = regions.filter(({ region }) => region === home);
  if (kind === "key") return atHome;
  const groups = Object.hasOwn(byContinent, continent ?? "") ? byContinent[continent ?? ""] : undefined;
  if (groups === undefined) return atHome; // an unknown place, such as Tor (T1)
  const here = [...(groups[0] ?? []), ...(onContinentToo[continent ?? ""] ?? [])];
  if (atHome.length > 0 && here.some((region) => region === home)) return atHome;
  for (const group of groups) {
    const found = regions.filter(({ region }) => group.includes(region));
    if (found.length > 0) return found;
  }
  return atHome;
}
