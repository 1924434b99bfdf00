// A checkpoint begins with the ledger's name, which has no space.
const prefix = "layout differs: ";

/** The root log's answer to a log whose layout is not the layout with which the half-year began. */
export const keptLayoutText = (layout: string): string => prefix + layout;

/** The layout in the root log's answer; undefined for a checkpoint. */
export const readKeptLayout = (answer: string): string | undefined =>
  answer.startsWith(prefix) ? answer.slice(prefix.length) : undefined;

/** The fault of a log's configuration, and the operator's next step. */
export const differentLayout = (log: string, kept: string, configured: string): string =>
  `the half-year of ${log} began with the shards "${kept}", and LEDGER_REGIONS and LEDGER_SHARDS make it "${configured}": deploy the earlier values again, and begin a changed list with the next half-year`;
