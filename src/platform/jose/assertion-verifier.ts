import { assertionRules, isAssertionType, readAssertion } from "#identity/assertion";
import { readCompactJws } from "#identity/compact-jws";
import type { AssertionVerifier } from "#identity/ports";
import { err, ok } from "#kernel/result";
import { proveSignature } from "./verify-signature.ts";

/** Proves `private_key_jwt` assertions (RFC 7523, OpenID Connect Core §9) by the client's registered keys and its profile. */
export function assertionVerifier(server: { readonly issuer: string; readonly tokenEndpoint: string }): AssertionVerifier {
  return {
    async verify(assertion, client, at) {
      const text = assertion.reveal();
      const jws = readCompactJws(text);
      if (!jws.ok) return jws;
      const proven = await proveSignature(text, jws.value.header, client.keys, assertionRules[client.assertionProfile].algorithms);
      if (!proven.ok) return proven;
      if (!isAssertionType(jws.value.header["typ"])) return err({ reason: "assertion_type_wrong" });
      const read = readAssertion(jws.value.claims, { ...server, client: client.id, profile: client.assertionProfile, at });
      return read.ok ? ok({ ...read.value, keyId: proven.value.kid }) : read;
    },
  };
}
