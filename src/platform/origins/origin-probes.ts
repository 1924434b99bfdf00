import { err, ok, type Result } from "#kernel/result";
import { instant, type Instant } from "#kernel/clock";
import {
  originProbeDocument,
  probedOtherwise,
  probedParameters,
  type ProbedParameters,
} from "#registry/origin-probe";
import { invalid, type RegistryProblem } from "#registry/problem";
import { withoutNulls } from "#platform/registry/empty-columns";
import { askRegistry, originTable, rowsWhere } from "#platform/registry/read-table";
import type { RegistrySql } from "#platform/registry/registry-sql";

/** A recorded probe. */
export interface RecordedProbe {
  readonly origin: string;
  /** The members of the entry of which the probe found less. */
  readonly otherwise: readonly string[];
}

/** Stores the findings of a probe as the last of its origin, and compares them with the origin's entry. */
export async function recordProbe(
  registry: RegistrySql,
  document: unknown,
  { by, at }: { readonly by: string; readonly at: Instant },
): Promise<Result<RecordedProbe, RegistryProblem>> {
  const read = originProbeDocument.safeParse(document);
  if (!read.success) return err(invalid(read.error.issues[0]?.path ?? [], "is not of the form of a probe"));
  const { origin, url, wrote, members } = read.data;
  if (members.capabilities?.types === undefined)
    return err(
      invalid(["members", "capabilities", "types"], "is needed: a probe that tried no type shows nothing"),
    );
  const [[row]] = await askRegistry(registry, rowsWhere(originTable, "name = ?", origin));
  if (row === undefined) return err(invalid(["origin"], "is not a registered origin"));
  const entry = withoutNulls(row);
  const otherwise = probedOtherwise(entry, read.data);
  // The findings are about the server that was probed, and were compared with the entry as it was read.
  const { meta } = await registry
    .prepare(
      `INSERT OR REPLACE INTO origin_probes (origin, probed_at, probed_by, wrote, otherwise, parameters)
       SELECT name, ?, ?, ?, ?, ? FROM origins WHERE name = ? AND url = ? AND json(capabilities) IS json(?)
       AND json(also_known_as) IS json(?) AND transactions IS ? AND honours_if_match_on_delete IS ?`,
    )
    .bind(
      at,
      by,
      wrote ? 1 : 0,
      JSON.stringify(otherwise),
      JSON.stringify(probedParameters(read.data)),
      origin,
      url,
      ...[entry.capabilities, entry.alsoKnownAs].map((value) => (value ? JSON.stringify(value) : null)),
      entry.transactions ?? null,
      entry.honoursIfMatchOnDelete === undefined ? null : Number(entry.honoursIfMatchOnDelete),
    )
    .run();
  if (meta.changes === 0)
    return err(
      invalid(
        ["url"],
        "is not the url of the registered entry, or the entry changed during the probe: probe it again",
      ),
    );
  return ok({ origin, otherwise });
}

/** The last probe of an origin since its entry last changed: when, by whom and how it was made, and what it found. */
export interface LastProbe {
  readonly origin: string;
  readonly at: Instant;
  readonly by: string;
  /** `writing`: synthetic resources were written, and deleted again. */
  readonly how: "reading" | "writing";
  readonly otherwise: readonly string[];
  readonly parameters: ProbedParameters;
}

export async function lastProbes(registry: RegistrySql): Promise<readonly LastProbe[]> {
  const { results } = await registry.prepare("SELECT * FROM origin_probes ORDER BY origin").all<{
    origin: string;
    probed_at: number;
    probed_by: string;
    wrote: 0 | 1;
    otherwise: string;
    parameters: string;
  }>();
  return results.map((row) => ({
    origin: row.origin,
    at: instant(row.probed_at),
    by: row.probed_by,
    how: row.wrote === 1 ? "writing" : "reading",
    otherwise: JSON.parse(row.otherwise) as readonly string[],
    parameters: JSON.parse(row.parameters) as ProbedParameters,
  }));
}
