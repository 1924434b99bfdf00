import { join } from "node:path";
import type { JWK } from "jose";
import { keptKey, publicHalf } from "../keys.ts";

/**
 * The sandbox's identity provider, as the registry describes it. The holder of its private key can sign for
 * it. Development only.
 */
export interface SandboxIssuer {
  readonly iss: string;
  /** Absolute path of the private JWK. */
  readonly jwk: string;
  readonly kid: string;
  readonly alg: "ES256";
  readonly audience: string;
  readonly publicKey: JWK;
}

/**
 * Makes (or finds) the key of the provider at `iss`. It signs for the people who sign in there; `phylax
 * token` signs with it too.
 */
export async function sandboxIssuer(state: string, iss: string, audience: string): Promise<SandboxIssuer> {
  const jwk = join(state, "issuers", "sandbox.jwk.json");
  const kid = "sandbox-issuer-1";
  const publicKey = publicHalf(await keptKey(jwk, "ES256", kid));
  return { iss, jwk, kid, alg: "ES256", audience, publicKey };
}
