import { instant, type Instant } from "#kernel/clock";
import type { RegisteredSubject } from "#identity/certificate/subject";
import type { RegisteredCertificate } from "#identity/client";
import type { RegistryDocument } from "./document.ts";

type Of<K extends keyof RegistryDocument> = Extract<RegistryDocument[K], readonly unknown[]>[number];

/**
 * Entries as the registry stores them. Their fields have the names of the registry file, so that a JSON
 * pointer can name a difference.
 */
export type IssuerEntry = Of<"issuers">;
export type ClientEntry = Omit<Of<"clients">, "unboundUntil" | "certificates"> & {
  readonly unboundUntil: Instant | undefined;
};
export type OriginEntry = Of<"origins">;
export type AgreementEntry = Omit<Of<"agreements">, "from" | "to"> & {
  readonly from: Instant;
  readonly to: Instant;
};
/** `policy` is the digest. */
export type GrantEntry = Of<"grants">;

export interface PolicyEntry {
  readonly digest: string;
  readonly name: string;
  readonly purposes: readonly string[];
  readonly body: unknown;
}

/** The registered entries, by key. Policies contain only the facts that a grant must fit. */
export interface RegistryState {
  readonly issuers: ReadonlyMap<string, IssuerEntry>;
  readonly clients: ReadonlyMap<string, ClientEntry>;
  readonly certificates: ReadonlyMap<string, readonly RegisteredCertificate[]>;
  readonly certificateSubjects: ReadonlyMap<string, readonly RegisteredSubject[]>;
  readonly agreements: ReadonlyMap<string, AgreementEntry>;
  readonly policies: ReadonlyMap<string, Pick<PolicyEntry, "digest" | "purposes">>;
  readonly grants: ReadonlyMap<string, GrantEntry>;
  readonly origins: ReadonlyMap<string, OriginEntry>;
}

/** A client has a single grant for an origin and a purpose. */
export const grantKey = ({
  client,
  origin,
  purpose,
}: Pick<GrantEntry, "client" | "origin" | "purpose">): string => `${client} ${origin} ${purpose}`;

/** Every field by its name, also absent fields: a merge compares field by field. */
export const issuerEntry = ({
  iss,
  jwks,
  jwksUri,
  algs,
  introspection,
  audience,
  purpose,
  claims,
  endpoints,
}: Of<"issuers">): IssuerEntry => ({
  iss,
  jwks,
  jwksUri,
  algs,
  introspection,
  audience,
  purpose,
  claims,
  endpoints,
});

export const originEntry = ({
  name,
  url,
  alsoKnownAs,
  organization,
  credentials,
  forwardClientCert,
  transactions,
  honoursIfMatchOnDelete,
  leasedWrites,
  capabilities,
  acceptsSearchInUrl,
  limits,
  consents,
  signInAt,
}: Of<"origins">): OriginEntry => ({
  name,
  url,
  alsoKnownAs,
  organization,
  credentials,
  forwardClientCert,
  transactions,
  honoursIfMatchOnDelete,
  leasedWrites,
  capabilities,
  acceptsSearchInUrl,
  limits,
  consents,
  signInAt,
});

export const clientEntry = (client: Of<"clients">): ClientEntry => {
  const {
    id,
    kind,
    status,
    auth,
    issuer,
    externalClientId,
    jwks,
    jwksUri,
    assertionProfile,
    dpop,
    patient,
    region,
    organization,
    entity,
  } = client;
  const unboundUntil =
    client.unboundUntil === undefined ? undefined : instant(Date.parse(client.unboundUntil));
  const corsOrigins = client.corsOrigins.toSorted();
  return {
    id,
    kind,
    status,
    auth,
    issuer,
    externalClientId,
    jwks,
    jwksUri,
    assertionProfile,
    dpop,
    patient,
    region,
    organization,
    entity,
    unboundUntil,
    corsOrigins,
  };
};

export const agreementEntry = (agreement: Of<"agreements">): AgreementEntry => ({
  ...agreement,
  purposes: agreement.purposes.toSorted(),
  from: instant(Date.parse(agreement.from)),
  to: instant(Date.parse(agreement.to)),
});
