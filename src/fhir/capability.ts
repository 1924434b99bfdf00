import { usCoreProfiles, usCoreServer } from "./us-core.ts";
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
 *
 * @param profiles the profiles that the client is served, by type; without a client every profile of US Core, which
 * a server shall declare. @param form in which the rows leave (45 CFR 164.514).
 */
export function capabilityStatement(
  oauth: OAuthUris,
  types: readonly TypeCapability[] = everyCapability(),
  profiles: ReadonlyMap<string, readonly string[]> = profilesOf(types),
  form?: string,
) {
  const isUsCore = profiles.has("Patient") && profiles.size > 1;
  return {
    resourceType: "CapabilityStatement",
    status: "active",
    date: "2026-12-04", // the date of the last change to the supported features
    publisher: "Phylax",
    kind: "instance",
    ...(isUsCore && { instantiates: [usCoreServer] }),
    software: { name: "Phylax" },
    implementation: { description: "Phylax FHIR R4 gateway" },
    fhirVersion: "4.0.1",
    format: ["application/fhir+json", "application/json"],
    ...(types.some(({ interactions }) => interactions.includes("patch")) && {
      patchFormat: ["application/json-patch+json"],
    }),
    rest: [
      {
        mode: "server",
        security: security(oauth),
        ...(form !== undefined && {
          documentation: `45 CFR 164.514, ${form}: _count in hundreds, no modifiers, _elements, _summary, _total, _since, start or end.`,
        }),
        interaction: [
          ...(form === undefined ? ["batch", "transaction"].map((code) => ({ code, documentation })) : []),
          { code: "search-system" },
        ],
        operation: [exportOperation("")],
        ...(types.length > 0 && { resource: types.map((type) => writtenWith(type, profiles, form)) }),
      },
    ],
  };
}

const documentation = "Prefer: respond-async is supported for writes (FHIR R5 async-bundle).";

const profilesOf = (types: readonly TypeCapability[]): ReadonlyMap<string, readonly string[]> =>
  new Map(
    types
      .map(({ type }) => [type, usCoreProfiles(type)] as const)
      .filter(([, profiles]) => profiles.length > 0),
  );

function writtenWith(
  capability: TypeCapability,
  profiles: ReadonlyMap<string, readonly string[]>,
  form: string | undefined,
) {
  const { type, ...rest } = writtenCapability(capability, form === undefined ? "full-support" : "not-match");
  const supportedProfile = profiles.get(type);
  const written = { type, ...(supportedProfile !== undefined && { supportedProfile }), ...rest };
  if (type !== "Patient" && type !== "Group") return written;
  return { ...written, operation: [...(rest.operation ?? []), exportOperation(`${type.toLowerCase()}-`)] };
}

/** `$export` of FHIR Bulk Data Access: at system level (``), at Patient level (`patient-`) or at Group level. */
const exportOperation = (level: string) => ({
  name: "export",
  definition: `http://hl7.org/fhir/uv/bulkdata/OperationDefinition/${level}export`,
});

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
  description:
    "An access token bound to the client's certificate (RFC 8705), or to its key with a DPoP proof (RFC 9449).",
});
