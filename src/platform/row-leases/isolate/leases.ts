import { createHash } from "node:crypto";
import type { Clock } from "#kernel/clock";
import { originWriteMilliseconds } from "#fhir/origin";
import { inTime } from "#platform/deadlines";
import { leaseMilliseconds, type RowLeases } from "#limits/row-lease";

interface Book {
  take(rowHash: string, holder: string): Promise<boolean>;
  release(rowHash: string, holder: string): Promise<void>;
}

export interface RowLeasesOptions {
  readonly books: { getByName(name: string): Book };
  readonly clock: Clock;
  /** 128 random bits as text. */
  readonly newId: () => string;
  readonly wait: (milliseconds: number) => Promise<unknown>;
}

// The number of objects among which the rows of an origin are divided.
const booksOfOrigin = 64;
const [looksMax, lookMilliseconds] = [20, 150];

/** The leases in the Durable Objects of their origins. A request waits three seconds for a lease. */
export function rowLeases({ books, clock, newId, wait }: RowLeasesOptions): RowLeases {
  return {
    async take(origin, path) {
      const hash = createHash("sha256").update(`phylax row lease v1\n${origin}\n${path}`).digest();
      const book = () => books.getByName(`${origin} ${(hash[0] ?? 0) % booksOfOrigin}`);
      const [rowHash, holder] = [hash.toString("base64url"), newId()];
      for (let looks = 0; looks < looksMax; looks += 1) {
        const askedAt = clock();
        if (await inTime("rowLeases", () => book().take(rowHash, holder)))
          return {
            lastsForWrite: () =>
              clock() + originWriteMilliseconds < askedAt + leaseMilliseconds && clock() >= askedAt,
            // A lease that is not given back ends by itself.
            release: () => inTime("rowLeases", () => book().release(rowHash, holder)).catch(() => {}),
          };
        await wait(lookMilliseconds);
      }
      return undefined;
    },
  };
}
