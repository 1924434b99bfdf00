import type { DenialList } from "#identity/ports";
import { applyUpdate } from "#registry/revocation";
import { instant, type Instant } from "#kernel/clock";
import type { ClientGuard } from "#platform/guard/object/client-guard";

/** What is denied to a client, asked of its guard each time: for the token endpoint, which a client calls once in minutes. */
export function guardDenials(guards: DurableObjectNamespace<ClientGuard>): DenialList {
  return {
    async of(client, issuer) {
      const applied = applyUpdate(
        undefined,
        await guards.getByName(client).denials({ client, issuer }),
        instant(0),
      );
      if (applied === undefined) throw new Error("a guard told only a part of what is denied");
      return applied.state.denied;
    },
  };
}

/**
 * Tells a client's guard of a token that was ended, so that the one who ended it sees it ended at the next question. Elsewhere it is refused
 * as soon as any denial is; a guard that does not answer hears of it like everything else.
 */
export function refreshingGuard(
  revoker: OwnTokens,
  guards: DurableObjectNamespace<ClientGuard>,
  issuer: string,
): OwnTokens {
  return {
    async revoke(client, id, expires) {
      const done = await revoker.revoke(client, id, expires);
      if (done)
        await guards
          .getByName(client)
          .heed({ client, issuer })
          .catch(() => {});
      return done;
    },
  };
}

interface OwnTokens {
  revoke(client: string, id: string, expires: Instant): Promise<boolean>;
}
