import { Newest } from "#kernel/memo";
import { compilePolicy, type CompiledPolicy } from "#policy/compile";
import type { PolicyDocument } from "#policy/schema";

/** Policies ready for use, by the digest that a grant names. */
export interface CompiledPolicies {
  /**
   * `undefined`: no policy has that digest, or this version cannot read it. Either way nothing is granted.
   */
  byDigest(digest: string): Promise<CompiledPolicy | undefined>;
  /** True if {@link byDigest} needs no reading. */
  has(digest: string): boolean;
}

/** Checked policies by their digests: the part of each that this version grants. Throws when they cannot be read. */
interface GrantedPolicies {
  granted(digest: string): Promise<PolicyDocument | undefined>;
}

const policiesMax = 64; // a compiled policy is some hundred KB at most, and an isolate serves few at a time

/** Compiles each policy once per isolate: a document never changes under its digest. */
export function compiledPolicies(policies: GrantedPolicies): CompiledPolicies {
  const compiled = new Newest<CompiledPolicy>(policiesMax);
  return {
    has: (digest) => compiled.has(digest),
    async byDigest(digest) {
      const known = compiled.get(digest);
      if (known !== undefined) return known;
      const granted = await policies.granted(digest);
      if (granted === undefined) return undefined;
      const policy = compilePolicy(granted, digest);
      compiled.set(digest, policy);
      return policy;
    },
  };
}
