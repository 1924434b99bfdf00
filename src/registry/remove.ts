import { err, ok, type Result } from "#kernel/result";
import type { Removals } from "./change-document.ts";
import type { RegistryDocument } from "./document.ts";
import { clash, firstProblem, type RegistryProblem } from "./problem.ts";
import { grantKey, type AgreementEntry, type GrantEntry, type RegistryState } from "./state.ts";

/** The entries that a change removes, also those that belong to a removed client. */
export interface Removed {
  readonly issuers: readonly string[];
  readonly clients: readonly string[];
  readonly agreements: readonly AgreementEntry[];
  readonly grants: readonly GrantEntry[];
  readonly origins: readonly string[];
}

const lists = ["issuers", "clients", "agreements", "grants", "origins"] as const;
export const nothingRemoved: Removed = { issuers: [], clients: [], agreements: [], grants: [], origins: [] };

/**
 * The registry without the removed entries. An error: a name that is not registered, a name that the same
 * change sets.
 */
export function removeEntries(
  there: RegistryState,
  removals: Removals,
  set: RegistryDocument,
): Result<{ readonly left: RegistryState; readonly removed: Removed }, RegistryProblem> {
  const removedGrants = removals.grants.map(grantKey);
  const names = { ...removals, grants: removedGrants };
  const inSet = {
    issuers: set.issuers.map(({ iss }) => iss),
    clients: set.clients.map(({ id }) => id),
    agreements: set.agreements.map(({ id }) => id),
    grants: set.grants.map(grantKey),
    origins: set.origins.map(({ name }) => name),
  };
  const wrong = firstProblem(lists, (list) => misnamed(list, names[list], there, inSet[list]));
  if (wrong !== undefined) return err(wrong);
  const clients = new Set(removals.clients);
  const agreements = new Set(removals.agreements);
  const grants = new Set(removedGrants);
  const removed: Removed = {
    issuers: removals.issuers,
    clients: removals.clients,
    agreements: [...there.agreements.values()].filter(
      ({ id, client }) => agreements.has(id) || clients.has(client),
    ),
    grants: [...there.grants.values()].filter(
      (grant) => grants.has(grantKey(grant)) || clients.has(grant.client),
    ),
    origins: removals.origins,
  };
  return ok({
    removed,
    left: {
      ...there,
      issuers: without(there.issuers, removed.issuers),
      clients: without(there.clients, removed.clients),
      certificates: without(there.certificates, removed.clients),
      certificateSubjects: without(there.certificateSubjects, removed.clients),
      agreements: without(
        there.agreements,
        removed.agreements.map(({ id }) => id),
      ),
      grants: without(there.grants, removed.grants.map(grantKey)),
      origins: without(there.origins, removed.origins),
    },
  });
}

/**
 * An entry that is left and names a removed entry: the removal would leave it without its issuer, agreement
 * or origin.
 *
 * @param operatorIssuers the issuers at which active operators sign in: without its issuer no operator could.
 */
export function orphanProblem(
  removals: Removals,
  { clients, origins, grants }: Pick<RegistryState, "clients" | "origins" | "grants">,
  operatorIssuers: ReadonlySet<string>,
): RegistryProblem | undefined {
  const issuers = new Set([
    ...[...clients.values()].map(({ issuer }) => issuer),
    ...[...origins.values()].map(({ signInAt }) => signInAt),
  ]);
  const [needed, bases] = [
    new Set([...grants.values()].map(({ agreement }) => agreement)),
    new Set([...grants.values()].map(({ origin }) => origin)),
  ];
  return (
    inUse("issuers", removals.issuers, issuers, "a client or an origin") ??
    inUse("issuers", removals.issuers, operatorIssuers, "the sign-in of an active operator") ??
    inUse("agreements", removals.agreements, needed, "a grant") ??
    inUse("origins", removals.origins, bases, "a grant")
  );
}

function inUse(
  list: keyof Removals,
  removed: readonly string[],
  used: ReadonlySet<string | undefined>,
  by: string,
): RegistryProblem | undefined {
  const i = removed.findIndex((name) => used.has(name));
  return i === -1
    ? undefined
    : conflict(list, i, `is still named by ${by}: remove it, or point it elsewhere, in the same change`);
}

function misnamed(
  list: keyof Removals,
  removed: readonly string[],
  there: RegistryState,
  set: readonly string[],
): RegistryProblem | undefined {
  for (const [i, name] of removed.entries()) {
    if (!there[list].has(name)) return conflict(list, i, "is not registered");
    if (set.includes(name))
      return conflict(list, i, "is in `set` as well: a change sets or removes an entry");
    if (removed.indexOf(name) < i) return conflict(list, i, "appears twice");
  }
  return undefined;
}

const conflict = (list: keyof Removals, i: number, problem: string): RegistryProblem =>
  clash(["remove", list, i], problem);

const without = <T>(entries: ReadonlyMap<string, T>, removed: readonly string[]): ReadonlyMap<string, T> => {
  if (removed.length === 0) return entries;
  const keys = new Set(removed);
  return new Map([...entries].filter(([key]) => !keys.has(key)));
};
