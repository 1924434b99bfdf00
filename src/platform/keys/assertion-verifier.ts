import { assertionRules, isAssertionType, readAssertion } from "#identity/assertion";
import { readCompactJws } from "#identity/jose/compact-jws";
import type { AssertionVerifier, KeySets } from "#identity/ports";
import { err, ok } from "#kernel/result";
import { proveByHolder } from "./prove-by-holder.ts";

/**
 * Proves `private_key_jwt` assertions (RFC 7523, OpenID Connect Core §9) by the client's registered keys and
 * its profile.
 */
export function assertionVerifier(
  server: { readonly issuer: string; readonly tokenEndpoint: string },
  keySets: KeySets,
): AssertionVerifier {
  return {
    async verify(assertion, client, at) {
      const text = assertion.reveal();
      const jws = readCompactJws(text);
      if (!jws.ok) return jws;
      const proven = await proveByHolder(
        text,
        jws.value.header,
        client,
        assertionRules[client.assertionProfile].algorithms,
        keySets,
      );
      if (!proven.ok) return proven;
      if (!isAssertionType(jws.value.header["typ"])) return err({ reason: "assertion_type_invalid" });
      const read = readAssertion(jws.value.claims, {
        ...server,
        client: client.id,
        profile: client.assertionProfile,
        at,
      });
      return read.ok ? ok({ ...read.value, keyId: proven.value.kid }) : read;
    },
  };
}
