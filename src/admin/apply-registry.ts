import type { Verb } from "./administer.ts";
import { applied } from "./change-registry.ts";
import type { Approvals, RegistryDesk } from "./ports.ts";

/** Merges a registry file for an operator with the role `registry-admin`. */
export const applyRegistryVerb = (registry: Pick<RegistryDesk, "apply">, approvals: Approvals): Verb => ({
  interaction: "apply-registry",
  changes: true,
  isRepeatable: false,
  method: "POST",
  path: "api/registry",
  roles: ["registry-admin"],
  act: async ({ document }) => applied(await registry.apply(document, approvals === "one-person")),
});
