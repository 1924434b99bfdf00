import { createHash } from "node:crypto";
import type { Instant } from "#kernel/clock";
import { Newest } from "#kernel/memo";
import { inTime } from "#platform/deadlines";
import type { OpenedReview } from "./review-rows.ts";

interface Opening {
  open(review: OpenedReview): Promise<boolean>;
}

interface Use {
  readonly client: string;
  readonly issuer: string;
  readonly subject: string;
  readonly origin: string;
  readonly purpose: string;
  readonly signedInAt: Instant;
  readonly until: Instant;
  readonly requestId: string;
  readonly at: Instant;
}

const knownMax = 1_000;

/**
 * Opens reviews at `control`: a single review for each client, person, sign-in, origin and purpose. Its id is a hash of
 * them, so isolates in several cities agree without asking. A review that this isolate has opened is not opened again. Throws for a review that is closed.
 */
export function isolateReviews(desk: Opening): { open(use: Use): Promise<string> } {
  const opened = new Newest<true>(knownMax);
  return {
    async open({ client, issuer, subject, origin, purpose, signedInAt, until, requestId, at }) {
      const id = createHash("sha256")
        .update(JSON.stringify(["phylax review v1", client, issuer, subject, origin, purpose, signedInAt]))
        .digest("hex")
        .slice(0, 32);
      const known = `${id} ${until}`; // a changed grant may move the end
      if (opened.has(known)) return id;
      const isOpen = await inTime("control", () =>
        desk.open({ id, openedAt: at, requestId, client, origin, purpose, until }),
      );
      if (!isOpen) throw new Error("the review is closed");
      opened.set(known, true);
      return id;
    },
  };
}
