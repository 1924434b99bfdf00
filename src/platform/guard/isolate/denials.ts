import type { DenialList } from "#identity/ports";
import { applyUpdate } from "#registry/revocation";
import { instant, type Instant } from "#kernel/clock";
import type { ClientGuard } from "#platform/guard/object/client-guard";

/**
 * The denials for a client, read from its guard each time: for the token endpoint, which a client calls once
 * in minutes.
 */
export function guardDenials(guards: DurableObjectNamespace<ClientGuard>): DenialList {
  return {
    async of(client, issuer) {
      const applied = applyUpdate(
        undefined,
        await guards.getByName(client).denials({ client, issuer }),
        instant(0),
      );
      if (applied === undefined) throw new Error("a guard sent deltas where a snapshot was needed");
      return applied.state.denied;
    },
  };
}

/**
 * Makes a client's guard read the revocations after a token was revoked, so that the client sees the effect
 * at its next question. Elsewhere the token is refused as soon as by any denial. A guard that does not
 * answer learns of it by the usual delta.
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
