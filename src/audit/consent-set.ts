import { createHash } from "node:crypto";

/** A version of a Consent: the pseudonym of the resource, and the digest of its compiled form. */
export interface ConsentVersion {
  readonly consent: string;
  readonly digest: string;
}

/**
 * The digest of a set of Consents in the record of a request: the sum (XOR) of a hash of each version and the id of
 * the request. So a reader who knows the versions on file finds out which of them are in the set, also in a set of
 * many patients, and two records do not show that their sets are equal.
 *
 * @returns 64 hex digits; undefined for the empty set.
 */
export function consentSetDigest(requestId: string, versions: readonly ConsentVersion[]): string | undefined {
  if (versions.length === 0) return undefined;
  return hex(versions.map((version) => termOf(requestId, version)).reduce((sum, term) => sum ^ term));
}

/**
 * The subset of these versions that a digest stands for; undefined: it is of none of them (a set with a further
 * version, or the random value of a request in which no Consent let anything through). More than 200 versions leave
 * too little room for proof: throws RangeError.
 */
export function consentsInSet<Version extends ConsentVersion>(
  requestId: string,
  digest: string,
  versions: readonly Version[],
): readonly Version[] | undefined {
  if (versions.length > consentSetMax) throw new RangeError("too many versions for a digest of 256 bits");
  // Gaussian elimination over GF(2): each basis vector remembers the versions whose sum it is.
  const basis = new Map<number, { readonly vector: bigint; readonly of: bigint }>();
  const reduced = (start: bigint, startOf: bigint) => {
    let [vector, of] = [start, startOf];
    for (let top = topBit(vector); top >= 0; top = topBit(vector)) {
      const known = basis.get(top);
      if (known === undefined) return { vector, of, top };
      vector ^= known.vector;
      of ^= known.of;
    }
    return { vector, of, top: -1 };
  };
  for (const [index, version] of versions.entries()) {
    const { vector, of, top } = reduced(termOf(requestId, version), 1n << BigInt(index));
    if (top >= 0) basis.set(top, { vector, of });
  }
  const { vector, of } = reduced(BigInt(`0x${digest}`), 0n);
  if (vector !== 0n) return undefined;
  return versions.filter((_version, index) => ((of >> BigInt(index)) & 1n) === 1n);
}

// A random digest is a sum of n versions with the probability 2^(n - 256).
export const consentSetMax = 200;

function termOf(requestId: string, { consent, digest }: ConsentVersion): bigint {
  const text = `phylax consent set v1\n${requestId}\n${consent}\n${digest}`;
  return BigInt(`0x${createHash("sha256").update(text).digest("hex")}`);
}

const topBit = (value: bigint): number => (value === 0n ? -1 : value.toString(2).length - 1);
const hex = (value: bigint): string => value.toString(16).padStart(64, "0");
