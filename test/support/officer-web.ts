import { createHash, randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { importJWK, SignJWT, type JWK } from "jose";
import type { DevFile, DevOfficer, DevUser } from "../../cli/connection/dev-file.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import { x5tS256 } from "../../sandbox/certificates.ts";
import { appOf, Browser, pageOf } from "./browser.ts";
import { typed } from "./patient-web.ts";

// no server listens there: the browser stops at the app's redirect
const redirect = "http://127.0.0.1:43119/callback";

/**
 * A person signs in at the sandbox's provider through the operators' client, in a browser without a session.
 * The code is exchanged over this certificate.
 */
export async function signInAtDoor(
  dev: DevFile,
  who: Pick<DevUser, "login" | "password" | "totp">,
  { client, cert, key, signIn: { iss } }: DevOfficer,
  more: Readonly<Record<string, string>> = {},
  atMilliseconds = Date.now(),
): Promise<string> {
  const verifier = randomBytes(32).toString("base64url");
  const asked = new URL(`${iss}/auth`);
  asked.search = new URLSearchParams({
    client_id: client,
    response_type: "code",
    redirect_uri: redirect,
    scope: "openid operate",
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    ...more,
  }).toString();
  const browser = new Browser(dev);
  const answer = await signInWith(browser, asked, who, atMilliseconds);
  const form = {
    grant_type: "authorization_code",
    client_id: client,
    redirect_uri: redirect,
    code_verifier: verifier,
  };
  const reply = await send(dev, { cert, key }, `${iss}/token`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ ...form, code: answer.searchParams.get("code") ?? "" }).toString(),
  });
  const { access_token: token = "" }: { access_token?: string } = JSON.parse(reply.text);
  return token;
}

/**
 * Fills in the form of the page, with the code of this moment, and agrees. Returns the address to which the
 * browser is sent.
 */
export async function signInWith(
  browser: Browser,
  asked: URL,
  who: Pick<DevUser, "login" | "password" | "totp">,
  atMilliseconds = Date.now(),
): Promise<URL> {
  const page = await browser.open(asked);
  const consent = await browser.submit(
    page,
    typed(who, pageOf(page).reply.text.includes('name="code"'), atMilliseconds),
  );
  return appOf(await browser.submit(consent, { decision: "allow" }));
}

/**
 * A token as the sandbox's provider would issue it now for this operator, with changes. `undefined` removes
 * a claim.
 */
export async function officerToken(
  dev: DevFile,
  { login, cert, signIn, client }: DevOfficer,
  changes: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const [issuer] = dev.issuers;
  if (issuer === undefined) throw new Error("no issuer");
  const jwk: JWK = JSON.parse(readFileSync(issuer.jwk, "utf8"));
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: issuer.iss,
    sub: login,
    aud: dev.ops,
    client_id: client,
    scope: "operate",
    jti: randomUUID(),
    iat: now,
    exp: now + 300,
    acr: signIn.acr[0],
    amr: ["pwd", "otp", "mfa"],
    auth_time: now,
    cnf: { "x5t#S256": x5tS256(readFileSync(cert, "utf8")) },
    ...changes,
  };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: issuer.alg, kid: issuer.kid, typ: "at+jwt", ...header })
    .sign(await importJWK(jwk));
}
