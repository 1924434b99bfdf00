import { createHmac } from "node:crypto";
import { readCompactJws } from "#identity/jose/compact-jws";
import {
  proofAlgorithms,
  readDpopProof,
  readProofKey,
  type ProofRefusal,
  type ProofVerifier,
} from "#identity/proof";
import { freshNonce, isFreshNonce, type Mac } from "#identity/proof-nonce";
import { equalInConstantTime } from "#kernel/constant-time";
import { thumbprint } from "#identity/jose/thumbprint";
import { err, ok } from "#kernel/result";
import type { KeyList } from "#kernel/key-list";
import { proveSignature } from "./verify-signature.ts";

/**
 * Proves DPoP proofs (RFC 9449 §4.3) with its own nonces. The keys are equal in every location: the first makes
 * nonces, and a nonce of any key counts.
 */
export function proofVerifier(nonceKeys: KeyList): ProofVerifier {
  const macs = nonceKeys.map(
    (key): Mac =>
      (text) =>
        createHmac("sha256", key.reveal()).update(text).digest("base64url"),
  );
  const mac: Mac = (text) => createHmac("sha256", nonceKeys[0].reveal()).update(text).digest("base64url");
  return {
    nonce: (jkt, at) => freshNonce(mac, jkt, at),
    async verify(proof, expected) {
      if (proof === undefined) return err({ reason: "proof_missing" });
      const text = proof.reveal();
      const jws = readCompactJws(text); // two headers arrive joined by a comma, which no JWS contains
      if (!jws.ok) return err({ reason: "proof_malformed" });
      const key = readProofKey(jws.value.header);
      if (!key.ok) return key;

      // Checked before the signature: a caller without a token for a key causes no verification.
      const jkt = await thumbprint(key.value);
      if (expected.token !== undefined && !equalInConstantTime(jkt, expected.token.jkt))
        return err({ reason: "proof_key_mismatch" });
      // The header's key is the only key; a `kid` next to it chooses nothing.
      const signed = await proveSignature(
        text,
        { ...jws.value.header, kid: undefined },
        [key.value],
        proofAlgorithms,
      );
      if (!signed.ok) return err({ reason: signatureReasons[signed.error.reason] });

      const claims = await readDpopProof(jws.value.claims, expected);
      if (!claims.ok) return claims;
      const { id, made, nonce } = claims.value;
      if (nonce === undefined)
        return err({ reason: "proof_nonce_missing", nonce: freshNonce(mac, jkt, expected.at) });
      if (!macs.some((each) => isFreshNonce(each, nonce, jkt, expected.at)))
        return err({ reason: "proof_nonce_expired", nonce: freshNonce(mac, jkt, expected.at) });
      return ok({ jkt, id, made });
    },
  };
}

/**
 * A proof's findings have their own names: the caller's answer depends on which of token and proof failed.
 */
const signatureReasons = {
  jws_malformed: "proof_malformed",
  algorithm_not_allowed: "proof_algorithm_not_allowed",
  critical_header_not_supported: "proof_critical_header_not_supported",
  key_unknown: "proof_key_unusable", // the key's type does not fit the algorithm
  signature_invalid: "proof_signature_invalid",
} as const satisfies Record<string, ProofRefusal["reason"]>;
