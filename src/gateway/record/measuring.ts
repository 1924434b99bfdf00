import { grantName } from "#audit/grant-name";
import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";

/** Counts the elements of answers that left. It never fails, and no answer waits for it. */
export interface ElementMeasure {
  /**
   * @param grant as the records have it (`why.grant`).
   * @param bodies the parts of the answer's body.
   */
  note(grant: string, at: Instant, bodies: readonly Uint8Array[]): void;
}

/** The grant's name in records. */
export const recordedGrant = ({ client, grant }: Principal): string =>
  grantName({ client: client.id, origin: grant.origin, purpose: grant.purpose });
