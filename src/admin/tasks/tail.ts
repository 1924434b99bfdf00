import * as z from "zod";
import type { RecordedEnd, Tail, TailCursor } from "#audit/traffic/ends";
import { ok } from "#kernel/result";
import { parseLogName } from "#ledger/log-name";
import { rejectedAt, Text, type Verb } from "#admin/administer";
import { registryReaders } from "#admin/change-registry";
import type { AdminPorts } from "#admin/ports";

const everyMilliseconds = 2_000;
/**
 * An answer ends after these looks, half a minute; its reader asks again, which is on record again. A look is two
 * calls of other Workers, and Cloudflare permits 32 in a request (Service bindings, Limits).
 */
const looksMax = 12;

const line = z.object({
  at: z.string().optional().meta({ description: "RFC 3339: the time of the record of an end." }),
  milliseconds: z.int().optional().meta({ description: "From the request's arrival to this record." }),
  count: z.int().optional().meta({ description: "Above 1: a sum of anonymous refusals." }),
  interaction: z.string().optional(),
  outcome: z.string().optional(),
  reason: z.string().optional(),
  client: z.string().optional(),
  purpose: z.string().optional(),
  missing: z.string().optional().meta({ description: "A log of which ends are missing before this line." }),
  after: z.string().optional().meta({ description: "Where the next call goes on." }),
});

/** The ends of requests while they are recorded, without a word about whose data it was. */
export const tailVerb = ({ tail, wait }: Pick<AdminPorts, "tail" | "wait">): Verb => ({
  interaction: "tail",
  does: "The ends of requests as they are recorded, a JSON object a line, for half a minute; `after` goes on behind an earlier answer.",
  parameters: z.object({ after: z.string().optional() }),
  answer: line,
  answerType: "application/x-ndjson",
  method: "GET",
  path: "tail",
  roles: registryReaders,
  changes: "nothing",
  async act({ parameters, mayStill }) {
    const begin = cursorIn(parameters["after"] ?? "");
    if (begin === undefined) return rejectedAt("after", "tail_malformed", "is no end of an earlier answer");
    return ok({ answer: new Text("application/x-ndjson", linesOf(begin, mayStill, { tail, wait })) });
  },
});

/** Looks only when its reader has taken the lines before: a slow reader misses ends, and holds no memory. */
function linesOf(
  begin: TailCursor,
  mayStill: () => Promise<boolean>,
  { tail, wait }: Pick<AdminPorts, "tail" | "wait">,
): ReadableStream<Uint8Array> {
  let [after, looks] = [begin, 0];
  return new ReadableStream(
    {
      async pull(controller) {
        if (looks > 0) await wait(everyMilliseconds);
        // before each look: a reader may rest between two of them until the operator is suspended
        if (looks === looksMax || !(await mayStill())) return controller.close();
        looks += 1;
        const found = await tail(after);
        ({ after } = found);
        controller.enqueue(new TextEncoder().encode(textOf(found)));
      },
    },
    { highWaterMark: 0 },
  );
}

function textOf({ ends, incomplete, after }: Tail): string {
  const lines: readonly z.infer<typeof line>[] = [
    ...incomplete.map((log) => ({ missing: log })),
    ...ends.map(shownEnd),
    { after: cursorText(after) },
  ];
  return lines.map((each) => `${JSON.stringify(each)}\n`).join("");
}

const shownEnd = ({ recordedAt, count, ...end }: RecordedEnd) => ({
  at: new Date(recordedAt).toISOString(),
  ...(count > 1 && { count }),
  ...end,
});

const cursorText = (after: TailCursor): string =>
  Object.entries(after)
    .map(([log, frame]) => `${log}:${frame}`)
    .join(",");

/** Undefined: not the text of a cursor. */
function cursorIn(text: string): TailCursor | undefined {
  const parts = text === "" ? [] : text.split(",").map((part) => part.split(":"));
  const areFrames = parts.every(
    ([log = "", frame = "", ...more]) =>
      parseLogName(log) !== undefined && /^(?:-1|\d{1,15})$/u.test(frame) && more.length === 0,
  );
  return areFrames ? Object.fromEntries(parts.map(([log = "", frame]) => [log, Number(frame)])) : undefined;
}
