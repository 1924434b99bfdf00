import { sha256 } from "#ledger/bytes/hash";
import { utf8 } from "#kernel/encoded";
import { exportRegistry, stateText, type ExportedRegistry } from "#registry/export";
import {
  incoming,
  changeRegistry,
  emptyFile,
  mergeRegistry,
  type MergeMode,
  type Prepared,
  type RegistryChanges,
} from "#registry/merge";
import { canonical } from "#registry/canonical";
import { planChanges, type PlannedChange } from "#registry/plan";
import { inSet, readChange, readRegistry } from "#registry/read";
import { grantKey, type RegistryState } from "#registry/state";
import type { RegistryDocument } from "#registry/document";
import { invalid, needsApproval, pointer, type RegistryProblem } from "#registry/problem";
import type { RecordName } from "#registry/revocation";
import { exceptionProblem } from "#registry/unbound-exception";
import { openings, type AroundChange } from "#authoring/openings";
import type { Clock } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { placeProblem, unboundProblem, type AllowedPlaces } from "#platform/config/allowed-places";
import { prepareRegistry } from "./prepare-registry.ts";
import { readOperatorIssuers, readPolicies, readRegistryState } from "./read-registry-state.ts";
import type { RegistrySql } from "./registry-sql.ts";
import { writeRegistry, type RegistryWriteItem } from "./write-registry.ts";

/** How many entries were added, changed or removed. All are 0 when the registry was already in that state. */
export interface RegistryCounts {
  readonly added: number;
  readonly changed: number;
  /** Only a change has this number: a registry file removes nothing. */
  readonly removed?: number;
}

/** The rules of this deployment for a registry document. */
export interface RegistryRules {
  readonly clock: Clock;
  readonly publicUrl: string;
  /** The servers and secrets that this deployment allows, as far as this worker knows them. */
  readonly allowed?: AllowedPlaces | undefined;
  /** The regions of the ledger's shards, if this worker knows them. */
  readonly regions?: ReadonlySet<string> | undefined;
}

/** A write that belongs to a change: in the same batch, or not at all. */
export interface AlsoWritten {
  /** Asked before the write, with the change's present plan, in place of `expects`: a problem refuses the change. */
  readonly problem: (session: RegistrySql, plan: PlannedAt) => Promise<RegistryProblem | undefined>;
  readonly write: (session: RegistrySql) => RegistryWriteItem;
}

export interface ApplyPorts extends RegistryRules {
  /** True: a document that opens access is refused, because one person sends it. */
  readonly narrowsOnly?: boolean;
  readonly also?: AlsoWritten | undefined;
  /** Receives the records that are about to be written. Nothing is written before it resolves. */
  readonly begin?: (records: readonly RecordName[]) => Promise<void>;
  /** Receives each entry that is about to change, with its content before and after. */
  readonly planned?: (changes: readonly PlannedChange[]) => void;
  /**
   * Receives the registry's bookmark after the write, or the bookmark of the read when there was nothing to
   * write.
   */
  readonly seen?: (bookmark: string | null) => void;
}

/**
 * Merges a registry file into the registry, or applies a change to it: all of it, or nothing together with
 * the place of the problem in the document. Throws when D1 fails.
 */
export async function applyRegistry(
  registry: D1Database,
  document: unknown,
  mode: MergeMode,
  ports: ApplyPorts,
): Promise<Result<RegistryCounts, RegistryProblem>> {
  const read = await readWrite(document, mode, ports);
  if (!read.ok) return read;
  const { also } = ports;
  const settle = async (): Promise<Result<RegistryCounts, RegistryProblem>> => {
    // A new session each time: within one session, D1 may read a copy of the database that lacks another
    // writer's change.
    const session = registry.withSession("first-primary");
    const there = await readRegistryState(session);
    const around = await aroundChange(session, there);
    const changes = read.value.changes(there, around.operatorIssuers, also !== undefined);
    if (!changes.ok) {
      ports.seen?.(session.getBookmark());
      return changes;
    }
    const planned = planChanges(there, changes.value);
    const refused =
      (also && (await also.problem(session, await planAt(session, there, changes.value, around)))) ??
      (await approvalProblem(session, there, changes.value, around, ports));
    if (refused !== undefined) {
      ports.seen?.(session.getBookmark());
      return err(refused);
    }
    ports.planned?.(planned);
    const records = recordsOf(changes.value);
    if (records.length > 0) await ports.begin?.(records);
    await writeRegistry(session, changes.value, ports.clock(), also?.write(session));
    ports.seen?.(session.getBookmark());
    return ok(count(changes.value, mode));
  };
  try {
    return await settle();
  } catch (fault) {
    // Another writer may have written between the read and the write: read the present state and try once
    // more. The first try may have been written although its answer is lost: then a refusal of the second says
    // nothing about the document.
    const again = await settle();
    if (!again.ok) throw fault;
    return again;
  }
}

/** The plan of a change, and the state of the registry that it was made on. */
export interface PlannedAt {
  /** Digest of the registry that the plan was made on, for `expects` of the change. */
  readonly digest: string;
  readonly changes: readonly PlannedChange[];
  /** The access that the change may open, in words: empty if one person may make the change. */
  readonly opens: readonly string[];
}

/** A plan for persons. */
export interface RegistryPlan extends PlannedAt {
  /** Bodies of the policies that changed grants name before or after, by digest. */
  readonly policies: Readonly<Record<string, unknown>>;
}

/** Names a plan by the entries that it touches, before and after, and by what it opens, in whatever registry. */
export const planDigest = ({ changes, opens }: Pick<PlannedAt, "changes" | "opens">): string =>
  `plan:${hexOf(canonical({ changes, opens }))}`;

/** The change of a proposal on the present registry is the change that its author saw. */
export const isPlanOf = (expects: string | null, plan: PlannedAt): boolean =>
  expects === planDigest(plan) || expects === plan.digest; // earlier proposals expect a state of the registry

/** A proposal whose plan is a different plan now. */
export const stalePlan: RegistryProblem = {
  reason: "stale",
  pointer: pointer(["proposal"]),
  problem: "the entries that it touches have changed since the proposal: plan it again",
};

/**
 * Plans a change and writes nothing. Throws when D1 fails.
 *
 * @param onAnyState the plan ignores `expects`.
 */
export async function planRegistry(
  registry: D1Database,
  document: unknown,
  rules: RegistryRules,
  onAnyState = false,
): Promise<Result<RegistryPlan, RegistryProblem>> {
  const read = await readWrite(document, "change", rules);
  if (!read.ok) return read;
  const session = registry.withSession("first-primary");
  const there = await readRegistryState(session);
  const around = await aroundChange(session, there);
  const changes = read.value.changes(there, around.operatorIssuers, onAnyState);
  return changes.ok ? ok(await planAt(session, there, changes.value, around)) : changes;
}

async function planAt(
  session: RegistrySql,
  there: RegistryState,
  changes: RegistryChanges,
  around: AroundChange,
): Promise<RegistryPlan> {
  const planned = planChanges(there, changes);
  const policies = await policiesOf(session, there, changes);
  return {
    digest: stateDigest(there),
    changes: planned,
    policies,
    opens: openings(planned, policies, around),
  };
}

const aroundChange = async (session: RegistrySql, there: RegistryState): Promise<AroundChange> => ({
  ...there,
  grants: [...there.grants.values()],
  operatorIssuers: await readOperatorIssuers(session),
});

/** The bodies of the policies that changed grants name before or after, by digest. */
async function policiesOf(
  session: RegistrySql,
  there: RegistryState,
  { grants: { added, changed }, removed, policies }: RegistryChanges,
): Promise<Readonly<Record<string, unknown>>> {
  const touched = [...added, ...changed, ...removed.grants];
  const before = touched.flatMap((grant) => there.grants.get(grantKey(grant)) ?? []);
  const named = new Set([...touched, ...before].map(({ policy }) => policy));
  const known = [...(await readPolicies(session, named)), ...policies];
  return Object.fromEntries(known.map(({ digest, body }) => [digest, body]));
}

/** Refuses a document that opens access if one person sends it. */
async function approvalProblem(
  session: RegistrySql,
  there: RegistryState,
  changes: RegistryChanges,
  around: AroundChange,
  { narrowsOnly }: Pick<ApplyPorts, "narrowsOnly">,
): Promise<RegistryProblem | undefined> {
  if (narrowsOnly !== true) return undefined;
  const [first, ...more] = (await planAt(session, there, changes, around)).opens;
  return first === undefined
    ? undefined
    : {
        reason: "approval_required",
        pointer: "",
        problem: `${needsApproval}: ${first}${more.length === 0 ? "" : ` and ${more.length} more`}`,
      };
}

/** The registry's present state as a registry file, with its digest. */
export interface ShownRegistry {
  readonly digest: string;
  readonly registry: ExportedRegistry;
}

/** Throws when D1 fails. */
export async function showRegistry(registry: D1Database): Promise<ShownRegistry> {
  const session = registry.withSession("first-primary");
  const there = await readRegistryState(session);
  const named = new Set([...there.grants.values()].map(({ policy }) => policy));
  return { digest: stateDigest(there), registry: exportRegistry(there, await readPolicies(session, named)) };
}

const hexOf = (text: string): string => Buffer.from(sha256(utf8(text))).toString("hex");
const stateDigest = (state: RegistryState): string => `sha256:${hexOf(stateText(state))}`;

/** A document to write, checked as far as possible without the registry's state. */
interface RegistryWrite {
  readonly changes: (
    there: RegistryState,
    operatorIssuers: ReadonlySet<string>,
    onAnyState: boolean,
  ) => Result<RegistryChanges, RegistryProblem>;
}

async function readWrite(
  document: unknown,
  mode: MergeMode,
  { clock, publicUrl, allowed, regions }: RegistryRules,
): Promise<Result<RegistryWrite, RegistryProblem>> {
  const prepare = async (file: RegistryDocument): Promise<Result<Prepared, RegistryProblem>> => {
    const wrong =
      exceptionProblem(file, clock()) ??
      (allowed === undefined ? unboundProblem(file) : placeProblem(file, allowed)) ??
      (regions && regionProblem(file, regions));
    return wrong === undefined ? await prepareRegistry(file) : err(wrong);
  };
  if (mode === "change") {
    const change = readChange(document, publicUrl);
    if (!change.ok) return change;
    const prepared = await prepare(change.value.set ?? emptyFile);
    if (!prepared.ok) return err(inSet(prepared.error));
    return ok({
      changes: (there, operatorIssuers, onAnyState) => {
        const { expects } = change.value;
        return !onAnyState && expects !== undefined && expects !== stateDigest(there)
          ? err(staleRegistry)
          : changeRegistry(there, change.value, prepared.value, operatorIssuers);
      },
    });
  }
  const file = readRegistry(document, publicUrl);
  if (!file.ok) return file;
  const prepared = await prepare(file.value);
  if (!prepared.ok) return prepared;
  return ok({ changes: (there) => mergeRegistry(there, file.value, prepared.value, mode) });
}

const staleRegistry: RegistryProblem = {
  reason: "stale",
  pointer: pointer(["expects"]),
  problem: "the registry has changed since the plan: make the plan again",
};

/** A client at home in a region without shards: its keys' logs would be anywhere in the world. */
function regionProblem(
  { clients }: RegistryDocument,
  regions: ReadonlySet<string>,
): RegistryProblem | undefined {
  const i = clients.findIndex(({ region }) => region !== undefined && !regions.has(region));
  return i === -1
    ? undefined
    : invalid(["clients", i, "region"], "has no shards: LEDGER_REGIONS of this deployment does not list it");
}

/** The records that readers cache. Agreements, certificates and grants are part of their client's record. */
function recordsOf(changes: RegistryChanges): readonly RecordName[] {
  const { certificates, certificateSubjects, agreements, grants, removed } = changes;
  const issuers = incoming(changes.issuers).map(({ iss }) => iss);
  const origins = incoming(changes.origins).map(({ name }) => name);
  const owners = [
    ...incoming(agreements),
    ...incoming(grants),
    ...certificates.added,
    ...certificates.removed,
    ...certificateSubjects.added,
    ...certificateSubjects.removed,
    ...removed.agreements,
    ...removed.grants,
  ];
  const clients = [...incoming(changes.clients).map(({ id }) => id), ...owners.map(({ client }) => client)];
  return [
    ...new Set([...issuers, ...removed.issuers].map((iss): RecordName => `issuer/${iss}`)),
    ...new Set([...origins, ...removed.origins].map((name): RecordName => `origin/${name}`)),
    ...new Set([...clients, ...removed.clients].map((id): RecordName => `client/${id}`)),
  ];
}

function count(changes: RegistryChanges, mode: MergeMode): RegistryCounts {
  const { certificates, certificateSubjects, policies, removed } = changes;
  const owned = [certificates, certificateSubjects];
  const weighed = [changes.issuers, changes.clients, changes.agreements, changes.grants, changes.origins];
  const sizeOf = (lists: readonly (readonly unknown[])[]) => lists.flat().length;
  return {
    added: sizeOf([policies, ...[...weighed, ...owned].map(({ added }) => added)]),
    changed: sizeOf([...weighed.map(({ changed }) => changed), ...owned.map((each) => each.removed)]),
    ...(mode === "change" && { removed: sizeOf(Object.values(removed)) }),
  };
}
