import { everyCapability, writtenCapability, type TypeCapability } from "./type-capability.ts";

/** The URLs of the server's OAuth endpoints. */
export interface OAuthUris {
  /** URL of the token endpoint; the rest are present if they exist. */
  readonly token: string;
  readonly authorize?: string | undefined;
  readonly introspect?: string | undefined;
  readonly revoke?: string | undefined;
  readonly register?: string | undefined;
  readonly manage?: string | undefined;
}

/**
 * A CapabilityStatement (FHIR R4 §5.1) of the supported part of R4: every type and each search parameter,
 * or the part that a given client may use. The OAuth endpoints are in an extension that clients older than
 * SMART App Launch 2 read.
 */
export function capabilityStatement(oauth: OAuthUris, types: readonly TypeCapability[] = everyCapability()) {
  return {
    resourceType: "CapabilityStatement",
    status: "active",
    date: "2026-11-24", // the date of the last change to the supported features
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
