import { createHash } from "node:crypto";
import type { Certificate } from "#identity/certificate/certificate";
import { instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { ClientRecord } from "./client.ts";
import { identify, type Principal, type PrincipalRefusal } from "./principal.ts";
import type { Purpose } from "./purpose.ts";
import type { ProvenToken } from "./token.ts";

/**
 * The evidence by which a caller was proven: the claims of its token and the facts of its certificate, never the token
 * itself. It proves nothing about the registry, which is asked at each use.
 */
export interface StoredEvidence {
  readonly token: ProvenToken;
  readonly certificate: Certificate | undefined;
  readonly origin: string;
  readonly purpose: Purpose;
}

/**
 * A stored authority (ADR 138): a job acts under it after the token of its caller has ended. It is a name of denials,
 * as a grant is.
 */
export interface StoredAuthority {
  /** 32 lower-case hex digits, random. */
  readonly id: string;
  readonly ends: Instant;
  readonly evidence: StoredEvidence;
}

/** `authority_needs_caller`: what such a grant or token demands, only a live caller shows. */
export type AuthorityRefusal = { readonly reason: "authority_needs_caller" | "authority_ended" };

/** The longest life of an authority: 90 days. */
export const authorityMillisecondsMax = 90 * 86_400_000;

/**
 * The evidence of a proven caller, to be stored. A break-glass purpose, an unbound token and a grant with signed
 * requests or answers need the caller at each request.
 */
export function storableEvidence(
  who: Principal,
  token: ProvenToken,
  certificate: Certificate | undefined,
): Result<StoredEvidence, AuthorityRefusal> {
  const { signedRequests, signedResponses, origin } = who.grant;
  if (who.emergency !== undefined || who.unbound || signedRequests || signedResponses)
    return err({ reason: "authority_needs_caller" });
  return ok({ token, certificate, origin, purpose: who.purpose });
}

/** The end of an authority: as asked for, at most 90 days away, and not behind the end of the certificate that made it. */
export const endOfAuthority = (at: Instant, asked: Instant, certificateEnds: Instant | undefined): Instant =>
  instant(Math.min(asked, at + authorityMillisecondsMax, certificateEnds ?? Infinity));

/**
 * The principal of a use: the stored evidence, judged by the registry as it is now. `use`: an id of this use; of a key
 * it stands for the proof, since the key was proven when the authority was made.
 *
 * @param client the registry's record of the token's client now.
 */
export function identifyStored(
  { id, ends, evidence }: StoredAuthority,
  use: string,
  client: ClientRecord | undefined,
  at: Instant,
): Result<Principal, PrincipalRefusal | AuthorityRefusal> {
  if (at >= ends) return err({ reason: "authority_ended" });
  const { token, certificate, origin, purpose } = evidence;
  const { binding } = token;
  const proof = binding.kind === "key" ? { jkt: binding.jkt, id: use, made: at } : undefined;
  const lasting = { ...token, expires: ends };
  const who = identify({ token: lasting, certificate, proof, client, origin, purpose, at });
  if (!who.ok) return who;
  // The grant may demand more today than when the authority was made.
  const storable = storableEvidence(who.value, token, certificate);
  return storable.ok ? ok({ ...who.value, authority: id }) : storable;
}

/**
 * The event id of a step under an authority: the same each time that a job does the step, so that the ledger records a
 * repeat after a crash once.
 */
export const authorityStepId = (authority: string, step: string): string =>
  createHash("sha256").update(`phylax authority step v1\n${authority}\n${step}`).digest("hex").slice(0, 32);

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
