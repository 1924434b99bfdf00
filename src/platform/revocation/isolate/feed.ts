import { WorkerEntrypoint } from "cloudflare:workers";
import type { RevocationUpdate } from "#registry/revocation";
import type { Listener, RevocationSource } from "#platform/guard/object/guard-epochs";
import { revocationsOf, type RevocationsEnv } from "#platform/revocation/object/revocations";

/** The only right that a guard has over the revocations: to read them. */
export class RevocationFeed extends WorkerEntrypoint<RevocationsEnv> implements RevocationSource {
  async news(listener: Listener, since?: number): Promise<RevocationUpdate> {
    return await revocationsOf(this.env).news(listener, since);
  }
}
