import { registryDocument, type RegistryDocument } from "#registry/document";
import type { Poster } from "../connection/operator-post.ts";
import { clientOfEntry } from "./client-of-entry.ts";
import { probeOrigin } from "./probe-origin.ts";
import { recordFindings } from "./record-findings.ts";

// A server with 1,400 search parameters took two minutes. An entry that lists its types is asked about these alone.
const patienceMilliseconds = 180_000;

/**
 * Probes a registered origin and puts the findings on record. Returns lines for the operator: the members of
 * the entry of which the probe found less, or why there was no probe. A probe that fails throws nothing: the
 * entry is registered, and `/readyz` goes on to say that its origin was not probed.
 *
 * @param mayWrite the operator allows synthetic resources; such a probe is not ended before it has deleted them.
 * @param secretsFrom the variables of the environment that may go to a server: a file names each that it likes.
 */
export async function probeRegistered(
  from: Poster,
  stated: unknown,
  mayWrite: boolean,
  secretsFrom: readonly string[],
): Promise<readonly string[]> {
  const read = registryDocument.shape.origins.safeParse([stated]);
  const [entry] = read.success ? read.data : [];
  if (entry === undefined) return [];
  const line = (text: string) => `origin ${entry.name}: ${text}`;
  try {
    const until = mayWrite ? undefined : AbortSignal.timeout(patienceMilliseconds);
    const client = clientOfEntry(entry, until, secretsFrom);
    if (typeof client === "string") return [line(`not probed: ${client}`)];
    const report = await probeOrigin(client, mayWrite, typesOf(entry));
    if (until?.aborted === true)
      return [line("not probed within three minutes: run phylax origin probe --record")];
    if (report === undefined) return [line("not probed: this machine gets no CapabilityStatement from it")];
    const { lines } = await recordFindings(from, entry, report);
    return [...lines, ...report.notes.filter((note) => note.startsWith("not deleted")).map(line)];
  } catch (fault) {
    return [line(`not probed: ${fault instanceof Error ? fault.message : "the probe failed"}`)];
  }
}

const typesOf = ({ capabilities }: RegistryDocument["origins"][number]): readonly string[] | undefined =>
  capabilities?.types && Object.keys(capabilities.types);
