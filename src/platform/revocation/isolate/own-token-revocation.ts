import { WorkerEntrypoint } from "cloudflare:workers";
import { ownTokenMillisecondsMax, readDenial } from "#identity/denial-document";
import { instant, type Instant } from "#kernel/clock";
import { endDenied } from "#platform/authorities/end-denied";
import { keyList } from "#platform/config/key-list-setting";
import { revocationsOf, type RevocationsEnv } from "#platform/revocation/object/revocations";

interface OwnTokenEnv extends RevocationsEnv {
  readonly CONSENT_KEY: string;
}

/**
 * The only right that the built-in issuer has over the revocations: to revoke its own tokens, by their
 * `jti`. It lifts no denial and names no other issuer.
 */
export class OwnTokenRevocation extends WorkerEntrypoint<OwnTokenEnv> {
  /**
   * The revocation is in force when this returns true, and the authorities that the token made have ended. False when
   * the client has revoked too many tokens lately. Throws for an invalid token id or end, and for D1's errors: the token
   * is denied then, and the client repeats its request.
   */
  async revoke(client: string, id: string, expires: Instant): Promise<boolean> {
    const read = readDenial({ kind: "token", issuer: this.env.PUBLIC_URL, id, until: expires });
    if (!read.ok || read.value.kind !== "token" || !(expires <= Date.now() + ownTokenMillisecondsMax))
      throw new Error("not the id and the end of a token");
    if (!(await revocationsOf(this.env).denyOwnToken(client, read.value))) return false;
    const keys = keyList("CONSENT_KEY", this.env.CONSENT_KEY);
    await endDenied(this.env.REGISTRY, keys, [read.value], { at: instant(Date.now()), by: client });
    return true;
  }
}
