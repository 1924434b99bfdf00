import { canonical } from "./canonical.ts";
import type { Changes, RegistryChanges } from "./merge.ts";
import { grantKey, type RegistryState } from "./state.ts";

type EntryKind = "issuer" | "origin" | "policy" | "client" | "certificate" | "agreement" | "grant";

/** An entry that a change adds, changes or removes, with its content before and after. */
export interface PlannedChange {
  readonly kind: EntryKind;
  /** The entry's key: an id, a name, a digest, `client origin purpose` of a grant, `client x5t` of a certificate. */
  readonly name: string;
  readonly before: object | undefined;
  readonly after: object | undefined;
}

/** Each entry that the changes touch, in the order of the registry file. */
export function planChanges(there: RegistryState, changes: RegistryChanges): readonly PlannedChange[] {
  const { removed, certificates, certificateSubjects } = changes;
  const clientName = (client: string, value: object): string =>
    `${client} ${"x5t" in value ? String(value.x5t) : canonical(value)}`;
  const owned = [certificates, certificateSubjects].flatMap((some) =>
    some.added
      .map(({ client, ...after }) => touched("certificate", clientName(client, after), undefined, after))
      .concat(
        some.removed.map(({ client, ...before }) =>
          touched("certificate", clientName(client, before), before),
        ),
      ),
  );
  const ofRemovedClients = removed.clients.flatMap((client) =>
    [...(there.certificates.get(client) ?? []), ...(there.certificateSubjects.get(client) ?? [])].map(
      (before) => touched("certificate", clientName(client, before), before),
    ),
  );
  return [
    ...entries("issuer", changes.issuers, there.issuers, ({ iss }) => iss, removed.issuers),
    ...entries("origin", changes.origins, there.origins, ({ name }) => name, removed.origins),
    ...changes.policies.map((policy) => touched("policy", policy.digest, undefined, policy)),
    ...entries("client", changes.clients, there.clients, ({ id }) => id, removed.clients),
    ...owned,
    ...ofRemovedClients,
    ...entries(
      "agreement",
      changes.agreements,
      there.agreements,
      ({ id }) => id,
      removed.agreements.map(({ id }) => id),
    ),
    ...entries("grant", changes.grants, there.grants, grantKey, removed.grants.map(grantKey)),
  ];
}

function entries<T extends object>(
  kind: EntryKind,
  { added, changed }: Changes<T>,
  there: ReadonlyMap<string, T>,
  key: (entry: T) => string,
  removed: readonly string[],
): readonly PlannedChange[] {
  return [
    ...added.map((after) => touched(kind, key(after), undefined, after)),
    ...changed.map((after) => touched(kind, key(after), there.get(key(after)), after)),
    ...removed.map((name) => touched(kind, name, there.get(name))),
  ];
}

const touched = (
  kind: EntryKind,
  name: string,
  before: object | undefined,
  after?: object,
): PlannedChange => ({ kind, name, before, after });
