import type { Tree } from "./tree.ts";

/** What runs side by side: the earlier commit in two processes, so that their difference is known, and this tree. */
export const versions = ["old", "again", "new"] as const;
export type VersionName = (typeof versions)[number];

export interface Version {
  readonly name: VersionName;
  readonly tree: Tree;
}

/** Calls once for each version, in an order that moves on by one from turn to turn. */
export async function inTurn(
  turn: number,
  measure: (name: VersionName) => Promise<number>,
): Promise<Readonly<Record<VersionName, number>>> {
  const costs = { old: 0, again: 0, new: 0 };
  for (let n = 0; n < versions.length; n++) {
    const name = versions[(turn + n) % versions.length] ?? "new";
    costs[name] = await measure(name);
  }
  return costs;
}
