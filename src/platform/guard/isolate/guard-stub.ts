import type { Region } from "#kernel/region";
import type { ClientGuard } from "#platform/guard/object/client-guard";

/**
 * A new stub of a client's guard, or of a guard of its subjects. The first call places the guard for good: in
 * the client's home region, if the registry names one, otherwise near the caller. A client's calls for a
 * lease wait for its guard, so each caller gives the same hint.
 */
export const guardStub = (
  guards: DurableObjectNamespace<ClientGuard>,
  name: string,
  home: Region | undefined,
): DurableObjectStub<ClientGuard> =>
  home === undefined ? guards.getByName(name) : guards.getByName(name, { locationHint: home });
