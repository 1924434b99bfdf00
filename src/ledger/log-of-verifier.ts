import type { Verifier } from "#ledger/tlog/signed-note";

/** The name of the log that a verifier key belongs to: the last part of the key's name. */
export const logOfVerifier = ({ name }: Verifier): string => name.slice(name.lastIndexOf("/") + 1);
