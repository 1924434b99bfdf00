// Prepares a fresh stack: the migrations of D1, and the registry through `control`. It has a socket of its own
// and is on the path of no request.
import type { MergeMode } from "#registry/merge";

interface Env {
  readonly REGISTRY: D1Database;
  readonly REGISTRY_DESK: {
    apply(document: unknown, mode: MergeMode): Promise<unknown>;
  };
}

/** The wish of the benchmark: statements of SQL to run at once, then a registry document. */
export interface Preparation {
  readonly statements: readonly string[];
  readonly registry: unknown;
}

export default {
  async fetch(request, env) {
    const { statements, registry }: Preparation = await request.json();
    await env.REGISTRY.batch(statements.map((sql) => env.REGISTRY.prepare(sql)));
    return Response.json(await env.REGISTRY_DESK.apply(registry, "replace"));
  },
} satisfies ExportedHandler<Env>;
