import { existsSync } from "node:fs";
import { join } from "node:path";
import { posterOptions } from "../connection/operator-post.ts";

/**
 * The files of public keys for a command that asks the operators' API of a state folder and reads a ledger. With
 * `--state` alone both are of this folder: the ledger of one deployment beside the registry of another would pass for
 * a whole.
 */
export function keyFilesOf({
  key,
  keys,
  state,
}: {
  readonly key: readonly string[];
  readonly keys: readonly string[];
  readonly state: string;
}): readonly string[] {
  const own = join(state, "dev.json");
  const isNamed = keys.length + key.length > 0 || state === posterOptions.state.default;
  return isNamed || !existsSync(own) ? keys : [own];
}
