import type { SignInPlace } from "./sign-in-place.ts";

/** Knows whose tokens an origin takes beside the built-in issuer's, at most ten seconds old. Throws when the registry cannot be read for longer. */
export interface AuthorizationServers {
  /** Of an origin that is not there: none. */
  of(origin: string): Promise<{
    /** Where SMART apps have people sign in. */
    readonly signIn: SignInPlace | undefined;
    /** `iss` of each issuer that has an active client with a grant there. */
    readonly external: readonly string[];
  }>;
}
