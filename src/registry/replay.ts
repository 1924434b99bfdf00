import type { RegisteredSubject } from "#identity/certificate/subject";
import type { RegisteredCertificate } from "#identity/client";
import { canonical, isSameContent } from "./canonical.ts";
import { exportRegistry, type ExportedRegistry } from "./export.ts";
import type { PlannedChange } from "./plan.ts";
import type {
  AgreementEntry,
  ClientEntry,
  GrantEntry,
  IssuerEntry,
  OriginEntry,
  PolicyEntry,
} from "./state.ts";

/** A change of the registry as its record states it. */
export interface RecordedChange {
  readonly request: string;
  readonly entries: readonly PlannedChange[];
}

/** A registry that was rebuilt from the records of its changes. */
export interface ReplayedRegistry {
  readonly registry: ExportedRegistry;
  /**
   * Places where a record's state before the change is not the replayed state: an earlier change is not on
   * record, such as a row that was written by SQL. The record's state after the change is used.
   */
  readonly gaps: readonly { readonly request: string; readonly kind: string; readonly name: string }[];
}

/** Replays recorded changes, the earliest first. */
export function replayRegistry(changes: readonly RecordedChange[]): ReplayedRegistry {
  const entries = new Map<string, PlannedChange>();
  const gaps: { request: string; kind: string; name: string }[] = [];
  for (const { request, entries: changed } of changes)
    for (const change of changed) {
      const { kind, name, before, after } = change;
      const key = canonical([kind, name]);
      if (!isSameContent(entries.get(key)?.after ?? null, before ?? null)) gaps.push({ request, kind, name });
      if (after === undefined) entries.delete(key);
      else entries.set(key, change);
    }
  return { registry: exported([...entries.values()]), gaps };
}

function exported(entries: readonly PlannedChange[]): ExportedRegistry {
  const addedOf = <T extends object>(kind: PlannedChange["kind"]): ReadonlyMap<string, T> =>
    new Map(
      entries.flatMap(({ kind: each, name, after }) => (each === kind ? [[name, after as T] as const] : [])),
    ); // the registry wrote the entry of this kind
  const policies = addedOf<PolicyEntry>("policy");
  const owned = entries.flatMap(({ kind, name, after }) =>
    kind === "certificate" && after !== undefined ? [{ client: name.split(" ", 1)[0] ?? "", after }] : [],
  );
  const ofClients = <T extends object>(
    isOf: (after: object) => after is T,
  ): ReadonlyMap<string, readonly T[]> => {
    const lists = new Map<string, T[]>();
    for (const { client, after } of owned)
      if (isOf(after)) lists.set(client, [...(lists.get(client) ?? []), after]);
    return lists;
  };
  const state = {
    issuers: addedOf<IssuerEntry>("issuer"),
    clients: addedOf<ClientEntry>("client"),
    certificates: ofClients((after): after is RegisteredCertificate => "x5t" in after),
    certificateSubjects: ofClients((after): after is RegisteredSubject => !("x5t" in after)),
    agreements: addedOf<AgreementEntry>("agreement"),
    policies,
    grants: addedOf<GrantEntry>("grant"),
    origins: addedOf<OriginEntry>("origin"),
  };
  return exportRegistry(state, [...policies.values()]);
}
