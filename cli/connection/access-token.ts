import { readFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import type { JWK } from "jose";
import { importJWK } from "jose/key/import";
import { SignJWT } from "jose/jwt/sign";
import type { DevClient } from "./dev-file.ts";
import type { Deployment } from "./deployment.ts";
import { externalToken } from "./external-token.ts";
import { keyProof } from "./key-proof.ts";
import { send, type Reply } from "./mutual-tls.ts";

export interface AccessTokenRequest {
  /** v3 ActReason codes, space separated; default: the client's only granted purpose. */
  readonly purpose?: string | undefined;
  readonly scope?: string | undefined;
  readonly resource?: string | undefined;
}

/**
 * A client assertion (RFC 7523 §2.2) for the token endpoint of a development stack. It is valid for 60
 * seconds and once.
 */
export async function clientAssertion(
  dev: Deployment,
  client: DevClient,
  changes: Record<string, unknown> = {},
): Promise<string> {
  const jwk = keyOf(client);
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: client.id,
    sub: client.id,
    aud: dev.gateway,
    jti: randomUUID(),
    iat: now,
    exp: now + 55,
    ...changes,
  };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: jwk.alg ?? "ES256", ...(jwk.kid === undefined ? {} : { kid: jwk.kid }) })
    .sign(await importJWK(jwk));
}

function keyOf({ id, jwk }: DevClient): JWK {
  if (jwk === null)
    throw new Error(`${id} has no private key in dev.json: choose a client with private_key_jwt`);
  return JSON.parse(readFileSync(jwk, "utf8"));
}

/** The client's proof at the token endpoint: an assertion, or its certificate alone (RFC 8705 §2.1). */
async function proof(dev: Deployment, client: DevClient): Promise<Record<string, string>> {
  switch (client.auth) {
    case "private_key_jwt":
      return {
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion: await clientAssertion(dev, client),
      };
    case "tls_client_auth":
      return { client_id: client.id };
    case "external":
      throw new Error(`${client.id} gets its tokens from ${client.issuer}, not from the gateway`);
  }
}

/**
 * Requests a token from `/oauth/token` by client_credentials, over the client's certificate or with a proof
 * of its key. The token is bound to that certificate or key.
 */
export async function requestToken(
  dev: Deployment,
  client: DevClient,
  request: AccessTokenRequest = {},
): Promise<Reply> {
  if (!client.dpop) return ask(dev, client, request);
  const first = await ask(
    dev,
    client,
    request,
    await keyProof(keyOf(client), { url: dev.tokenEndpoint, method: "POST" }),
  );
  const nonce = first.headers["dpop-nonce"]?.toString();
  if (first.status !== 400 || nonce === undefined) return first;
  return ask(
    dev,
    client,
    request,
    await keyProof(keyOf(client), { url: dev.tokenEndpoint, method: "POST", nonce }),
  );
}

async function ask(
  dev: Deployment,
  client: DevClient,
  request: AccessTokenRequest,
  dpop?: string,
): Promise<Reply> {
  const form = new URLSearchParams({
    grant_type: "client_credentials",
    ...(await proof(dev, client)),
    ...(request.purpose === undefined ? {} : { purpose_of_use: request.purpose }),
    ...(request.scope === undefined ? {} : { scope: request.scope }),
    ...(request.resource === undefined ? {} : { resource: request.resource }),
  });
  return send(dev, client.dpop ? undefined : client, dev.tokenEndpoint, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded", ...(dpop !== undefined && { dpop }) },
    body: form.toString(),
  });
}

/**
 * An access token for a development client. The built-in issuer issues it, or this function signs it as the
 * sandbox's external issuer would.
 */
export async function accessToken(
  dev: Deployment,
  client: DevClient,
  request: AccessTokenRequest = {},
): Promise<string> {
  if (client.auth === "external") return externalToken(dev, client, request);
  const reply = await requestToken(dev, client, request);
  const answer: { access_token?: string; error?: string; error_description?: string } = JSON.parse(
    reply.text,
  );
  if (answer.access_token === undefined)
    throw new Error(`no token: ${answer.error ?? reply.status} ${answer.error_description ?? ""}`);
  return answer.access_token;
}
