import { serializeInnerList } from "structured-headers";
import type { PublicJwk } from "#identity/jose/jwk";
import type { KeySets } from "#identity/ports";
import {
  mustCover,
  readSignatureInput,
  requestAlgorithm,
  signatureBase,
  type RequestSignatures,
  type RequestSigner,
} from "#identity/request-signature";
import { err, ok } from "#kernel/result";
import { chooseSignature } from "./chosen-signature.ts";
import { isDigestOf } from "./content-digest.ts";
import { signedBytes } from "./signed-bytes.ts";

/**
 * Proves request signatures by the client's own keys. Fields are read by RFC 9651; `identity` builds and
 * judges the base.
 */
export function requestSignatures(keySets: KeySets): RequestSignatures {
  return {
    async verify(request, signer, at) {
      const chosen = chooseSignature(request.headers);
      if (!chosen.ok) return chosen;
      const { input, parts, signature } = chosen.value;
      const read = readSignatureInput(
        { parts, parameters: input[1] },
        { covers: mustCover({ headers: request.headers, hasBody: request.body.length > 0 }), at },
      );
      if (!read.ok) return read;
      const base = signatureBase(parts, serializeInnerList(input), request);
      if (!base.ok) return base;
      const digest = request.headers.get("content-digest") ?? "";
      if (parts.includes("content-digest") && !(await isDigestOf(digest, request.body)))
        return err({ reason: "content_digest_mismatch" });

      const { kid, alg } = read.value;
      const candidates = await keysOf(signer, kid, keySets);
      if (candidates.length === 0) return err({ reason: "request_signature_key_unknown" });
      // RFC 9421 §3.2: the key decides. The signature's `alg` may agree with the key, but chooses nothing.
      const able = candidates.flatMap((key) => {
        const form = requestAlgorithm(key);
        return form === undefined || (alg !== undefined && alg !== form.name)
          ? []
          : [{ key, algorithm: form.algorithm }];
      });
      if (able.length === 0) return err({ reason: "request_signature_algorithm_mismatch" });
      const bytes = new Uint8Array(Buffer.from(base.value));
      for (const { key, algorithm } of able)
        if (await signedBytes(bytes, signature, key, algorithm)) return ok(kid);
      return err({ reason: "request_signature_invalid" });
    },
  };
}

/** Keys by name; a name that is missing from the fetched keys may be new. */
async function keysOf(
  { keys, jwksUri }: RequestSigner,
  kid: string,
  keySets: KeySets,
): Promise<readonly PublicJwk[]> {
  const named = (set: readonly PublicJwk[]) => set.filter((key) => key.kid === kid);
  if (jwksUri === undefined) return named(keys);
  const known = named(await keySets.at(jwksUri));
  return known.length > 0 ? known : named(await keySets.anew(jwksUri));
}
