import { randomUUID } from "node:crypto";
import { exportJWK } from "jose";
import { calculateThumbprint, generateKeyPair, generateProof, type KeyPair } from "dpop";
import type { DevFile } from "../../cli/connection/dev-file.ts";
import { send, type Reply, type Sending } from "../../cli/connection/mutual-tls.ts";
import { newKey, sign, type Key } from "./credentials.ts";
import { rememberSecret } from "./secrets-made.ts";

/** A target for the requests of `dev`: a stack, or a door. */
interface Asked {
  readonly dev: DevFile;
}

/**
 * A client without a certificate: a key for its assertions, a key for its proofs, and the nonce that the
 * gateway gave it last.
 */
export interface KeyHolder {
  readonly id: string;
  readonly assertionKey: Key;
  readonly pair: KeyPair;
  readonly jkt: string;
  nonce: string | undefined;
}

export async function keyHolder(id: string): Promise<KeyHolder> {
  const pair = await generateKeyPair("ES256", { extractable: true });
  rememberSecret((await exportJWK(pair.privateKey)).d);
  return {
    id,
    assertionKey: await newKey("ES256", `${id}-1`),
    pair,
    jkt: await calculateThumbprint(pair.publicKey),
    nonce: undefined,
  };
}

/** The client's entry in the registry. */
export const keyHolderEntry = ({ id, assertionKey }: KeyHolder) => ({
  id,
  kind: "telehealth",
  auth: "private_key_jwt",
  jwks: { keys: [assertionKey.jwk] },
  dpop: true,
});

const keep = (holder: KeyHolder, reply: Reply): Reply => {
  holder.nonce = reply.headers["dpop-nonce"]?.toString() ?? holder.nonce;
  return reply;
};

/** Asks the token endpoint once. `proof` replaces the good proof; `null` leaves it out. */
export async function requestKeyBoundToken(
  { dev }: Asked,
  holder: KeyHolder,
  proof?: string | null,
): Promise<Reply> {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: holder.id,
    sub: holder.id,
    aud: dev.gateway,
    jti: randomUUID(),
    iat: now,
    exp: now + 55,
  };
  const form = new URLSearchParams({
    grant_type: "client_credentials",
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: await sign(holder.assertionKey, claims),
  });
  const dpop =
    proof === undefined ? await generateProof(holder.pair, dev.tokenEndpoint, "POST", holder.nonce) : proof;
  const headers = { "content-type": "application/x-www-form-urlencoded", ...(dpop === null ? {} : { dpop }) };
  return keep(
    holder,
    await send(dev, undefined, dev.tokenEndpoint, { method: "POST", headers, body: form.toString() }),
  );
}

/** A token bound to the holder's key. It takes two requests, because the first answer carries the nonce. */
export async function keyBoundToken(phylax: Asked, holder: KeyHolder): Promise<string> {
  await requestKeyBoundToken(phylax, holder);
  const reply = await requestKeyBoundToken(phylax, holder);
  const { access_token: token }: { access_token?: string } = JSON.parse(reply.text);
  if (token === undefined) throw new Error(`no token: ${reply.text}`);
  return token;
}

/** A proof for a read below the FHIR base with the holder's nonce. */
export const proofFor = (
  { dev }: Asked,
  { pair, nonce }: KeyHolder,
  token: string,
  path: string,
  method = "GET",
): Promise<string> => generateProof(pair, `${dev.fhir}/${path.split("?")[0] ?? ""}`, method, nonce, token);

/** Sends a token under the DPoP scheme, with a good proof unless the caller gives a proof. */
export async function askWithProof(
  phylax: Asked,
  holder: KeyHolder,
  token: string,
  path: string,
  sending: Sending & { readonly proof?: string } = {},
): Promise<Reply> {
  const dpop = sending.proof ?? (await proofFor(phylax, holder, token, path, sending.method));
  const headers = { authorization: `DPoP ${token}`, dpop, ...sending.headers };
  return keep(
    holder,
    await send(phylax.dev, undefined, `${phylax.dev.fhir}/${path}`, { ...sending, headers }),
  );
}
