import { join, resolve } from "node:path";
import type { LogReader } from "#ledger/ports";
import { folderLog } from "./folder-log.ts";
import { httpLog } from "./http-log.ts";

/** Reads one log from the ledger's URL, or from a folder that an export wrote. */
export const readerAt = (ledger: string, log: string): LogReader =>
  /^https?:\/\//u.test(ledger) ? httpLog(ledger, log) : folderLog(join(resolve(ledger), log));
