const lanes = ["fast", "slow", "long"] as const;

/**
 * `npm test` runs the fast lane, `npm run test:slow` (CI runs it too) the slow lane, `npm run test:long` the
 * long lane.
 */
export type Lane = (typeof lanes)[number];

function readLane(name = "fast"): Lane {
  const lane = lanes.find((known) => known === name);
  if (lane === undefined) throw new Error(`PHYLAX_LANE: expected ${lanes.join(", ")}`);
  return lane;
}

/** The lane that runs now: the variable PHYLAX_LANE, which scripts/test.ts sets. */
export const lane: Lane = readLane(process.env["PHYLAX_LANE"]);

/** The size of a test in this lane. */
export const inLane = <T>(sizes: Readonly<Record<Lane, T>>): T => sizes[lane];
