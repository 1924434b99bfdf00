import { assertionRules, isAssertionType, readAssertion } from "#identity/assertion";
import type { AssertionVerifier } from "#identity/ports";
import { err } from "#kernel/result";
import { verifySignature } from "./verify-signature.ts";

/** Proves `private_key_jwt` assertions (RFC 7523, OpenID Connect Core §9) by the client's registered keys and its profile. */
export function assertionVerifier(server: { readonly issuer: string; readonly tokenEndpoint: string }): AssertionVerifier {
  return {
    async verify(assertion, client, at) {
      const jws = await verifySignature(assertion.reveal(), client.keys, assertionRules[client.assertionProfile].algorithms);
      if (!jws.ok) return jws;
      if (!isAssertionType(jws.value.header["typ"])) return err({ reason: "assertion_type_wrong" });
      return readAssertion(jws.value.claims, { ...server, client: client.id, profile: client.assertionProfile, at });
    },
  };
}
