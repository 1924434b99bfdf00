import { err, type Result } from "#kernel/result";
import type { RegistryProblem } from "#registry/document";
import type { Rejected, Verb } from "./administer.ts";
import type { RegistryDesk } from "./ports.ts";

/** The registry as a registry file, with the digest that a change may expect. */
export const showRegistryVerb = (registry: Pick<RegistryDesk, "show">): Verb => ({
  interaction: "show-registry",
  changes: false,
  method: "GET",
  path: "api/registry",
  roles: ["registry-reader", "registry-admin"],
  act: async () => ({ ok: true, value: await registry.show() }),
});

/** The entries that a change would add, change and remove. Nothing is written. */
export const planRegistryVerb = (registry: Pick<RegistryDesk, "plan">): Verb => ({
  interaction: "plan-registry",
  changes: false,
  method: "POST",
  path: "api/registry/plan",
  roles: ["registry-reader", "registry-admin"],
  act: async (document) => orRejected(await registry.plan(document)),
});

/** Applies a change that was planned on the registry's present state. */
export const changeRegistryVerb = (registry: Pick<RegistryDesk, "change">): Verb => ({
  interaction: "change-registry",
  changes: true,
  method: "POST",
  path: "api/registry/changes",
  roles: ["registry-admin"],
  act: async (document) => orRejected(await registry.change(document)),
});

export function orRejected<T>(done: Result<T, RegistryProblem>): Result<T, Rejected> {
  if (done.ok) return done;
  const { reason, pointer, problem } = done.error;
  return err({ reason: `registry_${reason}`, pointer, detail: problem });
}
