import { WorkerEntrypoint } from "cloudflare:workers";
import type { News } from "#identity/revocation";
import type { Listener, RevocationSource } from "./durable/guard-epoch.ts";
import { revocationsOf, type RevocationsEnv } from "./revocations.ts";

/** All that a guard can do with the revocations: hear of them. */
export class RevocationFeed extends WorkerEntrypoint<RevocationsEnv> implements RevocationSource {
  async news(listener: Listener, since?: number): Promise<News> {
    return await revocationsOf(this.env).news(listener, since);
  }
}
