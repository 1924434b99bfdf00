import { isMetadataUrl, readMetadata, type IssuerMetadata } from "#identity/issuer-metadata";
import { publicJwks, type PublicJwk } from "#identity/jose/jwk";
import type { KeySets } from "#identity/ports";
import { instant, type Instant } from "#kernel/clock";
import { fitting } from "#kernel/value-shape";
import { serverPatienceMilliseconds, type AskServer } from "#platform/ask-server";
import { FetchedCopies, type Fetched, type FetchingPlace } from "#platform/fetched-copies";
import { isPublicKey } from "./public-key.ts";

// A key that its owner has withdrawn is used for five more minutes, and for an hour while the owner's server
// is down.
const freshMilliseconds = 300_000;
const hardMilliseconds = 3_600_000;
/**
 * RFC 8725 gives no number. Half a minute is how long a new key may be unknown, and bounds the cost of an
 * unknown `kid` for the owner.
 */
const intervalMilliseconds = 30_000;

/**
 * Key sets (RFC 7517 §5) from their owners' own addresses. The rules are those for key sets inside a
 * registry file.
 */
export function keySets(ask: AskServer, place: FetchingPlace): KeySets {
  const options = { ...place, intervalMilliseconds, patienceMilliseconds: serverPatienceMilliseconds };
  const keys = new FetchedCopies<readonly PublicJwk[]>(options);
  const metadata = new FetchedCopies<IssuerMetadata>(options);
  const aged = <T>(value: T, at: Instant): Fetched<T> => ({
    value,
    freshUntil: instant(at + freshMilliseconds),
    goodUntil: instant(at + hardMilliseconds),
  });
  const loadMetadata = async (uri: string, at: Instant) => {
    const read = readMetadata(await ask({ url: uri, accept: "application/json" }));
    if (read === undefined) throw new Error("an issuer's metadata are not valid");
    return aged(read, at);
  };
  /**
   * RFC 8414 §3.3: metadata of a different issuer lead nowhere. Otherwise the publisher of a single path
   * would speak for a whole host.
   */
  const addressOf = async (uri: string, iss: string | undefined): Promise<string> => {
    if (!isMetadataUrl(uri)) return uri;
    const { issuer, jwksUri } = await metadata.get(uri, (at) => loadMetadata(uri, at));
    if (issuer !== iss) throw new Error("an issuer's metadata name another issuer");
    return jwksUri;
  };
  const fetched = async (uri: string, iss: string | undefined, anew: boolean) => {
    const address = await addressOf(uri, iss);
    const load = async (at: Instant) =>
      aged(
        await readKeys(await ask({ url: address, accept: "application/jwk-set+json, application/json" })),
        at,
      );
    return keys.get(address, load, anew);
  };
  return { at: (uri, iss) => fetched(uri, iss, false), anew: (uri, iss) => fetched(uri, iss, true) };
}

/** Reads a whole key set or nothing, as at load: a set with a private or a broken key is invalid. */
async function readKeys(document: unknown): Promise<readonly PublicJwk[]> {
  const read = fitting(publicJwks(document));
  if (read === undefined) throw new Error("a fetched key set is not valid");
  for (const key of read.keys)
    if (!(await isPublicKey(key))) throw new Error("a fetched key set has an invalid key");
  return read.keys;
}
