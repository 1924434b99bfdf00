// A service without a certificate, on openid-client: private_key_jwt, and a token bound to a key that signs a proof for each request (RFC 9449).
// The library repeats a request with the server's nonce when it is asked to.
import { readFileSync } from "node:fs";
import { importJWK } from "jose";
import * as client from "openid-client";

const dev = JSON.parse(readFileSync(process.argv[2] ?? ".phylax/dev.json", "utf8"));
const me = dev.clients.find(({ id }) => id === "telehealth-mobile");
const jwk = JSON.parse(readFileSync(me.jwk, "utf8"));
const authentication = client.PrivateKeyJwt({ key: await importJWK(jwk, "ES256"), kid: jwk.kid });
const server = await client.discovery(new URL(dev.gateway), me.id, undefined, authentication, {
  algorithm: "oauth2",
});

const DPoP = client.getDPoPHandle(server, await client.randomDPoPKeyPair("ES256"));
const tokens = await client.clientCredentialsGrant(server, { scope: "system/Patient.r" }, { DPoP });
const patient = new URL(`${dev.fhir}/Patient/amara-okafor`);
const answer = await client.fetchProtectedResource(
  server,
  tokens.access_token,
  patient,
  "GET",
  null,
  undefined,
  { DPoP },
);
console.log(tokens.token_type, answer.status, answer.headers.get("phylax-receipt"));
console.log(await answer.text());
