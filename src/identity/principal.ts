import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { inForce, type AgreementRefusal } from "./agreement.ts";
import type { Certificate } from "./certificate.ts";
import { admitClient, type ClientGrant, type ClientRecord, type ClientRefusal } from "./client.ts";
import { choosePurpose, type Purpose, type PurposeRefusal } from "./purpose.ts";
import { sameText } from "./same-text.ts";
import { intersectScopes, type Scopes } from "./scopes.ts";
import type { AccessToken } from "./token.ts";

/** Who asks, why, and under which grant: all proven. */
export interface Principal {
  readonly client: ClientRecord;
  readonly purpose: Purpose;
  readonly grant: ClientGrant;
  /** Id of the agreement in force. */
  readonly agreement: string;
  /** Token ∩ grant as it stands now: a grant narrowed after the token was made narrows the token. */
  readonly scopes: Scopes;
  readonly issuer: string;
  readonly tokenId: string;
  readonly tokenExpires: Instant;
  /** `x5t#S256` of the certificate of this connection, the one that the token is bound to. */
  readonly certificate: string;
}

export type PrincipalRefusal =
  | ClientRefusal
  | AgreementRefusal
  | PurposeRefusal
  | { readonly reason: "certificate_missing" | "certificate_not_the_tokens" | "client_unknown" }
  | { readonly reason: "grant_missing"; readonly purpose: Purpose };

export interface Evidence {
  readonly token: AccessToken;
  readonly certificate: Certificate | undefined;
  /** The record of `token.client`. */
  readonly client: ClientRecord | undefined;
  readonly origin: string;
  /** `Phylax-Purpose`. */
  readonly purpose: string | undefined;
  readonly at: Instant;
}

/** Joins a proven token, a verified certificate and the registry into one answer to "who is asking?". */
export function identify({ token, certificate, client, origin, purpose, at }: Evidence): Result<Principal, PrincipalRefusal> {
  if (certificate === undefined) return err({ reason: "certificate_missing" });
  if (!sameText(token.x5t, certificate.x5t)) return err({ reason: "certificate_not_the_tokens" }); // RFC 8705 §3
  if (client === undefined || client.id !== token.client) return err({ reason: "client_unknown" });
  const admitted = admitClient(client, certificate, at);
  if (!admitted.ok) return admitted;

  const chosen = choosePurpose(purpose, token.purposes);
  if (!chosen.ok) return chosen;
  const grant = client.grants.find((each) => each.origin === origin && each.purpose === chosen.value);
  if (grant === undefined) return err({ reason: "grant_missing", purpose: chosen.value });
  const agreement = agreementOf(client, grant, at);
  if (!agreement.ok) return agreement;

  return ok({
    client,
    purpose: chosen.value,
    grant,
    agreement: agreement.value,
    scopes: intersectScopes(token.scopes, grant.scopes),
    issuer: token.issuer,
    tokenId: token.id,
    tokenExpires: token.expires,
    certificate: certificate.x5t,
  });
}

/** Id of the agreement of a grant, when it is in force for the grant's purpose. */
export function agreementOf(client: ClientRecord, grant: ClientGrant, at: Instant): Result<string, AgreementRefusal> {
  const agreement = client.agreements.find(({ id }) => id === grant.agreement);
  if (agreement === undefined) return err({ reason: "agreement_without_purpose", agreement: grant.agreement });
  const force = inForce(agreement, grant.purpose, at);
  return force.ok ? ok(agreement.id) : force;
}
