import { createHash } from "node:crypto";
import { plain } from "./bytes.ts";

/** SHA-256 over the joined parts: 32 bytes. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return plain(hash.digest());
}
