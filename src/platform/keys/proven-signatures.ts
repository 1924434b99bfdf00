import { createHash } from "node:crypto";
import { publicKeyName } from "./public-key.ts";
import type { SignatureCheck } from "./verify-signature.ts";

// Tokens in use at one time in an isolate. As hashes they are half a megabyte at most, and no token is kept.
const provenMax = 4_096;

/**
 * Checks each signature once, for texts that come again and again: access tokens. Only that a text was signed with a key is remembered,
 * which no later event makes untrue. Whether that key still is its issuer's, and whether the token is still valid, meant for this place
 * and not denied, is nothing of it and has to be asked each time. A failure is not remembered: it would cost whoever guesses nothing.
 */
export function provenSignatures(isSigned: SignatureCheck): SignatureCheck {
  const proven = new Set<string>(); // oldest first
  return async (text, key, algorithm) => {
    // Neither part has a line break in it, so no two pairs have one name.
    const name = createHash("sha256")
      .update(`${publicKeyName(key, algorithm)}\n${text}`)
      .digest("base64url");
    if (proven.has(name)) return true;
    if (!(await isSigned(text, key, algorithm))) return false;
    if (proven.size >= provenMax) proven.delete(proven.values().next().value ?? "");
    proven.add(name);
    return true;
  };
}
