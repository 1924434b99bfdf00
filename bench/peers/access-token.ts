import { SignJWT, type CryptoKey } from "jose";
import { ask, type ClientFiles } from "./ask.ts";

/** A registered client that requests tokens, with its key and certificate. */
export interface TokenClient {
  readonly id: string;
  readonly key: CryptoKey;
  readonly kid: string;
  readonly tls: ClientFiles;
}

/**
 * An access token by client_credentials and private_key_jwt over the client's certificate. The token is bound
 * to that certificate.
 */
export async function accessToken(gateway: string, client: TokenClient): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const assertion = await new SignJWT({
    iss: client.id,
    sub: client.id,
    aud: gateway,
    jti: crypto.randomUUID(),
    iat: now,
    exp: now + 55,
  })
    .setProtectedHeader({ alg: "ES256", kid: client.kid })
    .sign(client.key);
  const form = new URLSearchParams({
    grant_type: "client_credentials",
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: assertion,
  });
  const answer: { readonly access_token?: string } = JSON.parse(
    await ask(`${gateway}/oauth/token`, client.tls, form.toString()),
  );
  if (answer.access_token === undefined) throw new Error("the benchmark's client gets no token");
  return answer.access_token;
}
