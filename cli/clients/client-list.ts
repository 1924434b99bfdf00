import * as z from "zod";
import { getAsOperator, posterOf, posterOptions, type Poster } from "../connection/operator-post.ts";
import { printRefusal } from "../approvals/submit-change.ts";
import { UnusableName } from "../misuse.ts";
import { printable } from "../printable.ts";
import { giveResult, inColour, say, tableOf } from "../output.ts";
import { readCall } from "../read-call.ts";

const standing = z.looseObject({
  id: z.string(),
  kind: z.string(),
  status: z.string(),
  auth: z.string(),
  certificates: z.array(z.object({ x5t: z.string(), ends: z.number().optional() })),
  keys: z.array(z.string()),
  missing: z.array(z.string()),
  warnings: z.array(z.object({ what: z.string(), name: z.string(), ends: z.number() })),
  unneeded: z.array(z.string()).default([]), // a deployment before this member sends none
});
type Standing = z.infer<typeof standing>;
const listed = z.object({ clients: z.array(standing) });

/** The error of ids that no client has. */
export const noClient = (ids: readonly string[]): string =>
  `no client ${ids.join(", ")}: \`phylax client list\` has their ids`;

/**
 * Lists the clients, or the named clients, with the missing parts and the keys that end within thirty days.
 * Returns 0; 2 if a named client is not registered, or when it is refused.
 */
export async function clientList(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, posterOptions);
  const answer = await getAsOperator(posterOf(values), "api/clients");
  if (answer.status !== 200) return printRefusal(answer);
  const all = listed.parse(answer.body).clients;
  const unknown = positionals.filter((named) => all.every(({ id }) => id !== named));
  if (unknown.length > 0) throw new UnusableName(noClient(unknown));
  const clients = positionals.length === 0 ? all : all.filter(({ id }) => positionals.includes(id));
  giveResult(clients);
  if (process.stdout.isTTY) for (const line of tableOfClients(clients)) say(line);
  else for (const client of clients) for (const line of linesOf(client)) say(printable(line));
  return 0;
}

/** The missing parts of a client, after a change of the client. */
export async function checklist(
  from: Poster,
  client: string,
): Promise<{
  readonly missing: readonly string[];
  readonly unneeded: readonly string[];
  readonly lines: readonly string[];
}> {
  const answer = await getAsOperator(from, "api/clients");
  const clients = answer.status === 200 ? listed.parse(answer.body).clients : [];
  const found = clients.find(({ id }) => id === client);
  return found === undefined
    ? { missing: [], unneeded: [], lines: [] }
    : { missing: found.missing, unneeded: found.unneeded, lines: linesOf(found) };
}

/** A table of the clients, and below it the parts that are missing or end soon. */
function tableOfClients(clients: readonly Standing[]): readonly string[] {
  const rows = clients.map(({ id, kind, status, auth, missing, certificates, keys }) => [
    id,
    kind,
    status,
    auth,
    String(certificates.length),
    String(keys.length),
    missing.length === 0 ? "ready" : `${missing.length} missing`,
  ]);
  const notes = clients.flatMap((client) => {
    const [, ...lines] = linesOf(client);
    return lines.map((line) => inColour("yellow", printable(`${client.id}:${line.slice(1)}`)));
  });
  return [...tableOf([["client", "kind", "status", "auth", "certificates", "keys", ""], ...rows]), ...notes];
}

function linesOf({
  id,
  kind,
  status,
  auth,
  missing,
  warnings,
  unneeded,
  keys,
  certificates,
}: Standing): readonly string[] {
  const has = `${certificates.length} certificates, ${keys.length} keys`;
  return [
    `${id}  ${kind}  ${status}  ${auth}  ${has}${missing.length === 0 ? "  ready" : ""}`,
    ...missing.map((each) => `  missing: ${each}`),
    ...unneeded.map((each) => `  unneeded: ${each}`),
    ...warnings.map(
      ({ what, name, ends }) =>
        `  ${ends <= Date.now() ? "ended" : "ends"}: ${what} ${name} at ${new Date(ends).toISOString()}`,
    ),
  ];
}
