import { createHash } from "node:crypto";
import type { Instant } from "#kernel/clock";
import type { OpenedReview } from "./review-rows.ts";

interface Opening {
  open(review: OpenedReview): Promise<void>;
}

interface Use {
  readonly client: string;
  readonly issuer: string;
  readonly subject: string;
  readonly origin: string;
  readonly purpose: string;
  readonly signedInAt: Instant;
  readonly requestId: string;
  readonly at: Instant;
}

const knownMax = 1_000;

/**
 * Opens reviews at `control`: a single review for each client, person, sign-in, origin and purpose. Its id is a hash of
 * them, so isolates in several cities agree without asking. A review that this isolate has opened is not opened again.
 */
export function isolateReviews(desk: Opening): { open(use: Use): Promise<string> } {
  const opened = new Set<string>();
  return {
    async open({ client, issuer, subject, origin, purpose, signedInAt, requestId, at }) {
      const id = createHash("sha256")
        .update(JSON.stringify(["phylax review v1", client, issuer, subject, origin, purpose, signedInAt]))
        .digest("hex")
        .slice(0, 32);
      if (opened.has(id)) return id;
      await desk.open({ id, openedAt: at, requestId, client, origin, purpose });
      if (opened.size >= knownMax) opened.delete(opened.values().next().value ?? "");
      opened.add(id);
      return id;
    },
  };
}
