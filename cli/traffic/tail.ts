import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { linesAsOperator, posterOf, posterOptions, refusedBy } from "../connection/operator-post.ts";
import { noteEndless } from "../interruption.ts";
import { Misuse } from "../misuse.ts";
import { complain, giveLine, inColour, printsJson, say } from "../output.ts";
import { printable } from "../printable.ts";
import { readCall } from "../read-call.ts";

const cursor = z.object({ after: z.string() });
const gap = z.object({ missing: z.string() });
const end = z.object({
  at: z.string(),
  milliseconds: z.number(),
  count: z.number().optional(),
  interaction: z.string().optional(),
  outcome: z.string(),
  reason: z.string().optional(),
  client: z.string().optional(),
  purpose: z.string().optional(),
});
type End = z.infer<typeof end>;

const againMilliseconds = 2_000;

/** Prints each end of a request as it is recorded, until an interruption, which is its good end. */
export async function tail(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, {
    ...posterOptions,
    client: { type: "string" },
    refused: { type: "boolean", default: false },
  });
  if (positionals.length > 0) throw new Misuse();
  noteEndless();
  const isWanted = ({ client, outcome }: End): boolean =>
    (values.client === undefined || client === values.client) && (!values.refused || outcome === "refused");
  let after = "";
  for (;;) {
    const path = `tail?after=${encodeURIComponent(after)}`;
    const opened = await linesAsOperator(posterOf(values), path, (text) => {
      const line = z.union([cursor, gap, end]).parse(JSON.parse(text));
      if ("after" in line) {
        if (after === "") say("watching: Ctrl-C ends it");
        ({ after } = line);
      }
      if ("missing" in line) giveGap(line.missing);
      if ("outcome" in line && isWanted(line)) giveEnd(line);
    });
    if (opened.status !== 200) throw refusedBy(opened);
    if (!opened.isWhole) {
      complain("the connection broke: it is made again, and lines may be missing");
      await sleep(againMilliseconds);
    }
  }
}

function giveGap(log: string): void {
  if (printsJson()) giveLine({ missing: log });
  else say(inColour("yellow", printable(`lines are missing here: ${log} had too many, or restarted`)));
}

function giveEnd(line: End): void {
  if (printsJson()) return giveLine(line);
  const { at, milliseconds, count = 1, interaction, outcome, reason, client = "-", purpose = "-" } = line;
  const ended = reason === undefined ? outcome : `${outcome} ${reason}`;
  const [what, time] = interaction === undefined ? [`${count} ×`, ""] : [interaction, `, ${milliseconds} ms`];
  const text = printable(
    `${at} ${client.padEnd(16)} ${purpose.padEnd(8)} ${what.padEnd(18)} ${ended}${time}`,
  );
  say(outcome === "refused" ? inColour("red", text) : text);
}
