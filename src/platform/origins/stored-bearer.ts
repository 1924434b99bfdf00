import { instant } from "#kernel/clock";
import type { Secret } from "#kernel/secret";
import { FetchedCopies, type FetchingPlace } from "#platform/fetched-copies";
import type { StoredSecret } from "#platform/config/named-secret";
import type { BearerSource } from "./origin-tokens.ts";

const intervalMilliseconds = 5_000;
const patienceMilliseconds = 2_000;
const freshMilliseconds = 60_000;
// While the store cannot be read, the last token is used for up to an hour.
const goodMilliseconds = 3_600_000;

/**
 * Bearer tokens in a Secrets Store. They are read again each minute, and when the origin refuses the known
 * token.
 */
export function storedBearers(place: FetchingPlace): (stored: StoredSecret) => BearerSource {
  const copies = new FetchedCopies<Secret>({ ...place, intervalMilliseconds, patienceMilliseconds });
  const known = new Map<string, Secret>();
  return (stored) => {
    const get = (anew: boolean) =>
      copies.get(
        stored.name,
        async (at) => {
          const read = await stored.read();
          const before = known.get(stored.name);
          // An unchanged token is the same object: the origin is not asked again with a token that it
          // refused.
          const value = before?.reveal() === read.reveal() ? before : read;
          known.set(stored.name, value);
          return {
            value,
            freshUntil: instant(at + freshMilliseconds),
            goodUntil: instant(at + goodMilliseconds),
          };
        },
        anew,
      );
    return { current: () => get(false), anew: () => get(true) };
  };
}
