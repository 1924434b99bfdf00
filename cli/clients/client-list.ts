import { parseArgs } from "node:util";
import * as z from "zod";
import { getAsOperator, posterOf, posterOptions, type Poster } from "../connection/operator-post.ts";
import { printRefusal } from "../approvals/submit-change.ts";
import { printFault } from "../misuse.ts";
import { printable } from "../printable.ts";

const standing = z.looseObject({
  id: z.string(),
  kind: z.string(),
  status: z.string(),
  auth: z.string(),
  certificates: z.array(z.object({ x5t: z.string(), ends: z.number().optional() })),
  keys: z.array(z.string()),
  missing: z.array(z.string()),
  warnings: z.array(z.object({ what: z.string(), name: z.string(), ends: z.number() })),
});
type Standing = z.infer<typeof standing>;
const listed = z.object({ clients: z.array(standing) });

/**
 * Lists the clients, or a named client, with the missing parts and the keys that end within thirty days. Returns 0; 1 if a
 * named client is not registered; 2 when it is refused.
 */
export async function clientList(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...posterOptions, json: { type: "boolean", default: false } },
  });
  try {
    const answer = await getAsOperator(posterOf(values), "api/clients");
    if (answer.status !== 200) return printRefusal(answer);
    const all = listed.parse(answer.body).clients;
    const clients = positionals.length === 0 ? all : all.filter(({ id }) => positionals.includes(id));
    if (values.json) console.log(JSON.stringify(clients, null, 2));
    else for (const client of clients) for (const line of linesOf(client)) console.log(printable(line));
    return clients.length === 0 && positionals.length > 0 ? 1 : 0;
  } catch (fault) {
    return printFault(fault);
  }
}

/** The missing parts of a client, after a change of the client. */
export async function checklist(from: Poster, client: string): Promise<readonly string[]> {
  const answer = await getAsOperator(from, "api/clients");
  if (answer.status !== 200) return [];
  const found = listed.parse(answer.body).clients.find(({ id }) => id === client);
  return found === undefined ? [] : linesOf(found);
}

function linesOf({
  id,
  kind,
  status,
  auth,
  missing,
  warnings,
  keys,
  certificates,
}: Standing): readonly string[] {
  const has = `${certificates.length} certificates, ${keys.length} keys`;
  return [
    `${id}  ${kind}  ${status}  ${auth}  ${has}${missing.length === 0 ? "  ready" : ""}`,
    ...missing.map((each) => `  missing: ${each}`),
    ...warnings.map(
      ({ what, name, ends }) =>
        `  ${ends <= Date.now() ? "ended" : "ends"}: ${what} ${name} at ${new Date(ends).toISOString()}`,
    ),
  ];
}
