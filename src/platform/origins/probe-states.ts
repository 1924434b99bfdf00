import type { RegistrySql } from "#platform/registry/registry-sql";

/**
 * The last probe of an origin since its entry last changed. `otherwise`: it found less than the entry states.
 * `as_registered_reading`: it wrote nothing, and found each part of the entry that reads can show.
 */
export type ProbeState = "never" | "otherwise" | "as_registered_reading" | "as_registered";

/** The state of the last probe of each origin, by name. */
export async function probeStates(registry: RegistrySql): Promise<Readonly<Record<string, ProbeState>>> {
  const { results } = await registry
    .prepare(
      `SELECT name, CASE WHEN wrote IS NULL THEN 'never' WHEN otherwise <> '[]' THEN 'otherwise'
       WHEN wrote = 0 THEN 'as_registered_reading' ELSE 'as_registered' END AS state
       FROM origins LEFT JOIN origin_probes ON origin = name`,
    )
    .all<{ readonly name: string; readonly state: ProbeState }>();
  return Object.fromEntries(results.map(({ name, state }) => [name, state]));
}
