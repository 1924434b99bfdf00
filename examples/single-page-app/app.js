// A single-page SMART app: authorization code with PKCE (RFC 7636), and tokens bound to a key of the browser (DPoP, RFC 9449).
// `browser` is the window: its location, sessionStorage and fetch.

// with AuditEvent, for the accounting; the messages are requests for corrections
const scope = "openid fhirUser launch/patient patient/*.rs patient/Communication.c";
const text = new TextEncoder();
const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
const sha256 = async (value) => base64url(await crypto.subtle.digest("SHA-256", text.encode(value)));
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

/**
 * Returns the patient's record, a function that asks the FHIR base, and a function that gets the accounting of disclosures
 * as a page; or nothing when the browser leaves to sign in.
 */
export async function start(settings, browser) {
  const { location, sessionStorage } = browser;
  const metadata = await (await browser.fetch(`${settings.issuer}/.well-known/openid-configuration`)).json();
  const answer = new URL(location.href).searchParams;
  if (answer.has("error")) throw new Error(`${answer.get("error")}: ${answer.get("error_description")}`);
  const redirect = new URL("/callback", location.href).href;
  if (!answer.has("code")) return signIn(settings, metadata, redirect, browser);

  const begun = JSON.parse(sessionStorage.getItem("sign-in") ?? "{}");
  sessionStorage.removeItem("sign-in"); // a code and a verifier are used once
  if (answer.get("state") !== begun.state) throw new Error("This answer belongs to another sign-in.");
  if (answer.get("iss") !== settings.issuer) throw new Error("This answer comes from another issuer.");
  const key = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
  const session = { key, nonces: new Map(), fetch: browser.fetch.bind(browser) };
  const tokens = await redeem(session, metadata.token_endpoint, {
    client_id: settings.clientId,
    code: answer.get("code"),
    code_verifier: begun.verifier,
    redirect_uri: redirect,
  });
  const ask = async (path, { headers, ...sending } = {}) => {
    const answer = await send(session, new URL(path, `${settings.fhir}/`).href, {
      ...sending,
      headers: {
        ...headers,
        authorization: `DPoP ${tokens.access_token}`,
        accept: "application/fhir+json",
      },
      token: tokens.access_token,
    });
    if (answer.ok) return answer;
    throw new Error((await answer.json()).issue[0].details.text); // it says what to do next
  };
  const zone = encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone);
  return {
    ask,
    patient: await (await ask(`Patient/${tokens.patient}`)).json(),
    accounting: async () =>
      (await ask(`Patient/${tokens.patient}/$disclosures?all=true&_format=html&zone=${zone}`)).text(),
  };
}

async function signIn({ clientId, fhir }, { authorization_endpoint: at }, redirect, browser) {
  const [verifier, state] = [random(), random()];
  browser.sessionStorage.setItem("sign-in", JSON.stringify({ verifier, state }));
  const url = new URL(at);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: clientId,
    redirect_uri: redirect,
    scope,
    state,
    aud: fhir,
    code_challenge: await sha256(verifier),
    code_challenge_method: "S256",
  });
  browser.location.assign(url.href);
}

async function redeem(session, endpoint, parameters) {
  const answer = await send(session, endpoint, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ grant_type: "authorization_code", ...parameters }).toString(),
  });
  const tokens = await answer.json();
  if (answer.status !== 200) throw new Error(`${tokens.error}: ${tokens.error_description}`);
  return tokens;
}

/** Sends a request with a proof of the key. A server that wants its nonce in the proof gets the request once more. */
async function send(session, url, { method = "GET", headers, body, token }) {
  const { origin } = new URL(url);
  for (let attempt = 1; ; attempt++) {
    const dpop = await proof(session, { url, method, token, nonce: session.nonces.get(origin) });
    const answer = await session.fetch(url, { method, headers: { ...headers, dpop }, body });
    const nonce = answer.headers.get("dpop-nonce");
    const isNew = nonce !== null && nonce !== session.nonces.get(origin);
    if (nonce !== null) session.nonces.set(origin, nonce);
    if ((answer.status !== 400 && answer.status !== 401) || !isNew || attempt === 2) return answer;
  }
}

/** A DPoP proof: for one method and address, once. */
async function proof({ key }, { url, method, token, nonce }) {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", key.publicKey);
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } };
  const claims = {
    jti: random(),
    htm: method,
    htu: url.split(/[?#]/u, 1)[0],
    iat: Math.floor(Date.now() / 1000),
    ...(token && { ath: await sha256(token) }),
    ...(nonce && { nonce }),
  };
  const signed = [header, claims].map((part) => base64url(text.encode(JSON.stringify(part)))).join(".");
  const how = { name: "ECDSA", hash: "SHA-256" };
  return `${signed}.${base64url(await crypto.subtle.sign(how, key.privateKey, text.encode(signed)))}`;
}
