import { mergeRegistry, type MergeMode, type RegistryChanges } from "#registry/merge";
import { readRegistry } from "#registry/read";
import { pointer, type RegistryDocument, type RegistryProblem } from "#registry/document";
import type { RecordName } from "#registry/revocation";
import { exceptionProblem } from "#registry/unbound-exception";
import type { Clock } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { placeProblem, type AllowedPlaces } from "#platform/config/allowed-places";
import { prepareRegistry } from "./prepare-registry.ts";
import { readRegistryState } from "./read-registry-state.ts";
import { writeRegistry } from "./write-registry.ts";

/** How many entries a registry file added or changed. Both are 0 when the registry already had all of it. */
export interface RegistryCounts {
  readonly added: number;
  readonly changed: number;
}

export interface ApplyPorts {
  readonly clock: Clock;
  readonly publicUrl: string;
  /** The servers and secrets that this deployment allows, as far as this worker knows them. */
  readonly allowed?: AllowedPlaces | undefined;
  /** The regions of the ledger's shards, if this worker knows them. */
  readonly regions?: ReadonlySet<string> | undefined;
  /** Receives the records that are about to be written. Nothing is written before it resolves. */
  readonly begin?: (records: readonly RecordName[]) => Promise<void>;
  /**
   * Receives the registry's bookmark after the write, or the bookmark of the read when there was nothing to
   * write.
   */
  readonly seen?: (bookmark: string | null) => void;
}

/**
 * Merges a registry file into the registry: all of it, or nothing together with the place of the problem in
 * the file. Throws when D1 fails.
 */
export async function applyRegistry(
  registry: D1Database,
  document: unknown,
  mode: MergeMode,
  { clock, publicUrl, allowed, regions, begin, seen }: ApplyPorts,
): Promise<Result<RegistryCounts, RegistryProblem>> {
  const file = readRegistry(document, publicUrl);
  if (!file.ok) return file;
  const tooLong = exceptionProblem(file.value, clock());
  if (tooLong !== undefined) return err(tooLong);
  const prepared = await prepareRegistry(file.value);
  if (!prepared.ok) return prepared;
  const notAllowed = allowed && placeProblem(file.value, allowed);
  if (notAllowed !== undefined) return err(notAllowed);
  const noShards = regions && regionProblem(file.value, regions);
  if (noShards !== undefined) return err(noShards);

  const settle = async (): Promise<Result<RegistryCounts, RegistryProblem>> => {
    // A new session each time: within one session, D1 may read a copy of the database that lacks another
    // writer's change.
    const session = registry.withSession("first-primary");
    const changes = mergeRegistry(await readRegistryState(session), file.value, prepared.value, mode);
    if (changes.ok) {
      const records = recordsOf(changes.value);
      if (records.length > 0) await begin?.(records);
      await writeRegistry(session, changes.value, clock());
    }
    seen?.(session.getBookmark());
    return changes.ok ? ok(count(changes.value)) : changes;
  };
  try {
    return await settle();
  } catch {
    // Another writer may have written between the read and the write: read the present state and try once
    // more.
    return await settle();
  }
}

/** A client at home in a region without shards: its keys' logs would be anywhere in the world. */
function regionProblem(
  { clients }: RegistryDocument,
  regions: ReadonlySet<string>,
): RegistryProblem | undefined {
  const i = clients.findIndex(({ region }) => region !== undefined && !regions.has(region));
  return i === -1
    ? undefined
    : {
        reason: "invalid",
        pointer: pointer(["clients", i, "region"]),
        problem: "has no shards: LEDGER_REGIONS of this deployment does not list it",
      };
}

/** The records that readers cache. Agreements, certificates and grants are part of their client's record. */
function recordsOf({
  issuers,
  clients,
  certificates,
  certificateSubjects,
  agreements,
  grants,
  origins,
}: RegistryChanges): readonly RecordName[] {
  const all = <T>({ added, changed }: { readonly added: readonly T[]; readonly changed: readonly T[] }) => [
    ...added,
    ...changed,
  ];
  const owned = <T>({ added, removed }: { readonly added: readonly T[]; readonly removed: readonly T[] }) => [
    ...added,
    ...removed,
  ];
  const names: RecordName[] = [
    ...all(issuers).map(({ iss }): RecordName => `issuer/${iss}`),
    ...all(origins).map(({ name }): RecordName => `origin/${name}`),
    ...all(clients).map(({ id }): RecordName => `client/${id}`),
    ...[...owned(certificates), ...owned(certificateSubjects), ...all(agreements), ...all(grants)].map(
      ({ client }): RecordName => `client/${client}`,
    ),
  ];
  return [...new Set(names)];
}

function count({
  issuers,
  clients,
  certificates,
  certificateSubjects,
  agreements,
  policies,
  grants,
  origins,
}: RegistryChanges): RegistryCounts {
  const weighed = [issuers, clients, agreements, grants, origins];
  return {
    added: weighed.reduce(
      (sum, { added }) => sum + added.length,
      certificates.added.length + certificateSubjects.added.length + policies.length,
    ),
    changed: weighed.reduce(
      (sum, { changed }) => sum + changed.length,
      certificates.removed.length + certificateSubjects.removed.length,
    ),
  };
}
