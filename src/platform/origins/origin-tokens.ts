import type { OriginEntry } from "#registry/state";
import { instant, type Clock } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { Misfit, numberIn, objectOf, passing, textLike, withDefault } from "#kernel/value-shape";
import { serverPatienceMilliseconds, type AskServer, type ServerQuestion } from "#platform/ask-server";
import { FetchedCopies, type Fetched, type FetchingPlace } from "#platform/fetched-copies";
import { basicCredentials } from "#platform/keys/basic-credentials";
import { signAssertion } from "#platform/keys/client-assertion";
import { currentValue, type CertifiedFetch, type StoredSecret } from "#platform/config/named-secret";

/** Access tokens from an origin's token endpoint. Each method throws when there is no token. */
export interface BearerSource {
  current(): Promise<Secret>;
  /**
   * A new token, after the origin refused the current token; the current token if it was fetched just now.
   */
  anew(): Promise<Secret>;
}

type TokenCredentials = Extract<OriginEntry["credentials"], { readonly tokenEndpoint: string }>;

/**
 * `secret`: the private JWK or the client secret that the credentials name; `certified`: for a token endpoint that asks
 * for the gateway's client certificate.
 */
export type OriginTokens = (
  credentials: TokenCredentials,
  secret: Secret | StoredSecret,
  certified?: CertifiedFetch,
) => BearerSource;

const intervalMilliseconds = 5_000;
// RFC 6749 §5.1 only recommends that the answer states a lifetime.
const livesSeconds = 60;

const answer = objectOf({
  // RFC 6750 §2.1: the characters that a header can hold
  access_token: passing(textLike(/^[A-Za-z0-9._~+/-]+=*$/u), ({ length }) => length <= 8_192),
  token_type: textLike(/^bearer$/iu),
  expires_in: withDefault(
    passing(numberIn(0, 86_400), (seconds) => seconds > 0),
    livesSeconds,
  ),
});

/**
 * The gateway as a client of its origins: by a key (SMART Backend Services, RFC 7523 §2.2), or by a secret
 * (RFC 6749 §2.3.1) where a server has no more. Each isolate has one
 * token. It fetches a new token in the last quarter of the token's life and never uses a token in the last
 * tenth.
 */
export function originTokens(ask: AskServer, place: FetchingPlace): OriginTokens {
  const copies = new FetchedCopies<Secret>({
    ...place,
    intervalMilliseconds,
    patienceMilliseconds: serverPatienceMilliseconds,
  });
  return (credentials, secret, certified) => {
    const get = (anew: boolean) =>
      copies.get(
        JSON.stringify(credentials),
        async (at): Promise<Fetched<Secret>> => {
          const question = await tokenQuestion(credentials, await currentValue(secret), place.clock);
          const read = answer(await ask({ ...question, certified }));
          if (read instanceof Misfit) throw new Error("a token endpoint gave no bearer token");
          const { access_token: token, expires_in: lives } = read;
          return {
            value: new Secret(token),
            freshUntil: instant(at + lives * 750),
            goodUntil: instant(at + lives * 900),
          };
        },
        anew,
      );
    return { current: () => get(false), anew: () => get(true) };
  };
}

async function tokenQuestion(
  credentials: TokenCredentials,
  secret: Secret,
  clock: Clock,
): Promise<ServerQuestion> {
  const { clientId, tokenEndpoint: url, scope, form: further } = credentials;
  const form = new URLSearchParams({ ...further, grant_type: "client_credentials", scope });
  const question = { url, accept: "application/json", form };
  switch (credentials.kind) {
    case "client_secret_basic":
      return { ...question, authorization: basicCredentials(clientId, secret) };
    case "client_secret_post":
      form.set("client_id", clientId);
      form.set("client_secret", secret.reveal());
      return question;
    case "private_key_jwt": {
      const { audience = url } = credentials;
      const proof = await signAssertion({ clientId, audience, key: secret, at: clock() });
      for (const [name, value] of Object.entries(proof)) form.set(name, value);
      return question;
    }
  }
}
