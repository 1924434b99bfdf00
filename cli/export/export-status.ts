import { resolve } from "node:path";
import { closeConnections } from "../connection/mutual-tls.ts";
import { complain, giveResult, say } from "../output.ts";
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

export const absent = "the server has no such export: it was cancelled, or its time is over";

/** Prints the state of an export. Returns 0 for an export that runs or is finished, else 1. */
export async function exportStatus(args: readonly string[]): Promise<number> {
  try {
    const { started, session } = startedIn(args);
    const state = await session.state(started.status);
    switch (state.kind) {
      case "running": {
        const { progress, waitSeconds } = state;
        giveResult({
          state: "running",
          ...(progress !== undefined && { progress }),
          ...(waitSeconds !== undefined && { waitSeconds }),
        });
        const wait = waitSeconds === undefined ? "" : `; ask again in ${waitSeconds} s`;
        say(printable(`running: ${progress ?? "no progress is known"}${wait}`));
        return 0;
      }
      case "finished": {
        const { manifest, expires } = state;
        const files = manifest.output.length;
        giveResult({
          state: "finished",
          files,
          transactionTime: manifest.transactionTime,
          ...(expires !== undefined && { expires }),
        });
        say(printable(`finished: ${files} files of ${manifest.transactionTime}`));
        if (expires !== undefined) say(printable(`the files can be downloaded until ${expires}`));
        return 0;
      }
      case "absent":
        complain(absent);
        return 1;
      case "failed":
        complain(printable(`failed: ${state.status} ${state.outcome}`));
        return 1;
    }
  } finally {
    closeConnections();
  }
}
