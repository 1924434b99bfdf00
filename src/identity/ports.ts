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
  /** `audience`: the requested FHIR base. */
  verify(token: Secret, expected: TokenCircumstances): Promise<Result<ProvenToken, AccessTokenRefusal>>;
}

interface TokenCircumstances {
  readonly audience: string;
  readonly at: Instant;
  /** The certificate of the connection: it finds the issuers that may know an opaque token. */
  readonly certificate?: Certificate | undefined;
}

/** The claims that the built-in issuer puts into a token. */
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
  /** The keys that verifiers may know: never a private part. */
  publicKeys(): Promise<readonly PublicJwk[]>;
}

/**
 * Proves a client assertion, except that it is the first with its `jti`. Never throws for a bad assertion.
 */
export interface AssertionVerifier {
  verify(
    assertion: Secret,
    client: ClientRecord,
    at: Instant,
  ): Promise<Result<ProvenAssertion, AssertionRefusal>>;
}

/** A client as its guard is found: by its id, in its home region. */
export type GuardedClient = Pick<ClientRecord, "id" | "home">;

/** Knows the current denials. */
export interface DenialList {
  /**
   * Names of all denials that concern a client with tokens or keys of this issuer, at most ten seconds old.
   * Throws when they are unavailable.
   */
  of(client: GuardedClient, issuer: string): Promise<DeniedNames>;
}

/** Remembers used assertions. */
export interface AssertionMemory {
  /**
   * True exactly once for a client and an assertion's id, however many callers ask at once. Throws when the
   * answer is unavailable.
   */
  first(client: GuardedClient, assertion: Assertion): Promise<boolean>;
}

/**
 * The registry's clients, at most ten seconds old. Throws when the registry cannot be read for longer than
 * that.
 */
export interface ClientDirectory {
  find(id: string): Promise<ClientRecord | undefined>;
  /**
   * Finds a client by an external issuer's name for it: never a client of a different issuer, and never a
   * client of the built-in issuer.
   */
  findExternal(name: ExternalName): Promise<ClientRecord | undefined>;
}

/** Public keys at URLs of their owners. */
export interface KeySets {
  /**
   * The keys there, at most an hour old. If `uri` is a metadata URL (identity/issuer-metadata), the keys
   * that the metadata lead to, but only if the metadata are about `iss`. Throws when no keys are available.
   */
  at(uri: string, iss?: string): Promise<readonly PublicJwk[]>;
  /**
   * As `at`, but fetched again unless they were fetched within the last half-minute: for a signature that
   * no known key made.
   */
  anew(uri: string, iss?: string): Promise<readonly PublicJwk[]>;
}

/**
 * The registry's external issuers, at most ten seconds old. Throws when the registry cannot be read for
 * longer than that.
 */
export interface IssuerDirectory {
  find(iss: string): Promise<TrustedIssuer | undefined>;
}

/**
 * Knows the holders of each certificate, at most ten seconds old. Throws when the registry cannot be read
 * for longer than that.
 */
export interface CertificateHolders {
  /** The external issuers with a client that has registered exactly this certificate (`x5t#S256`). */
  issuersOf(x5t: string): Promise<readonly string[]>;
}
