import { afterAll, beforeAll } from "vitest";
import { askersUnder, type Askers } from "./askers.ts";
import { TwoWorlds } from "./two-worlds.ts";

/**
 * Two worlds for the tests of a file, and clients of both worlds under a policy. The worlds open before the
 * first test and close after the last test.
 *
 * @param quotas of the clients' grants, in addition to the default quota.
 */
export function worldsUnder(policy: { readonly name: string }, quotas: object = {}) {
  let opened: { readonly askers: Askers; readonly worlds: TwoWorlds } | undefined;
  beforeAll(async () => {
    const askers = await askersUnder(policy, quotas);
    opened = { askers, worlds: await TwoWorlds.open({ registry: askers.registry }) };
  }, 60_000);
  afterAll(() => opened?.worlds.close());
  const now = () => {
    if (opened === undefined) throw new Error("the worlds open before the first test");
    return opened;
  };
  return {
    by: (...caller: Parameters<Askers["by"]>) => now().askers.by(...caller),
    under: (more: object) => now().askers.under(more),
    compare: (...asked: Parameters<TwoWorlds["compare"]>) => now().worlds.compare(...asked),
    /** FHIR base, as clients call it. */
    get base() {
      return now().worlds.base;
    },
    /** FHIR base of the origin, as the gateway calls it. */
    get originBase() {
      return now().worlds.originBase;
    },
  };
}
