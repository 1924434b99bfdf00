import type { Verifier } from "#ledger/tlog/signed-note";

/** The name of the log that a verifier key belongs to: the last part of the key's name. */
export const logOfVerifier = ({ name }: Verifier): string => name.slice(name.lastIndexOf("/") + 1);

/** The name of the ledger that a verifier key belongs to: the key's name up to the last slash. Empty without a slash. */
export const ledgerOfVerifier = ({ name }: Verifier): string =>
  name.slice(0, Math.max(0, name.lastIndexOf("/")));
