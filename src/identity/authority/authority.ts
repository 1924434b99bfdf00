import type { Certificate } from "#identity/certificate/certificate";
import { instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { ClientRecord } from "#identity/client";
import type { IssuerStanding } from "./issuer-standing.ts";
import { identify, type Principal, type PrincipalRefusal } from "#identity/principal";
import type { Purpose } from "#identity/purpose";
import type { ProvenToken } from "#identity/token";

/**
 * The evidence by which a caller was proven: the claims of the token and the facts of the certificate, never the token
 * itself. The evidence proves nothing about the registry, which is asked at each use.
 */
export interface StoredEvidence {
  readonly token: ProvenToken;
  readonly certificate: Certificate | undefined;
  /** The end of the certificate: a registered thumbprint states no end. */
  readonly certificateEnds: Instant | undefined;
  /** The digest of the issuer's entry (`IssuerStanding`). */
  readonly issuerEntry: string;
  readonly origin: string;
  readonly purpose: Purpose;
}

/** The caller of a request, as it was proven. */
export interface ProvenCaller extends Pick<StoredEvidence, "token" | "certificate" | "certificateEnds"> {
  readonly who: Principal;
}

/**
 * A stored authority (ADR 138), under which a job acts after the token of its caller has ended. Denials name an
 * authority as they name a grant.
 */
export interface StoredAuthority {
  /** 32 lower-case hex digits, random. */
  readonly id: string;
  readonly ends: Instant;
  readonly evidence: StoredEvidence;
}

/**
 * `authority_needs_caller`: the grant or the token demands a proof that a live caller alone shows. `issuer_unknown`: the
 * issuer's entry differs from the entry by which the token was proven. `key_unknown`: the issuer has withdrawn the token's key.
 */
export type AuthorityRefusal = {
  readonly reason: "authority_needs_caller" | "authority_ended" | "issuer_unknown" | "key_unknown";
};

/** The longest life of an authority: 90 days. */
export const authorityMillisecondsMax = 90 * 86_400_000;

/**
 * The evidence of a proven caller, to be stored. A break-glass purpose, an unbound token, a token of a key without `kid`
 * (an opaque token, for example), a certificate without an end, and a grant with signed requests or answers need the
 * caller at each request.
 *
 * @param issuer what is known of the token's issuer now.
 */
export function storableEvidence(
  { who, token, certificate, certificateEnds }: ProvenCaller,
  issuer: IssuerStanding | undefined,
): Result<StoredEvidence, AuthorityRefusal> {
  const { signedRequests, signedResponses, origin } = who.grant;
  if (who.emergency !== undefined || who.unbound || signedRequests || signedResponses)
    return err({ reason: "authority_needs_caller" });
  if (token.keyId === undefined || (certificate !== undefined && certificateEnds === undefined))
    return err({ reason: "authority_needs_caller" });
  if (issuer === undefined) return err({ reason: "issuer_unknown" });
  if (!issuer.keyIds.has(token.keyId)) return err({ reason: "key_unknown" });
  const { digest: issuerEntry } = issuer;
  return ok({ token, certificate, certificateEnds, issuerEntry, origin, purpose: who.purpose });
}

/** The end of an authority: as asked for, at most 90 days away, and not behind the end of the certificate that made it. */
export const endOfAuthority = (at: Instant, asked: Instant, certificateEnds: Instant | undefined): Instant =>
  instant(Math.min(asked, at + authorityMillisecondsMax, certificateEnds ?? Infinity));

/**
 * The principal of a use: the stored evidence, judged by the registry as it is now. `use`: an id of this use, in
 * place of a proof of the key, which was proven when the authority was made.
 *
 * @param client the registry's record of the token's client now.
 * @param issuer what is known of the token's issuer now.
 */
export function identifyStored(
  { id, ends, evidence }: StoredAuthority,
  use: string,
  {
    client,
    issuer,
  }: { readonly client: ClientRecord | undefined; readonly issuer: IssuerStanding | undefined },
  at: Instant,
): Result<Principal, PrincipalRefusal | AuthorityRefusal> {
  const { token, certificate, certificateEnds, issuerEntry, origin, purpose } = evidence;
  if (at >= ends || at >= (certificateEnds ?? Infinity)) return err({ reason: "authority_ended" });
  if (issuer?.digest !== issuerEntry) return err({ reason: "issuer_unknown" });
  const { binding } = token;
  const proof = binding.kind === "key" ? { jkt: binding.jkt, id: use, made: at } : undefined;
  const lasting = { ...token, expires: ends };
  const who = identify({ token: lasting, certificate, proof, client, origin, purpose, at });
  if (!who.ok) return who;
  // The grant may demand more today than when the authority was made.
  const storable = storableEvidence({ ...evidence, who: who.value }, issuer);
  return storable.ok ? ok({ ...who.value, authority: id }) : storable;
}

/** Evidence in its form at rest, as JSON. The certificate's bytes are base64. */
export const evidenceText = (evidence: StoredEvidence): string =>
  JSON.stringify({ version: evidenceVersion, ...evidence }, (_name, value: unknown) =>
    value instanceof Uint8Array ? { base64: Buffer.from(value).toString("base64") } : value,
  );

/** Reads what {@link evidenceText} wrote. Undefined: another version wrote it, and the authority ends. */
export function readEvidence(text: string): StoredEvidence | undefined {
  const { version, ...evidence }: StoredEvidence & { readonly version: unknown } = JSON.parse(
    text,
    (_name, value: unknown) =>
      isBytes(value) ? Uint8Array.from(Buffer.from(value.base64, "base64")) : value,
  ); // it was sealed as it is read
  return version === evidenceVersion ? evidence : undefined;
}

const evidenceVersion = 1;

const isBytes = (value: unknown): value is { readonly base64: string } =>
  typeof value === "object" && value !== null && "base64" in value && typeof value.base64 === "string";
