import type { Tree } from "./tree.ts";

/** What runs side by side: the earlier commit in two processes, so that their difference is known, and this tree. */
export type VersionName = "old" | "again" | "new";

export interface Version {
  readonly name: VersionName;
  readonly tree: Tree;
  /** The part of the requests that is traced; absent: none. */
  readonly traced?: number;
}
