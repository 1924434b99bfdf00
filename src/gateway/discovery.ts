import type { Hono } from "hono";

/** What the well-known documents say about this gateway. */
export interface Discovery {
  /** Public URL without a trailing slash: the issuer, and the prefix of each FHIR base. */
  readonly publicUrl: string;
}

/** RFC 9728 §3: the metadata of each FHIR base as a protected resource. Says only what is true of every origin. */
export function protectedResource(base: string, { publicUrl }: Discovery) {
  return {
    resource: base,
    authorization_servers: [publicUrl],
    bearer_methods_supported: ["header"],
    tls_client_certificate_bound_access_tokens: true,
    resource_name: "Phylax FHIR R4 gateway",
  };
}

export function addDiscovery(app: Hono, discovery: Discovery): void {
  app.get("/.well-known/oauth-protected-resource/v1/fhir/:origin{[a-z][a-z0-9-]{0,31}}", (context) =>
    context.json(protectedResource(`${discovery.publicUrl}/v1/fhir/${context.req.param("origin")}`, discovery)),
  );
}
