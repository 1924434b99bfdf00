import type { DenialList, GuardedClient } from "#identity/ports";
import { inTime } from "#platform/deadlines";
import { pastReset } from "#platform/past-reset";
import { guardStub } from "./guard-stub.ts";
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
        await inTime("guard", () =>
          pastReset(
            () => guardStub(guards, client.id, client.home?.region),
            async (guard) => await guard.denials({ client: client.id, issuer }),
          ),
        ),
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
  revoker: OwnTokenRevoker,
  guards: DurableObjectNamespace<ClientGuard>,
  issuer: string,
): { revoke(client: GuardedClient, id: string, expires: Instant): Promise<boolean> } {
  return {
    async revoke(client, id, expires) {
      const done = await inTime("control", () => revoker.revoke(client.id, id, expires));
      if (done)
        await inTime("guard", () =>
          guardStub(guards, client.id, client.home?.region).heed({ client: client.id, issuer }),
        ).catch(() => {});
      return done;
    },
  };
}

interface OwnTokenRevoker {
  revoke(client: string, id: string, expires: Instant): Promise<boolean>;
}
