import type { OAuthUris } from "#fhir/capability";
import type { SignInPlace } from "#registry/sign-in-place";

/** The OAuth endpoints in the CapabilityStatement of an origin: the same as in its SMART configuration. */
export function oauthUris(publicUrl: string, place: SignInPlace | undefined): OAuthUris {
  if (place === undefined) return { token: `${publicUrl}/oauth/token` };
  const {
    authorization: authorize,
    token,
    introspection: introspect,
    revocation: revoke,
    registration: register,
    management: manage,
  } = place;
  return { authorize, token, introspect, revoke, register, manage };
}
