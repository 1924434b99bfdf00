import type { Region } from "#kernel/region";

/** A namespace of guards, as far as it finds them by name. */
export interface NamedGuards<Guard> {
  getByName(name: string, options?: { readonly locationHint?: Region }): Guard;
}

/**
 * A new stub of a client's guard, or of a guard of its subjects. The first call places the guard for good: in
 * the client's home region, if the registry names one, otherwise near the caller. A client's calls for a
 * lease wait for its guard, so each caller gives the same hint.
 */
export const guardStub = <Guard>(guards: NamedGuards<Guard>, name: string, home: Region | undefined): Guard =>
  home === undefined ? guards.getByName(name) : guards.getByName(name, { locationHint: home });
