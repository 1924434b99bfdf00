import { WorkerEntrypoint } from "cloudflare:workers";
import { ownTokenMillisecondsMax, readDenial } from "#identity/denial-document";
import type { Instant } from "#kernel/clock";
import { revocationsOf, type RevocationsEnv } from "#platform/revocation/object/revocations";

/**
 * The only right that the built-in issuer has over the revocations: to revoke its own tokens, by their
 * `jti`. It lifts no denial and names no other issuer.
 */
export class OwnTokenRevocation extends WorkerEntrypoint<RevocationsEnv> {
  /**
   * The revocation is in force when this returns true. False when the client has revoked too many tokens
   * lately. Throws for an invalid token id or end.
   */
  async revoke(client: string, id: string, expires: Instant): Promise<boolean> {
    const read = readDenial({ kind: "token", issuer: this.env.PUBLIC_URL, id, until: expires });
    if (!read.ok || read.value.kind !== "token" || !(expires <= Date.now() + ownTokenMillisecondsMax))
      throw new Error("not the id and the end of a token");
    return await revocationsOf(this.env).denyOwnToken(client, read.value);
  }
}
