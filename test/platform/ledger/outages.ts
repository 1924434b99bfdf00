import { ROOT_LOG } from "#ledger/root-log";
import { ledger } from "./worker.ts";

const down = (): Promise<never> => Promise.reject(new Error("made to be away by the test"));

/** While it lasts, every call to R2 fails, for all callers. */
export function bucketIsAway(isAway: boolean): void {
  const bucket = ledger.LEDGER_BUCKET;
  for (const call of ["get", "head", "put"] as const)
    if (isAway) Object.defineProperty(bucket, call, { configurable: true, value: down });
    else Reflect.deleteProperty(bucket, call);
}

/** While it lasts, no log can ask the root log. */
export function rootIsAway(isAway: boolean): void {
  const namespace = ledger.LEDGER_ROOT;
  const away = { open: down, add: down };
  if (isAway) Object.defineProperty(namespace, "getByName", { configurable: true, value: () => away });
  else Reflect.deleteProperty(namespace, "getByName");
}

/** R2 as the test itself reads it, also during an outage. */
export const readBucket = ledger.LEDGER_BUCKET.get.bind(ledger.LEDGER_BUCKET);

/** The root log itself, also during an outage. */
export const rootLog = () => ledger.LEDGER_ROOT.get(ledger.LEDGER_ROOT.idFromName(ROOT_LOG));
