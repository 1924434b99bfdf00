import type { SignInPlace } from "./sign-in-place.ts";

/**
 * Knows which issuers' tokens an origin accepts in addition to the built-in issuer's. At most ten seconds
 * old. Throws when the registry cannot be read for longer.
 */
export interface AuthorizationServers {
  /** An unknown origin has no external issuers. */
  of(origin: string): Promise<{
    /** The sign-in endpoints for SMART apps. */
    readonly signIn: SignInPlace | undefined;
    /** `iss` of each issuer that has an active client with a grant there. */
    readonly external: readonly string[];
  }>;
}
