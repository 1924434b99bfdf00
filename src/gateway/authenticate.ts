import { readCertificate, type Certificate, type CertificateRefusal } from "#identity/certificate";
import type { ClientDirectory, TokenVerifier } from "#identity/ports";
import { identify, type Principal, type PrincipalRefusal } from "#identity/principal";
import type { TokenRefusal } from "#identity/token";
import { err, type Result } from "#kernel/result";
import type { Call } from "./admit.ts";

export type AuthenticateRefusal = { readonly reason: "token_missing" } | CertificateRefusal | TokenRefusal | PrincipalRefusal;

export interface AuthenticatePorts {
  readonly tokens: TokenVerifier;
  readonly clients: ClientDirectory;
  /** FHIR base of an origin: the audience that its tokens name. */
  readonly fhirBase: (origin: string) => string;
}

/** Certificate, token, the binding between the two, and the registry's word on the client: all must hold. `seen` hears of a verified certificate even when the rest fails. */
export async function authenticate(
  call: Call,
  ports: AuthenticatePorts,
  seen: (certificate: Certificate) => void,
): Promise<Result<Principal, AuthenticateRefusal>> {
  const certificate = await readCertificate(call.tlsClientAuth);
  if (!certificate.ok) return certificate;
  if (certificate.value !== undefined) seen(certificate.value);

  if (call.token === undefined) return err({ reason: "token_missing" });
  const token = await ports.tokens.verify(call.token, { audience: ports.fhirBase(call.origin), at: call.at });
  if (!token.ok) return token;

  const { issuedHere, issuer, client } = token.value;
  return identify({
    token: token.value,
    certificate: certificate.value,
    client: await (issuedHere ? ports.clients.find(client) : ports.clients.findExternal({ issuer, id: client })),
    origin: call.origin,
    purpose: call.purpose,
    at: call.at,
  });
}
