/**
 * What `npm run bench -- --only ledger` counts and measures in workerd, and no arithmetic gives. A short run of it is held to these by a
 * test: the counts exactly, the bytes roughly.
 */
export const measured = {
  /** SQLite rows that a commit writes: its frame, and its accounting lines when there are some. */
  rowsPerFrame: 1,
  rowsPerLinesRow: 1,
  /** And that the drain deletes. */
  rowsPerDrainedFrame: 1,
  /** On a shelf. */
  rowsPerShelvedLine: 1,
  storedBytesPerLine: 340,
  /** In an intake: a line of a leaf that has one. */
  intakeBytesPerLine: 170,
  /** At the root log: for each hand-over, and for each frame that gathers what was handed over in ten seconds. */
  rowsPerHandOver: 2,
  rowsPerRootFrame: 5,
  /** CPU of `phylax ledger verify`, milliseconds for each 1,000 leaves: the slower of two runs, 25 and 40. */
  verifyMilliseconds: 40,
} as const;
