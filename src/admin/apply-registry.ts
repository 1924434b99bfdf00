import { err } from "#kernel/result";
import type { Verb } from "./administer.ts";
import type { RegistryDesk } from "./ports.ts";

/** Merges a registry file for an operator with the role `registry-admin`. */
export const applyRegistryVerb = (registry: Pick<RegistryDesk, "apply">): Verb => ({
  interaction: "apply-registry",
  path: "api/registry",
  role: "registry-admin",
  async act(document) {
    const applied = await registry.apply(document);
    if (applied.ok) return applied;
    const { reason, pointer, problem } = applied.error;
    return err({ reason: `registry_${reason}`, pointer, detail: problem });
  },
});
