// A checkpoint begins with the ledger's name, which has no space.
const prefix = "layout differs: ";

/** The root log's answer to a log with a different layout than the layout with which its half-year began. */
export const keptLayoutText = (layout: string): string => prefix + layout;

/** The layout in such an answer; undefined for a checkpoint. */
export const readKeptLayout = (answer: string): string | undefined =>
  answer.startsWith(prefix) ? answer.slice(prefix.length) : undefined;

/** What is wrong with a log's configuration, and what to do. */
export const differentLayout = (log: string, kept: string, configured: string): string =>
  `the half-year of ${log} began with the shards "${kept}", and LEDGER_REGIONS and LEDGER_SHARDS make it "${configured}": deploy the earlier values again, and begin a changed list with the next half-year`;
