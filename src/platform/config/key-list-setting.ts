import { type KeyList, readKeyList } from "#kernel/key-list";
import { ConfigError } from "./config-error.ts";

/** Reads `NEW OLD …`: docs/keys.md. */
export function keyList(key: string, text: string): KeyList {
  const keys = readKeyList(text);
  if (keys === undefined) throw new ConfigError(key, "32 random bytes in base64url");
  return keys;
}
