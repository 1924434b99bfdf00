import { readFileSync } from "node:fs";
import * as client from "openid-client";
import { Agent } from "undici";
import type { DevFile, DevUser } from "../../cli/dev-file.ts";
import { totp } from "../../sandbox/identity-provider/totp.ts";
import { appOf, pageOf, type Browser } from "./browser.ts";

type Parameters = Readonly<Record<string, string>>;

interface Holding {
  readonly tokens: { readonly access_token: string };
  readonly DPoP: client.DPoPHandle;
}

export type SignedIn = Awaited<ReturnType<PatientWeb["signIn"]>>;

/** All that the app asks for. */
export const scope = "openid fhirUser launch/patient offline_access patient/*.rs";

// What an app knows of its own registration; a SMART configuration has no member for it.
const registered = { id_token_signed_response_alg: "ES256" };

const redirect = "http://127.0.0.1:43117/callback"; // nobody listens there: the browser stops at the app's door

/** The demonstration's app, on openid-client as it comes from npm: it is told the issuer, its id, and whose certificates to trust. */
export class PatientWeb {
  readonly config: client.Configuration;
  readonly #dev: DevFile;
  readonly #dispatcher: Agent;

  private constructor(dev: DevFile, dispatcher: Agent, config: client.Configuration) {
    this.#dev = dev;
    this.#dispatcher = dispatcher;
    this.config = config;
  }

  /** `discovered`: the issuer, or the address of a document about it. */
  static async start(dev: DevFile, discovered = dev.issuers[0]?.iss ?? ""): Promise<PatientWeb> {
    const dispatcher = new Agent({ connect: { ca: readFileSync(dev.ca) } });
    const config = await client.discovery(new URL(discovered), "patient-web", registered, client.None(), {
      [client.customFetch]: (url, options) => fetch(url, { ...options, dispatcher } as RequestInit), // Node's fetch takes it (undici)
    });
    return new PatientWeb(dev, dispatcher, config);
  }

  /** One authorization request, and what the app keeps to itself until the answer comes. */
  async request(more: Parameters = {}) {
    const verifier = client.randomPKCECodeVerifier();
    const [state, nonce] = [client.randomState(), client.randomNonce()];
    const url = client.buildAuthorizationUrl(this.config, {
      redirect_uri: redirect,
      scope,
      aud: this.#dev.fhir,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state,
      nonce,
      ...more,
    });
    return { url, checks: { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce } };
  }

  /** Somebody signs in where that is asked for and agrees; the app exchanges the code. */
  async signIn(user: DevUser, browser: Browser, more: Parameters = {}) {
    const { url, checks } = await this.request(more);
    const first = await browser.open(url);
    const { text } = pageOf(first).reply;
    const asked = text.includes('name="password"');
    const consent = asked ? await browser.submit(first, typed(user, text.includes('name="code"'))) : first;
    const answer = appOf(await browser.submit(consent, { decision: "allow" }));
    const DPoP = await this.newKey();
    return {
      tokens: await client.authorizationCodeGrant(this.config, answer, checks, undefined, { DPoP }),
      DPoP,
      asked,
    };
  }

  async newKey(): Promise<client.DPoPHandle> {
    return client.getDPoPHandle(this.config, await client.randomDPoPKeyPair("ES256"));
  }

  /** Reads below the FHIR base. */
  read({ tokens, DPoP }: Holding, path: string): Promise<Response> {
    const url = new URL(`${this.#dev.fhir}/${path}`);
    return client.fetchProtectedResource(this.config, tokens.access_token, url, "GET", null, undefined, {
      DPoP,
    });
  }

  async close(): Promise<void> {
    await this.#dispatcher.close();
  }
}

/** What somebody types into the sign-in page. */
export const typed = (
  { login, password, totp: secret }: Pick<DevUser, "login" | "password" | "totp">,
  withCode = false,
  atMilliseconds = Date.now(),
) => ({
  login,
  password,
  decision: "allow",
  ...(withCode && { code: totp(secret, atMilliseconds) }),
});
