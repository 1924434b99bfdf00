/** The longest time that a registry entry may give its origin for one question, in seconds. */
export const originTimeoutSecondsMax = 15;

/**
 * The longest time in which an origin answers a write: it is asked twice if the origin wants a new token. Leases
 * and attempts last longer, so that no further writer begins while a write is under way.
 */
export const originWriteMilliseconds = 2 * originTimeoutSecondsMax * 1_000 + 2_000;
