import { err, ok, type Result } from "#kernel/result";
import type { Instant } from "#kernel/clock";
import { originProbeDocument, probedOtherwise } from "#registry/origin-probe";
import { pointer, type RegistryProblem } from "#registry/problem";
import { originOf } from "#platform/registry/origin-directory";
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
  if (!read.success) {
    const path = pointer(read.error.issues[0]?.path ?? []);
    return err({ reason: "invalid", pointer: path, problem: "is not of the form of a probe" });
  }
  const { origin, wrote } = read.data;
  const [[row]] = await askRegistry(registry, rowsWhere(originTable, "name = ?", origin));
  if (row === undefined)
    return err({ reason: "invalid", pointer: "/origin", problem: "is not a registered origin" });
  const otherwise = probedOtherwise(originOf(row), read.data);
  await registry
    .prepare(
      "INSERT OR REPLACE INTO origin_probes (origin, probed_at, probed_by, wrote, otherwise) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(origin, at, by, wrote ? 1 : 0, JSON.stringify(otherwise))
    .run();
  return ok({ origin, otherwise });
}
