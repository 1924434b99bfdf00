/**
 * How long a test waits for a state that Phylax promises within ten seconds (P4), on a machine that is busy with
 * further tests. The ten seconds themselves are held by tests that set the clock.
 */
export const patience = { timeout: 30_000, interval: 100 };
