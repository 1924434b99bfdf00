import { publicJwks, type PublicJwk } from "#identity/jwk";
import type { KeySets } from "#identity/ports";
import { instant, type Clock } from "#kernel/clock";
import { serverPatienceMilliseconds, type AskServer } from "./ask-server.ts";
import { FetchedCopies, type Fetched } from "./fetched-copies.ts";
import { isPublicKey } from "./jose/public-key.ts";

// A key that its owner has taken back is believed for five minutes more, and for an hour while the owner's server is down.
const freshMilliseconds = 300_000;
const hardMilliseconds = 3_600_000;
/** RFC 8725 says nothing of it: half a minute is how long a new key may be unknown, and what an unknown `kid` can cost its owner. */
const intervalMilliseconds = 30_000;

/** Key sets (RFC 7517 §5) out of their owners' own addresses, held to what a registry file may say inline. */
export function keySets(ask: AskServer, clock: Clock, wait: (milliseconds: number) => Promise<unknown>): KeySets {
  const copies = new FetchedCopies<readonly PublicJwk[]>({
    clock,
    wait,
    intervalMilliseconds,
    patienceMilliseconds: serverPatienceMilliseconds,
  });
  const fetched = (uri: string, anew: boolean) =>
    copies.get(
      uri,
      async (at): Promise<Fetched<readonly PublicJwk[]>> => ({
        value: await readKeys(await ask({ url: uri, accept: "application/jwk-set+json, application/json" })),
        freshUntil: instant(at + freshMilliseconds),
        goodUntil: instant(at + hardMilliseconds),
      }),
      anew,
    );
  return { at: (uri) => fetched(uri, false), anew: (uri) => fetched(uri, true) };
}

/** All of it or nothing, as at load: a set with a private or a broken key in it is none. */
async function readKeys(document: unknown): Promise<readonly PublicJwk[]> {
  const read = publicJwks.safeParse(document);
  if (!read.success) throw new Error("a key set that was fetched is none"); // zod's words would name its members
  for (const key of read.data.keys) if (!(await isPublicKey(key))) throw new Error("a key set that was fetched has a key that is none");
  return read.data.keys;
}
