const form = /^[a-z0-9.-]+(?:\/[a-z0-9._-]+)*$/u;
const charactersMax = 200;

/**
 * True for the configured name of a ledger (docs/ledger-format.md §1). The name is a part of the keys of the copy
 * in R2, and of files at these keys: a `.` or `..` between slashes would lead out of their folder.
 */
export const isLedgerName = (text: string): boolean =>
  form.test(text) &&
  text.length <= charactersMax &&
  !text.split("/").some((part) => part === "." || part === "..");
