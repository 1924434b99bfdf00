import { WorkerEntrypoint } from "cloudflare:workers";
import type { MergeMode } from "#identity/merge-registry";
import type { RegistryProblem } from "#identity/registry-document";
import { instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import { applyRegistry, type Applied } from "#platform/apply-registry";
import { admitOperator, type NewOperator } from "#platform/d1/admit-operator";
import { findOperator, type OperatorEntry } from "#platform/d1/operators";

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

/** Who may administer: for the operators' door, which reads and never writes it. */
export class OperatorRoll extends WorkerEntrypoint<ControlEnv> {
  async find(x5t: string): Promise<OperatorEntry | undefined> {
    return await findOperator(this.env.REGISTRY, x5t);
  }
}

/** Admits operators. In no worker's configuration: whoever reached it could make themselves one. The development launcher binds it. */
export class OperatorDesk extends WorkerEntrypoint<ControlEnv> {
  async admit(operator: NewOperator): Promise<void> {
    await admitOperator(this.env.REGISTRY, operator);
  }
}

export default { fetch: () => new Response(null, { status: 404 }) } satisfies ExportedHandler<ControlEnv>;
