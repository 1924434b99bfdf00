// Prepares a fresh stack: the migrations of D1, then the registry and the Consents through `control`. It has a
// socket of its own and is on the path of no request.
import type { MergeMode } from "#registry/merge";

interface Env {
  readonly REGISTRY: D1Database;
  readonly REGISTRY_DESK: {
    apply(document: unknown, mode: MergeMode): Promise<{ readonly ok: boolean }>;
  };
  readonly CONSENT_DESK: {
    announce(origin: string, consents: readonly string[], patients: readonly string[]): Promise<number>;
    file(change: number, origin: string, consents: readonly object[]): Promise<readonly string[] | undefined>;
  };
}

/** The Consents of one patient at one origin, by its name in the registry. */
export interface ConsentPreparation {
  readonly origin: string;
  readonly patient: string;
  readonly filings: readonly object[];
}

/** The wish of the benchmark: statements of SQL to run at once, then a registry document, then Consents. */
export interface Preparation {
  readonly statements: readonly string[];
  readonly registry: unknown;
  readonly consents: readonly ConsentPreparation[];
}

export default {
  async fetch(request, env) {
    const { statements, registry, consents }: Preparation = await request.json();
    await env.REGISTRY.batch(statements.map((sql) => env.REGISTRY.prepare(sql)));
    const applied = await env.REGISTRY_DESK.apply(registry, "replace");
    if (!applied.ok) return Response.json(applied);
    for (const { origin, patient, filings } of consents) {
      const change = await env.CONSENT_DESK.announce(origin, [], [patient]);
      const filed = await env.CONSENT_DESK.file(change, origin, filings);
      if (filed === undefined) return Response.json({ ok: false, error: "a Consent is not filed" });
    }
    return Response.json(applied);
  },
} satisfies ExportedHandler<Env>;
