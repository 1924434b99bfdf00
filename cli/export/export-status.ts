import { resolve } from "node:path";
import { closeConnections } from "../connection/mutual-tls.ts";
import { giveResult, say } from "../output.ts";
import { printable } from "../printable.ts";
import { readNamedCall } from "../read-call.ts";
import { readStarted } from "./export-folder.ts";
import { ExportSession } from "./export-session.ts";

/** The folder of a call that names one alone, and its session. */
export function startedIn(args: readonly string[]) {
  const { values, name: folder } = readNamedCall(args, { state: { type: "string", default: ".phylax" } });
  const started = readStarted(folder);
  return { folder, started, session: ExportSession.of(resolve(values.state), started) };
}

/** Prints whether the files of an export can be downloaded. Returns 0, or throws. */
export async function exportStatus(args: readonly string[]): Promise<number> {
  try {
    const { started, session } = startedIn(args);
    const { manifest, expires } = await session.manifest(started.status);
    const { transactionTime, output } = manifest;
    giveResult({ files: output.length, transactionTime, ...(expires !== undefined && { expires }) });
    say(printable(`ready: ${output.length} files of ${transactionTime}`));
    if (expires !== undefined) say(printable(`the files can be downloaded until ${expires}`));
    return 0;
  } finally {
    closeConnections();
  }
}
