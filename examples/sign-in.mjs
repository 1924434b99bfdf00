// An app in which a person signs in, on openid-client: code flow with PKCE, and a token bound to a new key (docs/sign-in.md).
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import * as client from "openid-client";

const { issuers, fhir } = JSON.parse(readFileSync(process.argv[2] ?? ".phylax/dev.json", "utf8"));
const app = await client.discovery(new URL(issuers[0].iss), "patient-web", undefined, client.None());
const door = createServer().listen(0, "127.0.0.1");
await once(door, "listening");
const redirect_uri = `http://127.0.0.1:${door.address().port}/callback`;
const [verifier, state] = [client.randomPKCECodeVerifier(), client.randomState()];
const asked = {
  redirect_uri,
  state,
  scope: "openid fhirUser launch/patient offline_access patient/*.rs",
  aud: fhir,
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  ...(process.env.ACR_VALUES && { acr_values: process.env.ACR_VALUES }),
};
console.log(client.buildAuthorizationUrl(app, asked).href);

const [request, response] = await once(door, "request");
response.end("You can close this window.");
const DPoP = client.getDPoPHandle(app, await client.randomDPoPKeyPair("ES256"));
const checks = { pkceCodeVerifier: verifier, expectedState: state };
const tokens = await client.authorizationCodeGrant(
  app,
  new URL(request.url, redirect_uri),
  checks,
  undefined,
  { DPoP },
);
console.log(tokens.fhirUser, tokens.claims().acr, new Date(tokens.claims().auth_time * 1000));
const record = new URL([fhir, "Patient", tokens.patient].join("/"));
const answer = await client.fetchProtectedResource(app, tokens.access_token, record, "GET", null, undefined, {
  DPoP,
});
console.log(answer.status, await answer.text());
process.exit();
