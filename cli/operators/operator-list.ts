import * as z from "zod";
import {
  getAsOperator,
  posterOf,
  posterOptions,
  refusedBy,
  type Poster,
} from "../connection/operator-post.ts";
import { Misuse } from "../misuse.ts";
import { giveResult, say, sayRows } from "../output.ts";
import { readCall } from "../read-call.ts";

const operatorForm = z.object({
  id: z.string(),
  status: z.enum(["active", "suspended"]),
  kind: z.enum(["person", "machine"]),
  x5t: z.string(),
  roles: z.array(z.string()),
  signIn: z.looseObject({ iss: z.string(), sub: z.string() }).optional(),
  elevated: z.array(z.object({ role: z.string(), ends: z.number() })),
});
export type RegisteredOperator = z.infer<typeof operatorForm>;

export async function readOperators(from: Poster): Promise<readonly RegisteredOperator[]> {
  const reply = await getAsOperator(from, "api/operators");
  if (reply.status !== 200) throw refusedBy(reply);
  return z.object({ operators: z.array(operatorForm) }).parse(reply.body).operators;
}

/** Lists the operators with their roles. Returns 0, or 2 when it is refused. */
export async function operatorList(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, posterOptions);
  if (positionals.length > 0) throw new Misuse();
  const operators = await readOperators(posterOf(values));
  giveResult(operators);
  sayRows(["operator", "kind", "status", "roles", "sign-in", "certificate"], operators.map(rowOf));
  if (operators.length === 0) say("no operators");
  return 0;
}

function rowOf(each: RegisteredOperator): { readonly cells: readonly string[]; readonly line: string } {
  const { id, kind, status, roles, signIn, x5t, elevated } = each;
  const limited = elevated.map(({ role, ends }) => `${role} until ${new Date(ends).toISOString()}`);
  const all = [...roles, ...limited].join(", ");
  const person = signIn === undefined ? "" : `${signIn.sub} at ${signIn.iss}`;
  return {
    cells: [id, kind, status, all, person, x5t],
    line: `${id} ${kind} ${status}  ${all}  ${person === "" ? "no sign-in" : person}  certificate ${x5t}`,
  };
}
