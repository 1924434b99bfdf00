import type { GatewayRefusal } from "./refusal.ts";

/** `WWW-Authenticate` of a 401 (RFC 6750 §3, RFC 9728 §5.1). Without a credential there is no error to name. */
export function challenge(publicUrl: string, origin: string | undefined, { reason }: GatewayRefusal): string {
  const metadata = origin === undefined ? [] : [`resource_metadata="${publicUrl}/.well-known/oauth-protected-resource/v1/fhir/${origin}"`];
  const error = reason === "token_missing" ? [] : ['error="invalid_token"'];
  return `Bearer ${[...metadata, ...error].join(", ") || 'realm="phylax"'}`;
}
