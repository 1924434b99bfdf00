import type { OAuthUris } from "#fhir/capability";
import type { SignInPlace } from "#registry/sign-in-place";

/** The OAuth endpoints in the CapabilityStatement of an origin: the same as in its SMART configuration. */
export function oauthUris(publicUrl: string, place: SignInPlace | undefined): OAuthUris {
  const oauth = `${publicUrl}/oauth`;
  if (place === undefined)
    return { token: `${oauth}/token`, introspect: `${oauth}/introspect`, revoke: `${oauth}/revoke` };
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
