import { createHash } from "node:crypto";
import { Newest } from "#kernel/memo";
import { publicKeyName } from "./public-key.ts";
import type { SignatureCheck } from "./verify-signature.ts";

// Tokens in use at a time in an isolate. Their hashes take at most half a megabyte, and no token is stored.
const provenMax = 4_096;

/**
 * Checks each signature once, for texts that are presented repeatedly: access tokens. It remembers only that
 * a text was signed with a key, which no later event makes untrue. Each request must check again that the
 * key still belongs to its issuer, and that the token is valid, meant for this place and not denied. A
 * failure is not remembered: guesses would fill the memory without cost.
 */
export function provenSignatures(isSigned: SignatureCheck): SignatureCheck {
  const proven = new Newest<true>(provenMax);
  return async (text, key, algorithm) => {
    // Neither part has a line break in it, so two different pairs never share a name.
    const name = createHash("sha256")
      .update(`${publicKeyName(key, algorithm)}\n${text}`)
      .digest("base64url");
    if (proven.has(name)) return true;
    if (!(await isSigned(text, key, algorithm))) return false;
    proven.set(name, true);
    return true;
  };
}
