/**
 * Milliseconds since the Unix epoch. Branded, so that seconds (JWT times) are never compared with it by
 * accident.
 */
export type Instant = number & { readonly unit: "ms since 1970" };

/** The only way time enters a pure room: as a function that the shell passes in. */
export type Clock = () => Instant;

export const instant = (milliseconds: number): Instant => milliseconds as Instant; // the brand's only source

/** Seconds since the epoch, rounded down: the NumericDate of RFC 7519 §2. */
export const epochSeconds = (at: Instant): number => Math.floor(at / 1000);
