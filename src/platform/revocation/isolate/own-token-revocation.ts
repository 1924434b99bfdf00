import { WorkerEntrypoint } from "cloudflare:workers";
import { readDenial } from "#identity/denial";
import type { Instant } from "#kernel/clock";
import { revocationsOf, type RevocationsEnv } from "#platform/revocation/object/revocations";

// Tokens live five minutes; clocks differ by a little.
const aheadMillisecondsMax = 600_000;

/** All that the built-in issuer can do to the revocations: end tokens of its own, by their `jti`. It lifts nothing, and names no other issuer. */
export class OwnTokenRevocation extends WorkerEntrypoint<RevocationsEnv> {
  /** In force when it returns true; false when the client has ended too many lately. Throws for what is no token's id or end. */
  async revoke(client: string, id: string, expires: Instant): Promise<boolean> {
    const read = readDenial({ kind: "token", issuer: this.env.PUBLIC_URL, id, until: expires });
    if (!read.ok || read.value.kind !== "token" || !(expires <= Date.now() + aheadMillisecondsMax))
      throw new Error("not the id and the end of a token");
    return await revocationsOf(this.env).denyOwnToken(client, read.value);
  }
}
