import { readFileSync } from "node:fs";
import * as client from "openid-client";
import { Agent } from "undici";
import type { DevFile, DevUser } from "../../cli/connection/dev-file.ts";
import { totp } from "../../sandbox/identity-provider/totp.ts";
import { appOf, pageOf, type Browser } from "./browser.ts";

type Parameters = Readonly<Record<string, string>>;

interface Holding {
  readonly tokens: { readonly access_token: string };
  readonly DPoP: client.DPoPHandle;
}

export type SignedIn = Awaited<ReturnType<PatientWeb["signIn"]>>;

/** The scopes that the app requests. */
export const scope = "openid fhirUser launch/patient offline_access patient/*.rs";

// An app's knowledge of its own registration. A SMART configuration has no member for it.
const registered = { id_token_signed_response_alg: "ES256" };

// no server listens there: the browser stops at the app's redirect
const redirect = "http://127.0.0.1:43117/callback";

/**
 * The demonstration's app, on openid-client as npm has it. It is given the issuer, its id, and the
 * certificates that it trusts.
 */
export class PatientWeb {
  readonly config: client.Configuration;
  readonly #dev: DevFile;
  readonly #dispatcher: Agent;

  private constructor(dev: DevFile, dispatcher: Agent, config: client.Configuration) {
    this.#dev = dev;
    this.#dispatcher = dispatcher;
    this.config = config;
  }

  /** @param discovered the issuer, or the address of a document about it. */
  static async start(dev: DevFile, discovered = dev.issuers[0]?.iss ?? ""): Promise<PatientWeb> {
    const dispatcher = new Agent({ connect: { ca: readFileSync(dev.ca) } });
    const config = await client.discovery(new URL(discovered), "patient-web", registered, client.None(), {
      // Node's fetch accepts it (undici)
      [client.customFetch]: (url, options) => fetch(url, { ...options, dispatcher } as RequestInit),
    });
    return new PatientWeb(dev, dispatcher, config);
  }

  /** An authorization request, and the values that the app retains until the answer comes. */
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

  /** A person signs in, if the page asks for it, and agrees. The app exchanges the code. */
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

/** The text that a person types into the sign-in page. */
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
