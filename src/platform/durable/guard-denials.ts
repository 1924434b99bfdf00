import type { DenialList } from "#identity/ports";
import { hear } from "#identity/revocation";
import { instant } from "#kernel/clock";
import type { ClientGuard } from "./client-guard.ts";

/** What is denied to a client, asked of its guard each time: for the token endpoint, which a client calls once in minutes. */
export function guardDenials(guards: DurableObjectNamespace<ClientGuard>): DenialList {
  return {
    async of(client, issuer) {
      const heard = hear(undefined, await guards.getByName(client).denials({ client, issuer }), instant(0));
      if (heard === undefined) throw new Error("a guard told only a part of what is denied");
      return heard.heard.denied;
    },
  };
}
