import * as z from "zod";
import { ok, type Result } from "#kernel/result";
import { operatorNamed } from "#registry/operator-document";
import { rejectedAt, type Rejected, type Verb } from "./administer.ts";
import { registryReaders } from "./change-registry.ts";
import type { NotNarrowedReason, OperatorTasks } from "./ports.ts";

const listed = z.object({
  id: z.string(),
  status: z.enum(["active", "suspended"]),
  kind: z.enum(["person", "machine"]),
  x5t: z.string(),
  roles: z.array(z.string()),
  signIn: z.unknown().optional(),
  elevated: z.array(z.object({ role: z.string(), ends: z.int() })),
});

/** Each operator with its roles. No answer has a key or a token. */
export const listOperatorsVerb = (operators: Pick<OperatorTasks, "list">): Verb => ({
  interaction: "list-operators",
  does: "Each operator, with its certificate, its roles and the sign-in that it has to show.",
  answer: z.object({ operators: z.array(listed) }),
  method: "GET",
  path: "api/operators",
  roles: registryReaders,
  changes: "nothing",
  async act() {
    return ok({ answer: { operators: await operators.list() } });
  },
});

/** Suspends an operator: the door refuses it from the next request on. One person suffices. */
export const suspendOperatorVerb = (operators: Pick<OperatorTasks, "suspend">): Verb => ({
  interaction: "suspend-operator",
  does: "Suspends an operator: each further request of it is refused, and its open proposals are closed.",
  document: operatorNamed,
  answer: z.object({ suspended: z.string() }),
  method: "POST",
  path: "api/operators/suspend",
  roles: ["registry-admin", "revoker"],
  changes: "repeatably",
  act: ({ document, operator }) =>
    narrowed(document, (id) => operators.suspend(id, operator.id), "suspended"),
});

/** Removes an operator, with its roles for a limited time. One person suffices. */
export const removeOperatorVerb = (operators: Pick<OperatorTasks, "remove">): Verb => ({
  interaction: "remove-operator",
  does: "Removes an operator, with its roles for a limited time, and closes its open proposals.",
  document: operatorNamed,
  answer: z.object({ removed: z.string() }),
  method: "POST",
  path: "api/operators/remove",
  roles: ["registry-admin"],
  changes: "once",
  // A later operator of that id would be removed by a repeat.
  act: ({ document, operator }) => narrowed(document, (id) => operators.remove(id, operator.id), "removed"),
});

async function narrowed(
  document: unknown,
  act: (id: string) => Promise<Result<object, NotNarrowedReason>>,
  done: string,
): Promise<Result<{ readonly answer: object; readonly effect: readonly object[] }, Rejected>> {
  const read = operatorNamed.safeParse(document);
  if (!read.success) return rejectedAt("operator", "operator_not_registered", "has no id of an operator");
  const { operator } = read.data;
  const effect = await act(operator);
  return effect.ok
    ? ok({ answer: { [done]: operator }, effect: [effect.value] })
    : rejectedAt("operator", effect.error, details[effect.error]);
}

const details: Readonly<Record<NotNarrowedReason, string>> = {
  operator_not_registered: "is no registered operator",
  last_person_of_role: "is the last active person of a role: a person ends this operator, a machine does not",
};
