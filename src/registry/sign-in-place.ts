import { isMetadataUrl } from "#identity/issuer-metadata";
import type { IssuerEntry } from "./state.ts";

/** The registered sign-in endpoints for SMART apps: settled plain data, so that requests may share it. */
export interface SignInPlace extends NonNullable<IssuerEntry["endpoints"]> {
  readonly issuer: string;
}

/** Undefined for an issuer without sign-in endpoints for apps. */
export function signInPlace({
  iss,
  jwksUri,
  endpoints,
}: Pick<IssuerEntry, "iss" | "jwksUri" | "endpoints">): SignInPlace | undefined {
  if (endpoints === undefined) return undefined;
  const ofKeys = jwksUri === undefined || isMetadataUrl(jwksUri) ? undefined : jwksUri;
  return { ...endpoints, issuer: iss, jwks: endpoints.jwks ?? ofKeys };
}
