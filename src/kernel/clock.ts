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

/** A day of the calendar, as RFC 3339 writes it: 2028-02-29 is one. `z.iso.date` has the same pattern. */
export const calendarDay =
  /^(?:(?:\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29|\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|(?:02)-(?:0[1-9]|1\d|2[0-8])))$/;
