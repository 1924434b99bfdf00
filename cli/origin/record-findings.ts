import { postAsOperator, refusalLine, type Poster } from "../connection/operator-post.ts";
import type { ProbeReport } from "./probe-origin.ts";

/** Puts the findings of a probe of an entry on record. `lines`: of which members of the entry it found less, or the refusal. */
export async function recordFindings(
  from: Poster,
  { name: origin, url }: { readonly name: string; readonly url: string },
  { findings }: ProbeReport,
): Promise<{ readonly lines: readonly string[]; readonly isRecorded: boolean }> {
  const answer = await postAsOperator(
    from,
    "api/origins/probes",
    JSON.stringify({ origin, url, ...findings }),
  );
  if (answer.status !== 200)
    return { lines: [`origin ${origin}: not recorded: ${refusalLine(answer)}`], isRecorded: false };
  const { otherwise } = answer.body;
  const less = Array.isArray(otherwise) ? otherwise.map(String) : [];
  const lines = less.map((path) => `origin ${origin}: the probe found less than ${path} of its entry`);
  return { lines, isRecorded: true };
}
