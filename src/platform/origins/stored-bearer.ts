import { instant } from "#kernel/clock";
import type { Secret } from "#kernel/secret";
import { FetchedCopies, type FetchingPlace } from "#platform/fetched-copies";
import type { StoredSecret } from "#platform/config/named-secret";
import type { BearerSource } from "./origin-tokens.ts";

const intervalMilliseconds = 5_000;
const patienceMilliseconds = 2_000;
const freshMilliseconds = 60_000;
// While the store cannot be asked, what it said last is used for an hour.
const goodMilliseconds = 3_600_000;

/** Bearer tokens that stand in a Secrets Store: read again each minute, and when the origin takes the known one no more. */
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
          // The same token is the same object: an origin that refused it is not asked again with it.
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
