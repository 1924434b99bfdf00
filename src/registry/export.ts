import type { RegisteredSubject } from "#identity/certificate/subject";
import type * as z from "zod";
import { canonical } from "./canonical.ts";
import type { registryDocument } from "./document.ts";
import type { AgreementEntry, ClientEntry, GrantEntry, PolicyEntry, RegistryState } from "./state.ts";

/** A registry file as its author writes it: fields with a default may be absent. */
export type ExportedRegistry = z.input<typeof registryDocument>;

/**
 * The registry as a registry file, in a fixed order. Certificates are named by their thumbprints: the
 * registry retains no more of them. A plan of this file has no changes.
 */
export function exportRegistry(state: RegistryState, policies: readonly PolicyEntry[]): ExportedRegistry {
  const names = policyNames(policies);
  return {
    issuers: sorted(state.issuers).map(defined),
    origins: sorted(state.origins).map(defined),
    policies: policies.map(({ digest, body }) => ({ name: names.get(digest) ?? "", body })),
    clients: sorted(state.clients).map((client) => exportedClient(client, state)),
    agreements: sorted(state.agreements).map(exportedAgreement),
    grants: sorted(state.grants).map((grant) => exportedGrant(grant, names)),
  };
}

const exportedClient = (
  { unboundUntil, ...client }: ClientEntry,
  { certificates, certificateSubjects }: RegistryState,
): NonNullable<ExportedRegistry["clients"]>[number] => ({
  ...defined(client),
  ...(unboundUntil !== undefined && { unboundUntil: rfc3339(unboundUntil) }),
  certificates: [
    ...(certificates.get(client.id) ?? []).map(({ x5t }) => x5t).sort(),
    ...(certificateSubjects.get(client.id) ?? []).map(subject),
  ],
});

const exportedAgreement = ({ from, to, ...agreement }: AgreementEntry) => ({
  ...agreement,
  from: rfc3339(from),
  to: rfc3339(to),
});

const exportedGrant = (grant: GrantEntry, policyNames: ReadonlyMap<string, string>): GrantEntry => ({
  ...defined(grant),
  policy: policyNames.get(grant.policy) ?? grant.policy,
});

/** The text that the digest of the registry's state is made of: two states with equal content have one. */
export const stateText = (state: RegistryState): string =>
  canonical({
    ...Object.fromEntries(
      Object.entries(state).map(([list, entries]: [string, ReadonlyMap<string, unknown>]) => [
        list,
        [...entries].sort(([left], [right]) => (left < right ? -1 : 1)),
      ]),
    ),
    policies: [...state.policies.keys()].sort(),
    certificates: ordered(state.certificates),
    certificateSubjects: ordered(state.certificateSubjects),
  });

/** Two versions of a policy may have one name: the later versions in the list get a part of their digest. */
function policyNames(policies: readonly PolicyEntry[]): ReadonlyMap<string, string> {
  const taken = new Set<string>();
  return new Map(
    policies.map(({ digest, name }) => {
      const unique = taken.has(name) ? `${name.slice(0, 51)}-${digest.slice("sha256:".length, 19)}` : name;
      taken.add(unique);
      return [digest, unique];
    }),
  );
}

function sorted<T>(entries: ReadonlyMap<string, T>): readonly T[] {
  return [...entries].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, entry]) => entry);
}

/** The values of each client in the order of their texts: the database returns them in any order. */
const ordered = (lists: ReadonlyMap<string, readonly unknown[]>): unknown =>
  sorted(new Map([...lists].map(([client, values]) => [client, [client, values.map(canonical).sort()]])));

/** Without absent fields: a file leaves them out. */
const defined = <T extends object>(entry: T): T =>
  Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)) as T; // the same fields

const rfc3339 = (at: number): string => new Date(at).toISOString();

type CertificateName = Exclude<
  NonNullable<NonNullable<ExportedRegistry["clients"]>[number]["certificates"]>[number],
  string
>;

const subject = ({ issuerDn, field, value }: RegisteredSubject): CertificateName =>
  ({ issuerDn, [field]: value }) as CertificateName; // the field is one of the schema's
