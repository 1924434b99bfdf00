import type { PolicyStore } from "#identity/ports";
import { compilePolicy, type CompiledPolicy } from "#policy/compile";
import { readPublishedPolicy } from "#policy/document";

/** Policies ready for use, by the digest that a grant names. */
export interface CompiledPolicies {
  /**
   * `undefined`: no policy has that digest, or this version cannot read it. Either way nothing is granted.
   */
  byDigest(digest: string): Promise<CompiledPolicy | undefined>;
  /** True if {@link byDigest} needs no reading. */
  has(digest: string): boolean;
}

const policiesMax = 64; // a compiled policy is some hundred KB at most, and an isolate serves few at a time

/** Compiles each policy once per isolate: a document never changes under its digest. */
export function compiledPolicies(store: PolicyStore): CompiledPolicies {
  const compiled = new Map<string, CompiledPolicy>();
  return {
    has: (digest) => compiled.has(digest),
    async byDigest(digest) {
      const known = compiled.get(digest);
      if (known !== undefined) return known;
      const published = await readPublishedPolicy(await store.byDigest(digest));
      // The document does not match its digest: it was changed in the store.
      if (!published.ok || published.value.digest !== digest) return undefined;
      const policy = compilePolicy(published.value.granted, digest);
      const [oldest] = compiled.keys();
      if (compiled.size >= policiesMax && oldest !== undefined) compiled.delete(oldest);
      compiled.set(digest, policy);
      return policy;
    },
  };
}
