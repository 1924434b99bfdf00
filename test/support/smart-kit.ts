import { createHash, randomUUID } from "node:crypto";
import { importJWK, SignJWT, type JWK } from "jose";
import { send, type Reply } from "../../cli/connection/mutual-tls.ts";
import { appOf, pageOf, type Browser } from "./browser.ts";
import { typed } from "./patient-web.ts";

type Members = Readonly<Record<string, string>>;

/** An app of Inferno's SMART App Launch suites, and how the app proves itself at the token endpoint. */
export interface KitApp {
  readonly id: string;
  readonly proof: { readonly secret: string } | { readonly key: JWK } | "public";
}

export interface KitPlaces {
  readonly ca: string;
  readonly fhir: string;
  readonly authorize: string;
  readonly token: string;
  readonly launch: string;
}

export interface Asked {
  readonly scope: string;
  readonly redirect: string;
  readonly by?: "GET" | "POST";
  readonly launch?: string;
  /** Parameters in place of the usual ones. An empty text leaves a parameter out. */
  readonly instead?: Members;
}

/** The page of Inferno. Its apps are registered for the page. */
export const kitPage = "http://localhost:4567";

const formType = { "content-type": "application/x-www-form-urlencoded" };
const withoutEmpty = (members: Members) =>
  new URLSearchParams(Object.entries(members).filter(([, value]) => value !== ""));

/** The requests of the suites, one by one, as their programs send them. */
export class SmartKit {
  readonly #places: KitPlaces;

  constructor(places: KitPlaces) {
    this.#places = places;
  }

  /** GET without a credential. */
  get(url: string, headers: Members = { accept: "application/json" }): Promise<Reply> {
    return send(this.#places, undefined, url, { headers });
  }

  options(url: string, headers: Members): Promise<Reply> {
    return send(this.#places, undefined, url, { method: "OPTIONS", headers });
  }

  /** Reads below the FHIR base with a token, as a page would. */
  read(token: string, path: string): Promise<Reply> {
    const headers = { accept: "application/fhir+json", origin: kitPage, authorization: `Bearer ${token}` };
    return send(this.#places, undefined, `${this.#places.fhir}/${path}`, { headers });
  }

  post(url: string, members: Members, headers: Members = {}): Promise<Reply> {
    const body = withoutEmpty(members).toString();
    return send(this.#places, undefined, url, { method: "POST", headers: { ...formType, ...headers }, body });
  }

  /** An authorization request: the verifier, `state`, and the first page or the answer to the app. */
  async begin(
    app: KitApp,
    { scope, redirect, by = "GET", launch = "", instead = {} }: Asked,
    browser: Browser,
  ) {
    const [state, verifier] = [randomUUID(), `${randomUUID()}-${randomUUID()}`];
    const members = {
      response_type: "code",
      client_id: app.id,
      redirect_uri: redirect,
      scope,
      state,
      aud: this.#places.fhir,
      launch,
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
      ...instead,
    };
    const url = new URL(this.#places.authorize);
    if (by === "GET") url.search = withoutEmpty(members).toString();
    const at =
      by === "GET" ? url : new URL(String((await this.post(url.href, members)).headers.location), url);
    return { state, verifier, step: await browser.open(at) };
  }

  /** A person signs in and decides. Returns the parameters that the browser brings to the app. */
  async authorize(
    app: KitApp,
    asked: Asked,
    user: Parameters<typeof typed>[0],
    browser: Browser,
    decision = "allow",
  ) {
    const { state, verifier, step } = await this.begin(app, asked, browser);
    const consent = await browser.submit(step, typed(user));
    pageOf(consent);
    const back = appOf(await browser.submit(consent, { decision }));
    return { state, verifier, at: back.origin + back.pathname, said: Object.fromEntries(back.searchParams) };
  }

  /** A user launches an app for a patient. Returns the parameters with which the browser opens the app. */
  async launch(
    app: KitApp,
    uri: string,
    user: Parameters<typeof typed>[0],
    patient: string,
    browser: Browser,
  ) {
    const page = new URL(this.#places.launch);
    page.search = new URLSearchParams({ client_id: app.id, launch_uri: uri }).toString();
    const opened = appOf(await browser.submit(await browser.open(page), { ...typed(user), patient }));
    return { at: opened.origin + opened.pathname, said: Object.fromEntries(opened.searchParams) };
  }

  /** A request of an app at the token endpoint, with its proof. */
  async token(app: KitApp, members: Members): Promise<Reply> {
    const { token } = this.#places;
    const { id, proof } = app;
    if (proof === "public") return this.post(token, { client_id: id, ...members }, { origin: kitPage });
    if ("secret" in proof) {
      const pair = Buffer.from(`${id}:${proof.secret}`).toString("base64");
      return this.post(token, members, { authorization: `Basic ${pair}` });
    }
    return this.post(token, {
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: await this.assertion(id, proof.key),
      ...members,
    });
  }

  /** An assertion, with claims in place of the usual ones. */
  async assertion(id: string, key: JWK, instead: object = {}): Promise<string> {
    const exp = Math.floor(Date.now() / 1000) + 300;
    const claims = { iss: id, sub: id, aud: this.#places.token, exp, jti: randomUUID(), ...instead };
    return new SignJWT(claims)
      .setProtectedHeader({ alg: key.alg ?? "", kid: key.kid ?? "", typ: "JWT" })
      .sign(await importJWK({ ...key, key_ops: ["sign"] }));
  }
}
