import * as z from "zod";

const readiness = z.object({ origins: z.record(z.string(), z.string().max(64)).default({}) });

const patienceMilliseconds = 2_000;
const textMax = 262_144;

/**
 * The state of each origin, from the gateway's public `readyz`, which is 503 while a dependency fails and says so
 * in the same form. Throws when the gateway does not answer.
 */
export async function originStatesAt(gateway: string): Promise<Readonly<Record<string, string>>> {
  const answer = await fetch(`${gateway}/readyz`, {
    redirect: "manual",
    signal: AbortSignal.timeout(patienceMilliseconds),
  });
  const text = await answer.text();
  if (text.length > textMax) throw new Error("the gateway's readiness is too long");
  return readiness.parse(JSON.parse(text)).origins;
}
