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

export const clientEntry = (client: Of<"clients">): ClientEntry => {
  const { certificates: _, unboundUntil, corsOrigins, ...fields } = client;
  return {
    ...fields,
    unboundUntil: unboundUntil === undefined ? undefined : instant(Date.parse(unboundUntil)),
    corsOrigins: corsOrigins.toSorted(),
  };
};

export const agreementEntry = (agreement: Of<"agreements">): AgreementEntry => ({
  ...agreement,
  purposes: agreement.purposes.toSorted(),
  from: instant(Date.parse(agreement.from)),
  to: instant(Date.parse(agreement.to)),
});
