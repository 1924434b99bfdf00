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

/** A token of the built-in issuer that is still in time, and the FHIR base that it is for. */
export interface OwnToken {
  readonly token: ProvenToken;
  /** This issuer makes no unbound ones. */
  readonly binding: Binding;
  readonly audience: string;
}

/**
 * Reads a token as this issuer's own and this client's own: what is anything else is nobody's business here, and is asked about nowhere.
 * Its resource server is this gateway alone, so no other party has a reason to ask about it (RFC 7662 §4).
 */
export async function readOwnToken(
  text: Secret,
  client: ClientRecord,
  at: Instant,
  { publicUrl, tokens }: OwnTokenPorts,
): Promise<OwnToken | undefined> {
  const jws = readCompactJws(text.reveal());
  if (!jws.ok || jws.value.claims["iss"] !== publicUrl) return undefined;
  const audience = jws.value.claims["aud"]; // this issuer writes one
  if (typeof audience !== "string") return undefined;
  const token = await tokens.verify(text, { audience, at });
  if (!token.ok || token.value.client !== client.id) return undefined;
  const { binding } = token.value;
  return binding.kind === "none" ? undefined : { token: token.value, binding, audience };
}

/** The purposes for which the token would open its FHIR base at this moment: none once it, or all that it rests on, is over. */
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
