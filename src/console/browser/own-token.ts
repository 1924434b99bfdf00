import { toBase64url, utf8 } from "#kernel/encoded";

/** The places of the look-up, which the page names. */
export interface DeskPlace {
  readonly fhir: string;
  readonly issuer: string;
  readonly clientId: string;
}

const begunKey = "phylax-look-up";
const answerKey = "phylax-look-up-answer";
const scope = "openid system/Patient.rs system/AuditEvent.rs";

const random = (): string => toBase64url(crypto.getRandomValues(new Uint8Array(32)));
const sha256 = async (text: string): Promise<string> =>
  toBase64url(new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(utf8(text)))));

const returnAddress = (): string => `${location.origin}/console/patients/return`;

async function endpoints({ issuer }: DeskPlace): Promise<{ authorization: string; token: string }> {
  const answer = await fetch(`${issuer}/.well-known/openid-configuration`);
  const read = await answer.json<Readonly<Record<string, unknown>>>(); // the members are checked below
  const [authorization, token] = [read["authorization_endpoint"], read["token_endpoint"]];
  if (read["issuer"] !== issuer || typeof authorization !== "string" || typeof token !== "string")
    throw new Error("the metadata are not about this issuer");
  return { authorization, token };
}

/** Sends the browser to the issuer: authorization code with PKCE (RFC 7636). */
export async function beginLookUp(place: DeskPlace): Promise<void> {
  const [verifier, state] = [random(), random()];
  const address = new URL((await endpoints(place)).authorization);
  sessionStorage.setItem(begunKey, JSON.stringify({ verifier, state }));
  address.search = new URLSearchParams({
    response_type: "code",
    client_id: place.clientId,
    redirect_uri: returnAddress(),
    scope,
    state,
    resource: place.fhir,
    code_challenge: await sha256(verifier),
    code_challenge_method: "S256",
  }).toString();
  location.assign(address.href);
}

/** At the return address: hands the issuer's answer to the page of the look-up, without an address that has it. */
export function carryAnswer(): void {
  sessionStorage.setItem(answerKey, new URL(location.href).search);
  location.assign("/console/patients");
}

/**
 * The access of this page: a token that is bound to a new key (RFC 9449), both in memory alone. Undefined: the
 * person has not signed in for the look-up.
 */
export async function takeAccess(place: DeskPlace): Promise<PatientAccess | undefined> {
  const answer = new URLSearchParams(sessionStorage.getItem(answerKey) ?? "");
  const begun = JSON.parse(sessionStorage.getItem(begunKey) ?? "{}") as { verifier?: string; state?: string };
  sessionStorage.removeItem(answerKey);
  sessionStorage.removeItem(begunKey); // a code and a verifier are used once
  const code = answer.get("code");
  if (code === null) return undefined;
  const iss = answer.get("iss");
  if (answer.get("state") !== begun.state || (iss !== null && iss !== place.issuer))
    throw new Error("this answer belongs to another sign-in");
  const key = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, [
    "sign",
    "verify",
  ]);
  const access = new PatientAccess(place, key as CryptoKeyPair);
  await access.redeem((await endpoints(place)).token, code, begun.verifier ?? "");
  return access;
}

/** Asks the FHIR base with the token of this page, and a proof of its key for each request. */
export class PatientAccess {
  readonly #place: DeskPlace;
  readonly #key: CryptoKeyPair;
  readonly #nonces = new Map<string, string>();
  #token = "";

  constructor(place: DeskPlace, key: CryptoKeyPair) {
    this.#place = place;
    this.#key = key;
  }

  async redeem(endpoint: string, code: string, verifier: string): Promise<void> {
    const body = new URLSearchParams({
      grant_type: "authorization_code",
      client_id: this.#place.clientId,
      redirect_uri: returnAddress(),
      code,
      code_verifier: verifier,
    }).toString();
    const answer = await this.#send(endpoint, "POST", "application/json", body);
    const read = await answer.json<{ readonly access_token?: unknown }>();
    if (answer.status !== 200 || typeof read.access_token !== "string")
      throw new Error("the code was refused");
    this.#token = read.access_token;
  }

  /** A search by a form in the body: what was typed is in no address. */
  search = (parameters: readonly (readonly [name: string, value: string])[]): Promise<Response> =>
    this.#send(
      `${this.#place.fhir}/Patient/_search`,
      "POST",
      "application/fhir+json",
      new URLSearchParams(parameters.map(([name, value]) => [name, value])).toString(),
    );

  read = (address: string, accept = "application/fhir+json"): Promise<Response> =>
    this.#send(address, "GET", accept, undefined);

  /** A server that wants its nonce in the proof gets the request once more (RFC 9449 §8). */
  async #send(address: string, method: string, accept: string, body: string | undefined): Promise<Response> {
    const { origin } = new URL(address);
    for (let attempt = 1; ; attempt++) {
      const headers = {
        accept,
        dpop: await this.#proof(address, method),
        ...(this.#token !== "" && { authorization: `DPoP ${this.#token}` }),
        ...(body !== undefined && { "content-type": "application/x-www-form-urlencoded" }),
      };
      const answer = await fetch(address, { method, headers, ...(body !== undefined && { body }) });
      const nonce = answer.headers.get("dpop-nonce");
      const isNew = nonce !== null && nonce !== this.#nonces.get(origin);
      if (nonce !== null) this.#nonces.set(origin, nonce);
      if ((answer.status !== 400 && answer.status !== 401) || !isNew || attempt === 2) return answer;
    }
  }

  async #proof(address: string, method: string): Promise<string> {
    const { publicKey, privateKey } = this.#key;
    // the public half of a P-256 key has these members
    const { kty, crv, x, y } = (await crypto.subtle.exportKey("jwk", publicKey)) as JsonWebKey;
    const nonce = this.#nonces.get(new URL(address).origin);
    const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } };
    const claims = {
      jti: random(),
      htm: method,
      htu: address.split(/[?#]/u, 1)[0],
      iat: Math.floor(Date.now() / 1000),
      ...(this.#token !== "" && { ath: await sha256(this.#token) }),
      ...(nonce !== undefined && { nonce }),
    };
    const signed = [header, claims].map((part) => toBase64url(utf8(JSON.stringify(part)))).join(".");
    const algorithm = { name: "ECDSA", hash: "SHA-256" };
    const signature = await crypto.subtle.sign(algorithm, privateKey, Uint8Array.from(utf8(signed)));
    return `${signed}.${toBase64url(new Uint8Array(signature))}`;
  }
}
