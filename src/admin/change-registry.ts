import { err, ok, type Result } from "#kernel/result";
import type { RegistryProblem } from "#registry/document";
import type { Act, Rejected, Verb } from "./administer.ts";
import type { Role } from "./operator.ts";
import type { Applied, Approvals, RegistryDesk } from "./ports.ts";

export const registryReaders: readonly Role[] = [
  "registry-reader",
  "registry-admin",
  "policy-author",
  "approver",
  "auditor",
];

/** The registry as a registry file, with the digest that a change may expect. */
export const showRegistryVerb = (registry: Pick<RegistryDesk, "show">): Verb => ({
  interaction: "show-registry",
  changes: false,
  isRepeatable: true,
  method: "GET",
  path: "api/registry",
  roles: registryReaders,
  act: async () => ok({ answer: await registry.show() }),
});

/** Each client with what it has, what it needs and what ends soon. */
export const listClientsVerb = (registry: Pick<RegistryDesk, "clients">): Verb => ({
  interaction: "list-clients",
  changes: false,
  isRepeatable: true,
  method: "GET",
  path: "api/clients",
  roles: registryReaders,
  act: async () => ok({ answer: { clients: await registry.clients() } }),
});

/** The entries that a change would add, change and remove. Nothing is written. */
export const planRegistryVerb = (registry: Pick<RegistryDesk, "plan">): Verb => ({
  interaction: "plan-registry",
  changes: false,
  isRepeatable: true,
  method: "POST",
  path: "api/registry/plan",
  roles: registryReaders,
  async act({ document }) {
    const plan = orRejected(await registry.plan(document));
    return plan.ok ? ok({ answer: plan.value }) : plan;
  },
});

/** Applies a change that was planned on the registry's present state. */
export const changeRegistryVerb = (registry: Pick<RegistryDesk, "change">, approvals: Approvals): Verb => ({
  interaction: "change-registry",
  changes: true,
  isRepeatable: true,
  method: "POST",
  path: "api/registry/changes",
  roles: ["registry-admin"],
  act: async ({ document }) => applied(await registry.change(document, approvals === "one-person")),
});

/** The answer has the numbers; the record has the entries. */
export function applied(done: Result<Applied, RegistryProblem>): Result<Act, Rejected> {
  const accepted = orRejected(done);
  return accepted.ok ? ok({ answer: accepted.value.counts, effect: accepted.value.changes }) : accepted;
}

export function orRejected<T>(done: Result<T, RegistryProblem>): Result<T, Rejected> {
  if (done.ok) return done;
  const { reason, pointer, problem } = done.error;
  return err({ reason: `registry_${reason}`, pointer, detail: problem });
}
