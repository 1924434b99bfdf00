/**
 * Figures that `npm run bench -- --only ledger` counts and measures in workerd, and that no arithmetic
 * yields. A test compares a short run with them: the counts exactly, the bytes roughly.
 */
export const measured = {
  /** SQLite rows that a commit writes: its frame, its counters, and its accounting lines if it has any. */
  rowsPerFrame: 2,
  rowsPerLinesRow: 1,
  /** Rows that the drain also deletes. */
  rowsPerDrainedFrame: 1,
  /** Rows in a line store. */
  rowsPerShelvedLine: 1,
  storedBytesPerLine: 340,
  /** Bytes in an intake: a line of a leaf with one line. */
  intakeBytesPerLine: 170,
  /** Rows at the root log: for each hand-over, and for each frame that gathers ten seconds of hand-overs. */
  rowsPerHandOver: 2,
  rowsPerRootFrame: 5,
  /** CPU of `phylax ledger verify`, milliseconds for each 1,000 leaves: the slower of two runs, 25 and 40. */
  verifyMilliseconds: 40,
} as const;
