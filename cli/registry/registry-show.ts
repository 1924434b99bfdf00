import { Misuse, printFault } from "../misuse.ts";
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { getAsOperator, posterOf, posterOptions, refusalLine } from "../connection/operator-post.ts";
import { complain, giveResult, say, tableOf } from "../output.ts";

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
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: posterOptions,
  });
  const [list, ...more] = positionals;
  if (more.length > 0 || (list !== undefined && columns[list] === undefined)) {
    throw new Misuse(`LIST is one of ${Object.keys(columns).join(", ")}`);
  }
  const shown = await read(values);
  if (typeof shown === "number") return shown;
  const lists = list === undefined ? shown.lists : { [list]: shown.lists[list] ?? [] };
  giveResult({ digest: shown.digest, ...lists });
  say([...Object.entries(lists).flatMap(sectionOf), `registry ${shown.digest}`].join("\n"));
  return 0;
}

/** Writes the registry as a registry file. Returns 0, or 2 when the operators' API refuses. */
export async function registryExport(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: posterOptions,
  });
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new Misuse();
  try {
    const written = await registryToFile(file, values);
    if (typeof written === "number") return written;
    giveResult(written);
    return 0;
  } catch (fault) {
    return printFault(fault);
  }
}

/** Writes the registry to a file. Returns an exit code when the operators' API refuses. */
export async function registryToFile(
  file: string,
  from: Parameters<typeof posterOf>[0],
): Promise<{ readonly file: string; readonly entries: number; readonly digest: string } | number> {
  const shown = await read(from);
  if (typeof shown === "number") return shown;
  const { lists, digest } = shown;
  writeFileSync(file, `${JSON.stringify(lists, null, 2)}\n`);
  const entries = Object.values(lists).reduce((sum, { length }) => sum + length, 0);
  say(`${file}: ${entries} entries, registry ${digest}`);
  return { file, entries, digest };
}

async function read(
  values: Parameters<typeof posterOf>[0],
): Promise<Awaited<ReturnType<typeof readRegistryOf>> | number> {
  try {
    return await readRegistryOf(posterOf(values));
  } catch (fault) {
    return fault instanceof RefusedRead ? (complain(fault.message), 2) : printFault(fault);
  }
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

/** The operators' API refused to show the registry. */
class RefusedRead extends Error {}

/**
 * The registry's lists and their digest, and a time that the server has passed: a fast clock of this machine does not
 * count. Throws when the operators' API refuses or does not answer.
 */
export async function readRegistryOf(
  from: ReturnType<typeof posterOf>,
): Promise<{ readonly digest: string; readonly lists: Lists; readonly at: number }> {
  const answer = await getAsOperator(from, "api/registry");
  if (answer.status !== 200)
    throw answer.status < 500 ? new RefusedRead(refusalLine(answer)) : new Error(refusalLine(answer));
  const lists = answer.body["registry"] as Lists; // our API's own form
  return { digest: String(answer.body["digest"]), lists, at: Math.min(Date.now(), answer.at ?? Infinity) };
}
