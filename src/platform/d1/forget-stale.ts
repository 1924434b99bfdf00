import type { RecordName } from "#identity/revocation";
import type { Forgetful } from "./isolate-cache.ts";

type Kind = RecordName extends `${infer K}/${string}` ? K : never;

/** Drops the copies of records that have changed. */
export function forgetStale(copies: Readonly<Record<Kind, Forgetful>>): (records: readonly RecordName[] | "all") => void {
  return (records) => {
    if (records === "all") for (const copy of Object.values(copies)) copy.forgetAll();
    else {
      for (const record of records) {
        const slash = record.indexOf("/");
        copies[record.slice(0, slash) as Kind].forget(record.slice(slash + 1)); // by RecordName's own grammar
      }
    }
  };
}
