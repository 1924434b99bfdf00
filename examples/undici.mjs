// A service on undici and jose: private_key_jwt, a token bound to the client's certificate (RFC 8705), and a search over all of its pages.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { importJWK, SignJWT } from "jose";
import { Agent, request } from "undici";

const dev = JSON.parse(readFileSync(process.argv[2] ?? ".phylax/dev.json", "utf8"));
const me = dev.clients.find(({ id }) => id === "telehealth");
const read = (path) => readFileSync(path, "utf8");
const dispatcher = new Agent({ connect: { ca: read(dev.ca), cert: read(me.cert), key: read(me.key) } });

/** An assertion is valid for one minute and once. Profile fapi2: its audience is the issuer. */
async function assertion() {
  const key = JSON.parse(read(me.jwk));
  return new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: "ES256", kid: key.kid })
    .setIssuer(me.id)
    .setSubject(me.id)
    .setAudience(dev.gateway)
    .setIssuedAt()
    .setExpirationTime("50s")
    .sign(await importJWK(key, "ES256"));
}

async function newToken() {
  const form = new URLSearchParams({
    grant_type: "client_credentials",
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: await assertion(),
    scope: "system/Patient.rs system/Observation.rs",
  });
  const { statusCode, body } = await request(dev.tokenEndpoint, {
    dispatcher,
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: form.toString(),
  });
  const answer = await body.json();
  if (statusCode !== 200) throw new Error(`no token: ${answer.error}: ${answer.error_description}`);
  return answer.access_token;
}

/** Asks, and waits as long as a used-up quota says. Every other refusal says in its text what to do. */
async function ask(url, token) {
  for (;;) {
    const { statusCode, headers, body } = await request(url, {
      dispatcher,
      headers: { authorization: `Bearer ${token}`, accept: "application/fhir+json" },
    });
    const answer = await body.json();
    if (statusCode === 200) return { answer, receipt: headers["phylax-receipt"] };
    if (statusCode !== 429) throw new Error(`${statusCode}: ${answer.issue[0].details.text}`);
    await sleep(Number(headers["retry-after"]) * 1000);
  }
}

const token = await newToken();
let url = `${dev.fhir}/Observation?patient=amara-okafor&_count=20`;
let count = 0;
while (url !== undefined) {
  const { answer, receipt } = await ask(url, token);
  count += answer.entry?.length ?? 0;
  console.log(`page of ${answer.entry?.length ?? 0}, on record at ${String(receipt)}`);
  url = answer.link.find(({ relation }) => relation === "next")?.url; // followed exactly as it is
}
console.log(`${count} observations`);
await dispatcher.close();
