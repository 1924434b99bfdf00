import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from "jose";
import * as z from "zod";
import type { Clock } from "#kernel/clock";
import { epochSeconds } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { isAt } from "#platform/config/allowed-places";
import { serverPatienceMilliseconds, type AskServer } from "#platform/ask-server";

const metadata = z.object({
  issuer: z.string(),
  authorization_endpoint: z.url({ protocol: /^https$/u }),
  token_endpoint: z.url({ protocol: /^https$/u }),
  end_session_endpoint: z.url({ protocol: /^https$/u }).optional(),
});

const tokens = z.object({ access_token: z.string().min(1), token_type: z.string() });

const answerBytesMax = 65_536;

export interface RedeemedToken {
  readonly token: Secret;
  /** RFC 7638 thumbprint of the key that the token was asked for with (RFC 9449). */
  readonly jkt: string;
}

/**
 * The issuers at which operators sign in, as the console asks them: metadata by OpenID Connect Discovery, and
 * the exchange of a code for an access token that is bound to a new key. The private key is dropped afterwards:
 * nothing can use the token again.
 */
export function operatorIssuers({
  ask,
  hosts,
  clientId,
  clock,
  newId,
}: {
  readonly ask: AskServer;
  /** `host` or `host:port` that may be asked. */
  readonly hosts: ReadonlySet<string>;
  readonly clientId: string;
  readonly clock: Clock;
  readonly newId: () => string;
}) {
  const about = async (iss: string) => {
    const read = metadata.safeParse(
      await ask({ url: `${iss}/.well-known/openid-configuration`, accept: "application/json" }),
    );
    // OpenID Connect Discovery §4.3: metadata about a different issuer lead to a different issuer's people
    if (!read.success || read.data.issuer !== iss) throw new Error("the metadata are not about this issuer");
    return read.data;
  };
  return {
    /** Throws when the issuer does not answer. */
    authorizationEndpoint: async (iss: string): Promise<string> => (await about(iss)).authorization_endpoint,

    /** Undefined: the issuer publishes none. Throws when the issuer does not answer. */
    endSessionEndpoint: async (iss: string): Promise<string | undefined> =>
      (await about(iss)).end_session_endpoint,

    /** Undefined: the issuer refuses the code. Throws when it does not answer. */
    async redeem(
      iss: string,
      {
        code,
        verifier,
        redirect,
      }: { readonly code: string; readonly verifier: string; readonly redirect: string },
    ): Promise<RedeemedToken | undefined> {
      const endpoint = new URL((await about(iss)).token_endpoint);
      if (!isAt(endpoint, hosts)) throw new Error("a token endpoint is not in IDENTITY_HOSTS");
      const { publicKey, privateKey } = await generateKeyPair("ES256");
      const jwk = await exportJWK(publicKey);
      const form = new URLSearchParams({
        grant_type: "authorization_code",
        client_id: clientId,
        redirect_uri: redirect,
        code,
        code_verifier: verifier,
      });
      const answer = await postProven(endpoint, form, (nonce) =>
        new SignJWT({ htm: "POST", htu: endpoint.href, ...(nonce !== undefined && { nonce }) })
          .setProtectedHeader({ typ: "dpop+jwt", alg: "ES256", jwk })
          .setJti(newId())
          .setIssuedAt(epochSeconds(clock()))
          .sign(privateKey),
      );
      const token = await boundTokenIn(answer);
      return token === undefined ? undefined : { token, jkt: await calculateJwkThumbprint(jwk) };
    },
  };
}

/** Posts a form with a proof of a key, and once more if the server wants its nonce in the proof (RFC 9449 §8). */
async function postProven(
  endpoint: URL,
  form: URLSearchParams,
  proofWith: (nonce: string | undefined) => Promise<string>,
): Promise<Response> {
  const send = async (nonce?: string) =>
    fetch(endpoint, {
      method: "POST",
      headers: { accept: "application/json", dpop: await proofWith(nonce) },
      body: form,
      redirect: "manual",
      signal: AbortSignal.timeout(serverPatienceMilliseconds),
    });
  const answer = await send();
  const nonce = answer.headers.get("dpop-nonce");
  if (answer.status !== 400 || nonce === null) return answer;
  await answer.body?.cancel();
  return send(nonce);
}

/** The token of an answer. Undefined: the issuer refuses the code, or its token is not bound to the key. */
async function boundTokenIn(answer: Response): Promise<Secret | undefined> {
  if (answer.status >= 500) throw new Error("the issuer does not answer");
  if (answer.status !== 200) {
    await answer.body?.cancel();
    return undefined;
  }
  const text = await answer.text();
  const read = text.length > answerBytesMax ? undefined : tokens.safeParse(JSON.parse(text));
  return read?.success === true && read.data.token_type.toLowerCase() === "dpop"
    ? new Secret(read.data.access_token)
    : undefined;
}
