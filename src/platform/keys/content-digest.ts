import { parseDictionary, type Dictionary } from "structured-headers";

/** RFC 9530 §5: the algorithms that are not deprecated. */
const algorithms = [
  ["sha-256", "SHA-256"],
  ["sha-512", "SHA-512"],
] as const;

/**
 * True when `Content-Digest` (RFC 9530 §2) has a hash by one of these algorithms, and all such hashes are of
 * these bytes. Further algorithms are ignored.
 */
export async function isDigestOf(field: string, body: Uint8Array): Promise<boolean> {
  let digests: Dictionary;
  try {
    digests = parseDictionary(field);
  } catch {
    return false;
  }
  let compared = 0;
  for (const [name, hash] of algorithms) {
    const stated = digests.get(name)?.[0];
    if (stated === undefined) continue;
    if (!(stated instanceof ArrayBuffer)) return false;
    const actual = await crypto.subtle.digest(hash, new Uint8Array(body));
    if (!Buffer.from(actual).equals(Buffer.from(stated))) return false;
    compared += 1;
  }
  return compared > 0;
}
