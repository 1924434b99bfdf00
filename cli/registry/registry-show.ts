import { Misuse } from "../misuse.ts";
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { getAsOperator, posterOf, posterOptions, refusalLine } from "../connection/operator-post.ts";
import { printable } from "../printable.ts";

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
    options: { ...posterOptions, json: { type: "boolean", default: false } },
  });
  const [list, ...more] = positionals;
  if (more.length > 0 || (list !== undefined && columns[list] === undefined)) {
    throw new Misuse(`LIST is one of ${Object.keys(columns).join(", ")}`);
  }
  const shown = await read(values);
  if (typeof shown === "number") return shown;
  const lists = list === undefined ? shown.lists : { [list]: shown.lists[list] ?? [] };
  if (values.json) console.log(JSON.stringify({ digest: shown.digest, ...lists }, null, 2));
  else console.log([...Object.entries(lists).flatMap(tableOf), `registry ${shown.digest}`].join("\n"));
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
  const shown = await read(values);
  if (typeof shown === "number") return shown;
  writeFileSync(file, `${JSON.stringify(shown.lists, null, 2)}\n`);
  const count = Object.values(shown.lists).reduce((sum, { length }) => sum + length, 0);
  console.log(`${file}: ${count} entries, registry ${shown.digest}`);
  return 0;
}

async function read(
  values: Parameters<typeof posterOf>[0],
): Promise<Awaited<ReturnType<typeof readRegistryOf>> | number> {
  try {
    return await readRegistryOf(posterOf(values));
  } catch (fault) {
    console.error(fault instanceof Error ? fault.message : "not read");
    return fault instanceof RefusedRead ? 2 : 1;
  }
}

const cellOf = (value: unknown): string => (typeof value === "string" ? printable(value) : "");

function tableOf([list, entries]: readonly [string, readonly Entry[]]): readonly string[] {
  const names = columns[list] ?? [];
  const rows = [names, ...entries.map((entry) => names.map((name) => cellOf(entry[name])))];
  const widths = names.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return [
    `${list} (${entries.length})`,
    ...(entries.length === 0 ? [] : lines.map((line) => `  ${line}`)),
    "",
  ];
}

/** The registered policies that grants of an exported registry name: a change that has such a grant has them too. */
export const policiesOf = (lists: Lists, named: readonly unknown[]): readonly Entry[] =>
  (lists["policies"] ?? []).filter(({ name }) => named.includes(name));

/** The operators' API refused to show the registry. */
class RefusedRead extends Error {}

/** The registry's lists and their digest. Throws when the operators' API refuses or does not answer. */
export async function readRegistryOf(
  from: ReturnType<typeof posterOf>,
): Promise<{ readonly digest: string; readonly lists: Lists }> {
  const answer = await getAsOperator(from, "api/registry");
  if (answer.status !== 200)
    throw answer.status < 500 ? new RefusedRead(refusalLine(answer)) : new Error(refusalLine(answer));
  return { digest: String(answer.body["digest"]), lists: answer.body["registry"] as Lists }; // our API's own form
}
