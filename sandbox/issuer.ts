import { join } from "node:path";
import type { JWK } from "jose";
import { keptKey, publicHalf } from "./keys.ts";

/** An issuer outside of Phylax, as far as the registry goes; whoever has its private key signs for it. Development only. */
export interface SandboxIssuer {
  readonly iss: string;
  /** Absolute path of the private JWK. */
  readonly jwk: string;
  readonly kid: string;
  readonly alg: "ES256";
  readonly audience: string;
  readonly publicKey: JWK;
}

/** Makes (or finds) the key of the issuer whose tokens the patient's app brings. It has no server: `phylax token` signs. */
export async function sandboxIssuer(state: string, audience: string): Promise<SandboxIssuer> {
  const jwk = join(state, "issuers", "sandbox.jwk.json");
  const kid = "sandbox-issuer-1";
  const publicKey = publicHalf(await keptKey(jwk, "ES256", kid));
  return { iss: "https://issuer.phylax.example", jwk, kid, alg: "ES256", audience, publicKey };
}
