import { WorkerEntrypoint } from "cloudflare:workers";
import type { MergeMode } from "#identity/merge-registry";
import type { RegistryProblem } from "#identity/registry-document";
import { instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import { applyRegistry, type Applied } from "#platform/apply-registry";

/** The one way to write the registry. */
export class RegistryDesk extends WorkerEntrypoint<ControlEnv> {
  /** Merges a registry file (DESIGN §5): all of it, or nothing and a JSON pointer to what stands against it. */
  async apply(document: unknown, mode: MergeMode = "add"): Promise<Result<Applied, RegistryProblem>> {
    return await applyRegistry(this.env.REGISTRY, document, mode, {
      clock: () => instant(Date.now()),
      publicUrl: this.env.PUBLIC_URL,
    });
  }
}

export default { fetch: () => new Response(null, { status: 404 }) } satisfies ExportedHandler<ControlEnv>;
