import { WorkerEntrypoint } from "cloudflare:workers";
import type { RevocationUpdate } from "#registry/revocation";
import type { Listener, RevocationSource } from "#platform/guard/object/epoch";
import { revocationsOf, type RevocationsEnv } from "#platform/revocation/object/revocations";

/** All that a guard can do with the revocations: hear of them. */
export class RevocationFeed extends WorkerEntrypoint<RevocationsEnv> implements RevocationSource {
  async news(listener: Listener, since?: number): Promise<RevocationUpdate> {
    return await revocationsOf(this.env).news(listener, since);
  }
}
