import { closeConnections } from "../connection/mutual-tls.ts";
import { noteSentChange } from "../interruption.ts";
import { complain, giveResult, say } from "../output.ts";
import { printable } from "../printable.ts";
import { outcomeIn } from "./outcome-text.ts";
import { absent } from "./export-session.ts";
import { startedIn } from "./export-status.ts";

/** Ends an export. Returns 0, or 1 if there is no such export. */
export async function exportCancel(args: readonly string[]): Promise<number> {
  try {
    const { started, session } = startedIn(args);
    noteSentChange();
    const { status, text } = await session.send(started.status, { method: "DELETE" });
    if (status !== 202) {
      complain(printable(status === 404 ? absent : `not cancelled: ${status} ${outcomeIn(text)}`));
      return status === 404 || status >= 500 ? 1 : 2;
    }
    giveResult({ status: started.status });
    say("cancelled: the files in the folder stay");
    return 0;
  } finally {
    closeConnections();
  }
}
