import type { Region } from "#kernel/region";
import { regionOfLog } from "#ledger/layout";
import type { LedgerPlacement } from "#platform/ledger/placement";

/** Gives a new stub of a Durable Object by its name. A stub whose object was reset stays broken. */
export type StubOf<Stub> = (name: string) => Stub;

type Branded = Rpc.DurableObjectBranded;

/** The ledger's logs: a shard's log or the root log, by the log's name. */
export const logStubs =
  <T extends Branded>(
    logs: DurableObjectNamespace<T>,
    { layout, jurisdiction }: LedgerPlacement,
  ): StubOf<DurableObjectStub<T>> =>
  (log) =>
    stubIn(logs, log, jurisdiction, regionOfLog(log, layout));

/** Objects in the ledger's jurisdiction and of no region: shelves and intakes of accounting lines, element counts, traffic. */
export const regionlessStubs =
  <T extends Branded>(
    objects: DurableObjectNamespace<T>,
    { jurisdiction }: LedgerPlacement,
  ): StubOf<DurableObjectStub<T>> =>
  (name) =>
    stubIn(objects, name, jurisdiction, undefined);

/**
 * The only place that calls an object of the ledger, or a grant's element counts, by its name: the first call places the object for good,
 * so each caller must give the same hint.
 */
function stubIn<T extends Branded>(
  namespace: DurableObjectNamespace<T>,
  name: string,
  jurisdiction: DurableObjectJurisdiction | undefined,
  region: Region | undefined,
): DurableObjectStub<T> {
  const within = jurisdiction === undefined ? namespace : namespace.jurisdiction(jurisdiction);
  return region === undefined ? within.getByName(name) : within.getByName(name, { locationHint: region });
}
