import type { Instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import type { Secret } from "#kernel/secret";
import type { Assertion, AssertionRefusal, ProvenAssertion } from "./assertion.ts";
import type { Binding } from "./binding.ts";
import type { Certificate } from "#identity/certificate/certificate";
import type { ClientRecord, ExternalName } from "./client.ts";
import type { TrustedIssuer } from "./issuer.ts";
import type { DeniedNames } from "./denial.ts";
import type { PublicJwk } from "#identity/jose/jwk";
import type { Purpose } from "./purpose.ts";
import type { Scopes } from "./scopes.ts";
import type { ProvenToken, AccessTokenRefusal } from "./token.ts";

/** Proves an access token. Never throws for a bad token: a bad token is an answer. */
export interface TokenVerifier {
  /** `audience`: the FHIR base that is being asked. */
  verify(token: Secret, expected: TokenCircumstances): Promise<Result<ProvenToken, AccessTokenRefusal>>;
}

interface TokenCircumstances {
  readonly audience: string;
  readonly at: Instant;
  /** That of the connection: it tells who may know a token that says nothing by itself. */
  readonly certificate?: Certificate | undefined;
}

/** What the built-in issuer is told to say in a token. */
interface TokenContent {
  readonly client: string;
  readonly audience: string;
  readonly scopes: Scopes;
  readonly purposes: readonly Purpose[];
  readonly binding: Binding;
  /** `jti`: 128 random bits in hex or base64url. */
  readonly id: string;
  readonly at: Instant;
}

/** Signs access tokens that live `lifetimeSeconds`. */
export interface TokenIssuer {
  readonly lifetimeSeconds: number;
  issue(content: TokenContent): Promise<Secret>;
  /** What verifiers may know: never a private part. */
  publicKeys(): Promise<readonly PublicJwk[]>;
}

/** Proves a client assertion but for its being the first of its `jti`. Never throws for a bad one. */
export interface AssertionVerifier {
  verify(
    assertion: Secret,
    client: ClientRecord,
    at: Instant,
  ): Promise<Result<ProvenAssertion, AssertionRefusal>>;
}

/** Knows what is denied beside the registry. */
export interface DenialList {
  /** Names of all that concerns a client that comes with tokens or keys of this issuer, not older than ten seconds. Throws when nobody says. */
  of(client: string, issuer: string): Promise<DeniedNames>;
}

/** Remembers what was used up. */
export interface AssertionMemory {
  /** True exactly once for a client and an assertion's id, however many ask at once. Throws when it cannot be known. */
  first(client: string, assertion: Assertion): Promise<boolean>;
}

/** The registry's clients, at most ten seconds old. Throws when it cannot be read for longer than that. */
export interface ClientDirectory {
  find(id: string): Promise<ClientRecord | undefined>;
  /** By the name that an external issuer has for it: never a client of another issuer, nor one of the built-in issuer. */
  findExternal(name: ExternalName): Promise<ClientRecord | undefined>;
}

/** Public keys at addresses of their owners' own. */
export interface KeySets {
  /**
   * The keys there, at most an hour old. Where `uri` is of metadata (identity/issuer-metadata): those to which these lead, if they are of
   * `iss` and nobody else's. Throws when there are none to be had.
   */
  at(uri: string, iss?: string): Promise<readonly PublicJwk[]>;
  /** The same, asked for again unless that was done half a minute ago: for a signature that none of the known keys made. */
  anew(uri: string, iss?: string): Promise<readonly PublicJwk[]>;
}

/** The registry's external issuers, at most ten seconds old. Throws when they cannot be read for longer than that. */
export interface IssuerDirectory {
  find(iss: string): Promise<TrustedIssuer | undefined>;
}

/** Knows who holds which certificate, at most ten seconds old. Throws when the registry cannot be read for longer than that. */
export interface CertificateHolders {
  /** The external issuers with a client that has registered this very certificate (`x5t#S256`). */
  issuersOf(x5t: string): Promise<readonly string[]>;
}

/** Policy documents by their digest, immutable. Throws when it cannot be read. */
export interface PolicyStore {
  /** The document as published, or `undefined` when there is none of this digest. */
  byDigest(digest: string): Promise<unknown>;
}
