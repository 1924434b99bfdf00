import { Misuse } from "../misuse.ts";
import { writeFileSync } from "node:fs";
import { getAsOperator, posterOf, posterOptions, refusedBy } from "../connection/operator-post.ts";
import { giveResult, say, tableOf } from "../output.ts";
import { readCall, readNamedCall } from "../read-call.ts";

type Entry = Readonly<Record<string, unknown>>;
type Lists = Readonly<Record<string, readonly Entry[]>>;

/** The fields that identify and describe an entry of each list, in the order of their columns. */
const columns: Readonly<Record<string, readonly string[]>> = {
  issuers: ["iss", "audience"],
  origins: ["name", "url"],
  policies: ["name"],
  clients: ["id", "kind", "status", "auth"],
  agreements: ["id", "client", "from", "to"],
  grants: ["client", "origin", "purpose", "policy", "scopes"],
};

/** Prints the registry, or a list of it. Returns 0, or 2 when the operators' API refuses. */
export async function registryShow(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, posterOptions);
  const [list, ...more] = positionals;
  if (more.length > 0 || (list !== undefined && columns[list] === undefined)) {
    throw new Misuse(`LIST is one of ${Object.keys(columns).join(", ")}`);
  }
  const shown = await readRegistryOf(posterOf(values));
  const lists = list === undefined ? shown.lists : { [list]: shown.lists[list] ?? [] };
  giveResult({ digest: shown.digest, ...lists });
  say([...Object.entries(lists).flatMap(sectionOf), `registry ${shown.digest}`].join("\n"));
  return 0;
}

/** Writes the registry as a registry file. Returns 0, or 2 when the operators' API refuses. */
export async function registryExport(args: readonly string[]): Promise<number> {
  const { values, name: file } = readNamedCall(args, posterOptions);
  const exported = await registryToFile(file, values);
  say(exportedLine(exported));
  giveResult(exported);
  return 0;
}

interface ExportedFile {
  readonly file: string;
  readonly entries: number;
  readonly digest: string;
}
export const exportedLine = ({ file, entries, digest }: ExportedFile): string =>
  `${file}: ${entries} entries, registry ${digest}`;

/** Writes the registry to a file. */
export async function registryToFile(
  file: string,
  from: Parameters<typeof posterOf>[0],
): Promise<ExportedFile> {
  const { lists, digest } = await readRegistryOf(posterOf(from));
  writeFileSync(file, `${JSON.stringify(lists, null, 2)}\n`);
  const entries = Object.values(lists).reduce((sum, { length }) => sum + length, 0);
  return { file, entries, digest };
}

const cellOf = (value: unknown): string => (typeof value === "string" ? value : "");

function sectionOf([list, entries]: readonly [string, readonly Entry[]]): readonly string[] {
  const names = columns[list] ?? [];
  const rows = [names, ...entries.map((entry) => names.map((name) => cellOf(entry[name])))];
  return [
    `${list} (${entries.length})`,
    ...(entries.length === 0 ? [] : tableOf(rows).map((line) => `  ${line}`)),
    "",
  ];
}

/** The registered policies that grants of an exported registry name: a change that has such a grant has them too. */
export const policiesOf = (lists: Lists, named: readonly unknown[]): readonly Entry[] =>
  (lists["policies"] ?? []).filter(({ name }) => named.includes(name));

/**
 * The registry's lists and their digest, and a time that the server has passed: a fast clock of this machine does not
 * count. Throws when the operators' API refuses or does not answer.
 */
export async function readRegistryOf(
  from: ReturnType<typeof posterOf>,
): Promise<{ readonly digest: string; readonly lists: Lists; readonly at: number }> {
  const answer = await getAsOperator(from, "api/registry");
  if (answer.status !== 200) throw refusedBy(answer);
  const lists = answer.body["registry"] as Lists; // our API's own form
  return { digest: String(answer.body["digest"]), lists, at: Math.min(Date.now(), answer.at ?? Infinity) };
}
