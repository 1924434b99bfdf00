import { isMetadataAddress } from "#identity/issuer-metadata";
import type { IssuerEntry } from "./state.ts";

/** Where SMART apps have people sign in, by the word of the registry: settled plain data, so that requests may share it. */
export interface SignInPlace extends NonNullable<IssuerEntry["endpoints"]> {
  readonly issuer: string;
}

/** Undefined for an issuer at which no app is told to have people sign in. */
export function signInPlace({
  iss,
  jwksUri,
  endpoints,
}: Pick<IssuerEntry, "iss" | "jwksUri" | "endpoints">): SignInPlace | undefined {
  if (endpoints === undefined) return undefined;
  const ofKeys = jwksUri === undefined || isMetadataAddress(jwksUri) ? undefined : jwksUri;
  return { ...endpoints, issuer: iss, jwks: endpoints.jwks ?? ofKeys };
}
