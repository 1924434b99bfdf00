import * as z from "zod";
import type { OriginEntry } from "#registry/state";
import { instant, type Clock } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { serverPatienceMilliseconds, type AskServer } from "#platform/ask-server";
import { FetchedCopies, type Fetched, type FetchingPlace } from "#platform/fetched-copies";
import { signAssertion } from "#platform/keys/client-assertion";
import { currentValue, type StoredSecret } from "#platform/config/named-secret";

/** Access tokens of one origin's token endpoint. Each throws when none can be had. */
export interface BearerSource {
  current(): Promise<Secret>;
  /** Another one than the current, which the origin did not take; the same one if it was asked for just now. */
  anew(): Promise<Secret>;
}

type KeyCredentials = Extract<OriginEntry["credentials"], { readonly kind: "private_key_jwt" }>;

/** `key`: the private JWK that the credentials name. */
export type OriginTokens = (credentials: KeyCredentials, key: Secret | StoredSecret) => BearerSource;

const intervalMilliseconds = 5_000;
// RFC 6749 §5.1 only recommends to say how long.
const livesSeconds = 60;

const answer = z.object({
  access_token: z
    .string()
    .max(8_192)
    .regex(/^[A-Za-z0-9._~+/-]+=*$/u), // RFC 6750 §2.1: what a header can carry
  token_type: z.string().regex(/^bearer$/iu),
  expires_in: z.number().positive().max(86_400).default(livesSeconds),
});

/**
 * The gateway as a client of its origins (SMART Backend Services, RFC 7523 §2.2): one token in each isolate, another one in the last quarter
 * of its life, and none in its last tenth.
 */
export function originTokens(ask: AskServer, place: FetchingPlace): OriginTokens {
  const copies = new FetchedCopies<Secret>({
    ...place,
    intervalMilliseconds,
    patienceMilliseconds: serverPatienceMilliseconds,
  });
  return (credentials, key) => {
    const get = (anew: boolean) =>
      copies.get(
        JSON.stringify(credentials),
        async (at): Promise<Fetched<Secret>> => {
          const { access_token: token, expires_in: lives } = await request(
            credentials,
            await currentValue(key),
            ask,
            place.clock,
          );
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

async function request(
  { clientId, tokenEndpoint, audience = tokenEndpoint, scope }: KeyCredentials,
  key: Secret,
  ask: AskServer,
  clock: Clock,
): Promise<z.infer<typeof answer>> {
  const proof = await signAssertion({ clientId, audience, key, at: clock() });
  const form = new URLSearchParams({ grant_type: "client_credentials", scope, ...proof });
  const read = answer.safeParse(await ask({ url: tokenEndpoint, accept: "application/json", form }));
  if (!read.success) throw new Error("a token endpoint gave no bearer token"); // zod's words could quote it
  return read.data;
}
