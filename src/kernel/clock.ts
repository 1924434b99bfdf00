/**
 * Milliseconds since the Unix epoch. Branded, so that seconds (JWT times) are never compared with it by
 * accident.
 */
export type Instant = number & { readonly unit: "ms since 1970" };

export const dayMilliseconds = 86_400_000;

/** The only way time enters a pure room: as a function that the shell passes in. */
export type Clock = () => Instant;

export const instant = (milliseconds: number): Instant => milliseconds as Instant; // the brand's only source

/** Seconds since the epoch, rounded down: the NumericDate of RFC 7519 §2. */
export const epochSeconds = (at: Instant): number => Math.floor(at / 1000);

/** Two requests of an isolate may see times this far apart. A clock that steps back further was set back. */
export const stepBackMilliseconds = 100;

/**
 * The age of something that was known at `since`, in milliseconds: infinite if that moment has not come, so that
 * a clock that was set back prolongs nothing.
 */
export const ageAt = (since: Instant, at: Instant): number =>
  since > at + stepBackMilliseconds ? Infinity : Math.max(0, at - since);
