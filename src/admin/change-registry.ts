import * as z from "zod";
import { err, ok, type Result } from "#kernel/result";
import { changeDocument } from "#registry/change-document";
import { registryDocument } from "#registry/document";
import type { RegistryProblem } from "#registry/problem";
import type { Act, Rejected, Verb } from "./administer.ts";
import type { Role } from "./operator.ts";
import type { Applied, Approvals, RegistryDesk } from "./ports.ts";

const digest = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/u)
  .meta({ description: "Digest of the registry's state, for `expects` of a change." });
const count = z.int().min(0);
const countsForm = z.object({ added: count, changed: count, removed: count.optional() });
const moment = z.int().meta({ description: "Milliseconds since 1970." });
export const planForm = z.object({
  digest,
  changes: z.array(
    z.object({
      kind: z.string(),
      name: z.string(),
      before: z.looseObject({}).optional(),
      after: z.looseObject({}).optional(),
    }),
  ),
  policies: z.record(z.string(), z.unknown()).meta({ description: "Bodies of policies by digest." }),
  opens: z.array(z.string()).meta({ description: "What the change may open, in words." }),
});
const clientForm = z.object({
  id: z.string(),
  kind: z.string(),
  status: z.enum(["active", "suspended"]),
  auth: z.string(),
  certificates: z.array(z.object({ x5t: z.string(), ends: moment.optional() })),
  certificateNames: count,
  keys: z.array(z.string()),
  agreements: z.array(z.object({ id: z.string(), ends: moment })),
  grants: z.array(z.object({ origin: z.string(), purpose: z.string(), agreement: z.string() })),
  missing: z.array(z.string()),
  unneeded: z.array(z.string()),
  warnings: z.array(z.object({ what: z.enum(["certificate", "agreement"]), name: z.string(), ends: moment })),
});

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
  does: "The registry as a registry file, with the digest of its state.",
  answer: z.object({ digest, registry: registryDocument }),
  hasEtag: true,
  changes: "nothing",
  method: "GET",
  path: "api/registry",
  roles: registryReaders,
  async act() {
    const shown = await registry.show();
    return ok({ answer: shown, etag: shown.digest });
  },
});

/** Each client with its parts, the missing parts, and the parts that end soon. */
export const listClientsVerb = (registry: Pick<RegistryDesk, "clients">): Verb => ({
  interaction: "list-clients",
  does: "Each client with what it has, what it needs and what ends soon.",
  answer: z.object({ clients: z.array(clientForm) }),
  changes: "nothing",
  method: "GET",
  path: "api/clients",
  roles: registryReaders,
  act: async () => ok({ answer: { clients: await registry.clients() } }),
});

/** The entries that a change would add, change and remove. Nothing is written. */
export const planRegistryVerb = (registry: Pick<RegistryDesk, "plan">): Verb => ({
  interaction: "plan-registry",
  does: "The entries that a change would add, change and remove, and what it would open. Nothing is written.",
  document: changeDocument,
  answer: planForm,
  changes: "nothing",
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
  does: "Applies a change that was planned on the present registry. If-Match may name the state in place of `expects`.",
  document: changeDocument,
  answer: countsForm,
  isConditional: true,
  changes: "repeatably",
  method: "POST",
  path: "api/registry/changes",
  roles: ["registry-admin"],
  async act({ document, ifMatch }) {
    const expecting = expectingOf(document, ifMatch);
    return expecting.ok
      ? applied(await registry.change(expecting.value, approvals === "one-person"))
      : orRejected(expecting);
  },
});

/** Merges a registry file for an operator with the role `registry-admin`. */
export const applyRegistryVerb = (registry: Pick<RegistryDesk, "apply">, approvals: Approvals): Verb => ({
  interaction: "apply-registry",
  does: "Adds the entries of a registry file. An entry that is registered with different content refuses the file.",
  document: registryDocument,
  answer: countsForm,
  changes: "once",
  method: "POST",
  path: "api/registry",
  roles: ["registry-admin"],
  act: async ({ document }) => applied(await registry.apply(document, approvals === "one-person")),
});

/** The change with the state of `If-Match` as the state that it expects. The two may not differ. */
function expectingOf(document: unknown, ifMatch: string | undefined): Result<unknown, RegistryProblem> {
  if (ifMatch === undefined || typeof document !== "object" || document === null) return ok(document);
  const expects: unknown = Reflect.get(document, "expects");
  return expects === undefined || expects === ifMatch
    ? ok({ ...document, expects: ifMatch })
    : err({ reason: "stale", pointer: "/expects", problem: "is not the state that If-Match names" });
}

/** The answer has the numbers; the record has the entries. */
function applied(done: Result<Applied, RegistryProblem>): Result<Act, Rejected> {
  const accepted = orRejected(done);
  return accepted.ok ? ok({ answer: accepted.value.counts, effect: accepted.value.changes }) : accepted;
}

export function orRejected<T>(done: Result<T, RegistryProblem>): Result<T, Rejected> {
  if (done.ok) return done;
  const { reason, pointer, problem } = done.error;
  return err({ reason: `registry_${reason}`, pointer, detail: problem });
}
