import { everyCapability, writtenCapability, type TypeCapability } from "./type-capability.ts";

/** Where the server's OAuth endpoints are. */
export interface OAuthUris {
  /** URL of the token endpoint; of the others where they are. */
  readonly token: string;
  readonly authorize?: string | undefined;
  readonly introspect?: string | undefined;
  readonly revoke?: string | undefined;
  readonly register?: string | undefined;
  readonly manage?: string | undefined;
}

/**
 * What this gateway carries of R4, as a CapabilityStatement (FHIR R4 §5.1): every type, each parameter that a search may name; or what of it
 * one client may do. The OAuth endpoints stand in an extension, where clients older than SMART App Launch 2 look for them.
 */
export function capabilityStatement(oauth: OAuthUris, types: readonly TypeCapability[] = everyCapability()) {
  return {
    resourceType: "CapabilityStatement",
    status: "active",
    date: "2026-11-24", // of the last change to what is carried
    publisher: "Phylax",
    kind: "instance",
    software: { name: "Phylax" },
    implementation: { description: "Phylax FHIR R4 gateway" },
    fhirVersion: "4.0.1",
    format: ["application/fhir+json", "application/json"],
    rest: [
      {
        mode: "server",
        security: security(oauth),
        interaction: [{ code: "batch" }, { code: "transaction" }],
        ...(types.length > 0 && { resource: types.map(writtenCapability) }),
      },
    ],
  };
}

const security = (oauth: OAuthUris) => ({
  extension: [
    {
      url: "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
      extension: Object.entries(oauth).flatMap(([url, valueUri]) =>
        valueUri === undefined ? [] : [{ url, valueUri }],
      ),
    },
  ],
  service: [
    {
      coding: [
        { system: "http://terminology.hl7.org/CodeSystem/restful-security-service", code: "SMART-on-FHIR" },
      ],
    },
  ],
  description: "Mutual TLS and an access token bound to the client's certificate (RFC 8705).",
});
