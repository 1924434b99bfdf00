import type { Finding, Verified } from "#ledger/verify";

/** The result of a check: of one log, or of a file next to the logs (the file of keys, a stray file). */
export type LogReport = { readonly name: string } & (
  | {
      readonly good: Verified;
      readonly removed?: true; // its leaves are deleted; `good` comes from the root log
      readonly rooted?: number; // leaves up to the log's last checkpoint in the root log
      readonly cosigned?: readonly { readonly name: string; readonly seconds: number }[]; // of the root log
    }
  | {
      readonly wrong: Finding | string;
      readonly notReached?: true; // the log did not answer: the check found no error, and proves nothing
    }
);
