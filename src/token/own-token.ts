import type { Binding } from "#identity/binding";
import type { ClientRecord } from "#identity/client";
import { readCompactJws } from "#identity/jose/compact-jws";
import { denialName, deniedCredential, type DeniedNames } from "#identity/denial";
import type { TokenVerifier } from "#identity/ports";
import { agreementOf } from "#identity/principal";
import type { Purpose } from "#identity/purpose";
import type { ProvenToken } from "#identity/token";
import type { Instant } from "#kernel/clock";
import type { Secret } from "#kernel/secret";

export interface OwnTokenPorts {
  /** The built-in issuer's name. */
  readonly publicUrl: string;
  readonly tokens: TokenVerifier;
  readonly fhirBase: (origin: string) => string;
}

/** An unexpired token of the built-in issuer, and its FHIR base. */
export interface OwnToken {
  readonly token: ProvenToken;
  /** This issuer makes no unbound tokens. */
  readonly binding: Binding;
  readonly audience: string;
}

/**
 * Reads a token of this issuer and of this client. Every further token is unknown here, and no further
 * issuer is asked about it. The resource server is this gateway alone, so no third party has a reason to ask
 * (RFC 7662 §4).
 */
export async function readOwnToken(
  text: Secret,
  client: ClientRecord,
  at: Instant,
  { publicUrl, tokens }: OwnTokenPorts,
): Promise<OwnToken | undefined> {
  const jws = readCompactJws(text.reveal());
  if (!jws.ok || jws.value.claims["iss"] !== publicUrl) return undefined;
  const audience = jws.value.claims["aud"]; // this issuer writes a single audience
  if (typeof audience !== "string") return undefined;
  const token = await tokens.verify(text, { audience, at });
  if (!token.ok || token.value.client !== client.id) return undefined;
  const { binding } = token.value;
  return binding.kind === "none" ? undefined : { token: token.value, binding, audience };
}

/**
 * The purposes for which the token is valid now: none when the token, or everything on which it rests, has
 * ended.
 */
export function purposesInForce(
  { token, binding, audience }: OwnToken,
  client: ClientRecord,
  denied: DeniedNames,
  at: Instant,
  { publicUrl, fhirBase }: OwnTokenPorts,
): readonly Purpose[] {
  const { keyId, id } = token;
  if (binding.kind !== client.tokensBoundTo) return [];
  const credentials = {
    client: client.id,
    certificate: binding.kind === "certificate" ? binding.x5t : undefined,
    proof: binding.kind === "key" ? binding : undefined,
    keyId,
    issuer: publicUrl,
  };
  if (deniedCredential(denied, credentials) !== undefined) return [];
  if (denied.has(denialName({ kind: "token", issuer: publicUrl, id }))) return [];
  const there = client.grants.filter(
    ({ origin, purpose }) => fhirBase(origin) === audience && token.purposes.includes(purpose),
  );
  const inForce = there.filter((grant) => {
    const { origin, purpose, policyDigest } = grant;
    const agreement = agreementOf(client, grant, at);
    return (
      agreement.ok &&
      !denied.has(denialName({ kind: "agreement", client: client.id, agreement: agreement.value })) &&
      !denied.has(denialName({ kind: "grant", client: client.id, origin, purpose })) &&
      !denied.has(denialName({ kind: "policy", digest: policyDigest }))
    );
  });
  return inForce.map(({ purpose }) => purpose);
}
