import { err, ok, type Result } from "#kernel/result";
import type { RegisteredSubject } from "#identity/certificate/subject";
import type { RegisteredCertificate } from "#identity/client";
import type { RegistryDocument } from "./document.ts";
import { clash, invalid, type RegistryProblem } from "./problem.ts";
import {
  agreementEntry,
  clientEntry,
  grantKey,
  type AgreementEntry,
  type ClientEntry,
  type GrantEntry,
  type IssuerEntry,
  type OriginEntry,
  type PolicyEntry,
  type RegistryState,
} from "./state.ts";
import { canonical } from "./canonical.ts";
import type { ChangeDocument } from "./change-document.ts";
import { inSet, storageMeets } from "./read.ts";
import { referenceProblem } from "./references.ts";
import { nothingRemoved, orphanProblem, removeEntries, type Removed } from "./remove.ts";

/**
 * `add`: an entry that is registered with different content is a conflict; only a few facts, such as sign-in
 * endpoints and a client's region, may be added to an entry that has none. `replace`: the entry takes the
 * file's content, except for facts that a file must not undo: an agreement (a signed document: a new document
 * has a new id) and a suspension. `change`: as `replace`, but an agreement may end earlier, and a suspension
 * ends for the clients in `reinstate`.
 */
export type MergeMode = "add" | "replace" | "change";

/** Values that cannot be computed from the file by this room alone, in the order of the file. */
export interface Prepared {
  readonly policies: readonly PolicyEntry[];
  readonly certificates: readonly (readonly RegisteredCertificate[])[];
  readonly certificateSubjects: readonly (readonly RegisteredSubject[])[];
}

export interface Changes<T> {
  readonly added: readonly T[];
  readonly changed: readonly T[];
}

export type Owned<T> = T & { readonly client: string };

export interface OwnedChanges<T> {
  readonly added: readonly Owned<T>[];
  readonly removed: readonly Owned<T>[];
}

/**
 * The writes that bring the registry to the state of the file. Entries that the file does not name stay
 * untouched.
 */
export interface RegistryChanges {
  readonly issuers: Changes<IssuerEntry>;
  readonly clients: Changes<ClientEntry>;
  readonly certificates: OwnedChanges<RegisteredCertificate>;
  readonly certificateSubjects: OwnedChanges<RegisteredSubject>;
  readonly agreements: Changes<AgreementEntry>;
  readonly policies: readonly PolicyEntry[];
  readonly grants: Changes<GrantEntry>;
  readonly origins: Changes<OriginEntry>;
  readonly removed: Removed;
}

/**
 * Applies a change to the registry, or names the first conflict. Pointers are into the change.
 *
 * @param operatorIssuers the issuers at which active operators sign in.
 */
export function changeRegistry(
  there: RegistryState,
  { set = emptyFile, remove, reinstate }: ChangeDocument,
  prepared: Prepared,
  operatorIssuers: ReadonlySet<string>,
): Result<RegistryChanges, RegistryProblem> {
  const unlisted = reinstate.findIndex((id) => !set.clients.some((client) => client.id === id));
  if (unlisted !== -1)
    return err(invalid(["reinstate", unlisted], "is not in set.clients: give the client's content there"));
  const less = removeEntries(there, remove, set);
  if (!less.ok) return less;
  const merged = mergeRegistry(less.value.left, set, prepared, "change", new Set(reinstate));
  if (!merged.ok) return err(inSet(merged.error));
  const { left, removed } = less.value;
  const remaining = {
    clients: joined(left.clients, incoming(merged.value.clients), ({ id }) => id),
    origins: joined(left.origins, incoming(merged.value.origins), ({ name }) => name),
    grants: joined(left.grants, incoming(merged.value.grants), grantKey),
  };
  const orphan = orphanProblem(remove, remaining, operatorIssuers);
  return orphan === undefined ? ok({ ...merged.value, removed }) : err(orphan);
}

export const emptyFile: RegistryDocument = {
  issuers: [],
  clients: [],
  agreements: [],
  policies: [],
  grants: [],
  origins: [],
};

export const incoming = <T>({ added, changed }: Changes<T>): readonly T[] => [...added, ...changed];

/** Merges a registry file with the registry, or names the first conflict. */
export function mergeRegistry(
  there: RegistryState,
  file: RegistryDocument,
  prepared: Prepared,
  mode: MergeMode,
  reinstated: ReadonlySet<string> = new Set(),
): Result<RegistryChanges, RegistryProblem> {
  const named = new Map(file.policies.map(({ name }, i) => [name, prepared.policies[i]]));
  if (named.size < file.policies.length)
    return err(
      clash(
        ["policies", firstRepeated(file.policies, ({ name }) => name), "name"],
        "appears twice in this file",
      ),
    );
  const digests = new Map(prepared.policies.map((policy) => [policy.digest, policy]));
  const clientEntries = file.clients
    .map(clientEntry)
    .map((entry) =>
      mode === "add"
        ? withTheRegistered(entry, there.clients.get(entry.id), ["region", "entity", "idPrefix"])
        : entry,
    );
  const agreementEntries = file.agreements.map(agreementEntry);
  const originEntries = file.origins.map((entry) => withTraits(entry, there.origins.get(entry.name), mode));
  const grantEntries = file.grants.map((grant) => ({
    ...grant,
    policy: named.get(grant.policy)?.digest ?? grant.policy,
  }));

  const issuers = weigh("issuers", file.issuers, ({ iss }) => iss, there.issuers, mode, ["endpoints"]);
  if (!issuers.ok) return issuers;
  const clients = weigh("clients", clientEntries, ({ id }) => id, there.clients, mode, [
    "region",
    "organization",
    "entity",
    "idPrefix",
  ]);
  if (!clients.ok) return clients;
  const lifted = liftedSuspension(there, file, reinstated);
  if (lifted !== undefined) return err(lifted);
  const ending = (entry: AgreementEntry) => mode === "change" && endsEarlier(entry, there.agreements);
  const signed = agreementEntries.map((entry) =>
    // A merge compares it with its registered end: an earlier end is no conflict.
    ending(entry) ? { ...entry, to: there.agreements.get(entry.id)?.to ?? entry.to } : entry,
  );
  const agreements = weigh("agreements", signed, ({ id }) => id, there.agreements, "add");
  if (!agreements.ok) return agreements;
  const origins = weigh("origins", originEntries, ({ name }) => name, there.origins, mode, [
    "signInAt",
    "alsoKnownAs",
    "organization",
    ...traits,
  ]);
  if (!origins.ok) return origins;
  const grants = weigh("grants", grantEntries, grantKey, there.grants, mode);
  if (!grants.ok) return grants;

  const all = {
    issuers: joined(there.issuers, file.issuers, ({ iss }) => iss),
    clients: joined(there.clients, clientEntries, ({ id }) => id),
    agreements: joined(there.agreements, agreementEntries, ({ id }) => id),
    origins: joined(there.origins, originEntries, ({ name }) => name),
    policies: new Map([...there.policies, ...digests]),
  };
  const dangling = referenceProblem(
    {
      issuers: file.issuers,
      clients: clientEntries,
      agreements: agreementEntries,
      grants: grantEntries,
      origins: originEntries,
    },
    all,
  );
  if (dangling !== undefined) return err(dangling);
  const meeting = clientEntries.findIndex(({ id, idPrefix }) =>
    [...all.clients.values()].some(
      (other) => idPrefix !== undefined && other.id !== id && other.idPrefix === idPrefix,
    ),
  );
  if (meeting !== -1)
    return err(clash(["clients", meeting, "idPrefix"], "is the prefix of a different client"));
  const overlapping = originEntries.findIndex((entry) =>
    [...all.origins.values()].some((other) => other.name !== entry.name && storageMeets(entry, other)),
  );
  if (overlapping !== -1)
    return err(
      clash(["origins", overlapping], "overlaps with the storage or the FHIR base of another origin"),
    );

  return ok({
    issuers: issuers.value,
    clients: clients.value,
    certificates: ownedChanges(there.certificates, file, prepared.certificates, ({ x5t }) => x5t, mode),
    certificateSubjects: ownedChanges(
      there.certificateSubjects,
      file,
      prepared.certificateSubjects,
      canonical,
      mode,
    ),
    agreements: { ...agreements.value, changed: agreementEntries.filter(ending) },
    removed: nothingRemoved,
    policies: [...digests.values()].filter(({ digest }) => !there.policies.has(digest)),
    grants: grants.value,
    origins: origins.value,
  });
}

/** A suspension that the file would end without naming it. */
function liftedSuspension(
  there: RegistryState,
  { clients }: RegistryDocument,
  reinstated: ReadonlySet<string>,
): RegistryProblem | undefined {
  const lifted = clients.findIndex(
    ({ id, status }) =>
      status === "active" && there.clients.get(id)?.status === "suspended" && !reinstated.has(id),
  );
  return lifted === -1
    ? undefined
    : clash(
        ["clients", lifted, "status"],
        "is suspended in the registry: only a change that names the client in `reinstate` ends a suspension",
      );
}

/**
 * A registered agreement that is to end before its registered end. It cannot go on longer: that needs a
 * document.
 */
const endsEarlier = (
  { id, to }: AgreementEntry,
  registered: ReadonlyMap<string, AgreementEntry>,
): boolean => {
  const known = registered.get(id);
  return known !== undefined && to < known.to;
};

const traits = [
  "transactions",
  "honoursIfMatchOnDelete",
  "leasedWrites",
  "capabilities",
  "acceptsSearchInUrl",
  "limits",
  "consents",
] as const;

/** If a file in mode `add` omits what an origin's server does, the registered behaviour stays. */
const withTraits = (entry: OriginEntry, known: OriginEntry | undefined, mode: MergeMode): OriginEntry =>
  mode === "add" ? withTheRegistered(entry, known, traits) : entry;

/** The registered values of these fields, where the entry gives none. */
const withTheRegistered = <T extends object>(
  entry: T,
  known: T | undefined,
  fields: readonly (keyof T)[],
): T => ({ ...entry, ...Object.fromEntries(fields.map((field) => [field, entry[field] ?? known?.[field]])) });

/**
 * Sorts entries into new and changed, and finds the first conflict with another entry of the file or with
 * the registry. `later`: fields that `add`, too, may set on an entry that has none.
 */
function weigh<T extends object>(
  list: string,
  entries: readonly T[],
  key: (entry: T) => string,
  there: ReadonlyMap<string, T>,
  mode: MergeMode,
  later: readonly (keyof T & string)[] = [],
): Result<Changes<T>, RegistryProblem> {
  if (new Set(entries.map(key)).size < entries.length)
    return err(clash([list, firstRepeated(entries, key)], "appears twice in this file"));
  const [added, changed]: [T[], T[]] = [[], []];
  for (const [i, entry] of entries.entries()) {
    const known = there.get(key(entry));
    if (known === undefined) {
      added.push(entry);
      continue;
    }
    const differing = differences(entry, known);
    const given = later.filter((field) => known[field] === undefined);
    const clashing = differing.find((field) => !given.some((each) => each === field));
    if (clashing !== undefined && mode === "add")
      return err(clash([list, i, clashing], "differs from what is registered"));
    if (differing.length > 0) changed.push(entry);
  }
  return ok({ added, changed });
}

/**
 * Values that belong to a single client, such as certificates: the new values, and the values that the
 * client has no more.
 */
function ownedChanges<T>(
  there: ReadonlyMap<string, readonly T[]>,
  file: RegistryDocument,
  listed: readonly (readonly T[])[],
  nameOf: (value: T) => string,
  mode: MergeMode,
): OwnedChanges<T> {
  const beyond = (some: readonly T[], others: readonly T[], client: string): Owned<T>[] => {
    const named = new Set(others.map(nameOf));
    const fresh = new Map<string, Owned<T>>();
    for (const value of some) if (!named.has(nameOf(value))) fresh.set(nameOf(value), { ...value, client });
    return [...fresh.values()];
  };
  const added = file.clients.flatMap(({ id }, i) => beyond(listed[i] ?? [], there.get(id) ?? [], id));
  // certificates are rotated by adding the new certificate next to the old certificate
  if (mode === "add") return { added, removed: [] };
  return {
    added,
    removed: file.clients.flatMap(({ id }, i) => beyond(there.get(id) ?? [], listed[i] ?? [], id)),
  };
}

function joined<T>(
  there: ReadonlyMap<string, T>,
  entries: readonly T[],
  key: (entry: T) => string,
): ReadonlyMap<string, T> {
  return new Map([...there, ...entries.map((entry): [string, T] => [key(entry), entry])]);
}

function firstRepeated<T>(entries: readonly T[], key: (entry: T) => string): number {
  const seen = new Set<string>();
  return entries.findIndex((entry) => seen.size === seen.add(key(entry)).size);
}

/** The fields of either entry in which they differ. An absent field equals `undefined`. */
function differences(entry: object, known: object): string[] {
  return [...new Set([...Object.keys(entry), ...Object.keys(known)])].filter(
    (field) => canonical(Reflect.get(entry, field)) !== canonical(Reflect.get(known, field)),
  );
}
