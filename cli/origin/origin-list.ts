import * as z from "zod";
import { getAsOperator, posterOf, posterOptions, refusedBy } from "../connection/operator-post.ts";
import { Misuse } from "../misuse.ts";
import { complain, giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

const names = z.array(z.string());
const probeForm = z.object({
  origin: z.string(),
  at: z.number(),
  by: z.string(),
  how: z.enum(["reading", "writing"]),
  otherwise: names,
  parameters: z.object({ proven: names, stated: names, refused: names }),
});

/** Lists the last probe of each origin, or of one. Returns 0, 1 when there is none, or 2 when it is refused. */
export async function originList(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, posterOptions);
  const [name, ...more] = positionals;
  if (more.length > 0) throw new Misuse();
  const reply = await getAsOperator(posterOf(values), "api/origins/probes");
  if (reply.status !== 200) throw refusedBy(reply);
  const all = z.object({ probes: z.array(probeForm) }).parse(reply.body).probes;
  const probes = all.filter(({ origin }) => name === undefined || origin === name);
  giveResult(probes);
  for (const { origin, at, by, how, otherwise, parameters } of probes) {
    say(`${origin}: probed by ${how}, ${new Date(at).toISOString()}, by ${by}`);
    if (otherwise.length > 0) say(`  less than its entry: ${otherwise.join(", ")}`);
    for (const [state, found] of Object.entries(parameters))
      say(`  ${state} (${found.length}): ${name === undefined ? "" : found.join(" ")}`.trimEnd());
  }
  if (probes.length > 0) return 0;
  complain(
    "no probe is on record since the entry changed: phylax origin probe NAME --registry FILE --record",
  );
  return 1;
}
