import { readCompactJws } from "#identity/jose/compact-jws";
import type { TrustedIssuer } from "#identity/issuer";
import type { KeySets } from "#identity/ports";
import { readSignIn, type SignInVerifier } from "#identity/sign-in";
import { err, ok } from "#kernel/result";
import { proveAccessToken } from "./prove-access-token.ts";

/**
 * Proves operators' access tokens by the keys of the registry's external issuers, as the gateway does for
 * clients' tokens. Tokens of the built-in issuer are refused: no person signs in there.
 * @param audience the operators' worker, by its configured name: a token for a FHIR base is refused here.
 */
export function signInVerifier({
  audience,
  issuers,
  keySets,
}: {
  readonly audience: string;
  readonly issuers: {
    find(iss: string): Promise<Pick<TrustedIssuer, "iss" | "keys" | "jwksUri" | "algorithms"> | undefined>;
  };
  readonly keySets: KeySets;
}): SignInVerifier {
  return {
    async verify(token, issuer, at) {
      const text = token.reveal();
      const jws = readCompactJws(text);
      if (!jws.ok) return jws;
      const trusted = jws.value.claims["iss"] === issuer ? await issuers.find(issuer) : undefined;
      if (trusted === undefined) return err({ reason: "issuer_unknown" });
      const proven = await proveAccessToken(text, jws.value.header, trusted, keySets);
      if (!proven.ok) return proven;
      const read = readSignIn(jws.value.claims, { issuer, audience, at });
      return read.ok ? ok({ ...read.value, keyId: proven.value.kid }) : read;
    },
  };
}
