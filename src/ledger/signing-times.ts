/** A log signs at most one checkpoint in this time. */
export const SIGNED_EVERY_MS = 1_000;
/** After this time a log may sign again, whatever the rounding of the clocks. */
export const SIGNED_AGAIN_MS = SIGNED_EVERY_MS + 50;
