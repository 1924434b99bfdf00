import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { deidFormNamed } from "../deid/form-option.ts";
import { readJsonFile } from "../json-file.ts";
import { Misuse, UnusableFile } from "../misuse.ts";
import { giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";
import { resourcesIn, type ResourceText } from "../resource-files.ts";
import { dictionaryOf } from "./data-dictionary.ts";
import { TableFile } from "./table-file.ts";
import { readView, type View } from "./view-definition.ts";
import { RowFault, rowsOf } from "./view-rows.ts";

const starterViews = join(import.meta.dirname, "../../views");

/**
 * Makes a table of each ViewDefinition from the NDJSON files of a folder: Parquet, CSV and a data dictionary. The
 * new folder takes its name at the end, so that it is whole or absent. Returns 0.
 */
export async function exportTables(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, {
    views: { type: "string", default: starterViews },
    form: { type: "string" },
  });
  const [from, into, ...more] = positionals;
  if (from === undefined || into === undefined || more.length > 0) throw new Misuse();
  const form = values.form === undefined ? undefined : deidFormNamed(values.form);
  if (existsSync(into)) throw new UnusableFile(`${into}: exists already: name a new folder`);
  const views = viewsIn(values.views);
  const made = mkdtempSync(`${resolve(into)}.`);
  try {
    const tables = await tablesOf(from, views, made);
    writeFileSync(join(made, "data-dictionary.csv"), dictionaryOf(views, form), { mode: 0o600 });
    renameSync(made, into);
    giveResult({ folder: into, tables });
    for (const { table, rows } of tables) say(`${table}: ${rows} rows`);
    say(`${into}: ${tables.length} tables as Parquet and CSV, and data-dictionary.csv`);
    return 0;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

function viewsIn(path: string): readonly View[] {
  if (!existsSync(path)) throw new UnusableFile(`${path}: does not exist`);
  const files = statSync(path).isDirectory()
    ? readdirSync(path)
        .filter((name) => name.endsWith(".json"))
        .toSorted()
        .map((name) => join(path, name))
    : [path];
  const views = files.map((file) => {
    const read = readJsonFile(file);
    const view = read.ok ? readView(read.value) : read;
    if (!view.ok) throw new UnusableFile(`${file}: ${view.error}`);
    return view.value;
  });
  const names = views.map(({ name }) => name.toLowerCase());
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new UnusableFile(`${path}: two views have the name ${twice}`);
  if (views.length === 0) throw new UnusableFile(`${path}: has no ViewDefinition`);
  return views;
}

/** Reads each line once, for all views of its type. */
async function tablesOf(from: string, views: readonly View[], folder: string) {
  const tables = views.map((view) => ({ view, file: new TableFile(join(folder, view.name), view.columns) }));
  for await (const line of resourcesIn(from)) {
    const resource = parsed(line);
    for (const { view, file } of tables) {
      if (Reflect.get(resource, "resourceType") !== view.resource) continue;
      for (const row of rowsAt(line, view, resource)) file.add(row);
    }
  }
  return tables.map(({ view, file }) => {
    file.end();
    return { table: view.name, rows: file.rows };
  });
}

function parsed({ file, line, text }: ResourceText): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Its message would quote the text.
  }
  throw new UnusableFile(`${basename(file)}: line ${line} is not a JSON object`);
}

function rowsAt({ file, line }: ResourceText, view: View, resource: object): ReturnType<typeof rowsOf> {
  try {
    return rowsOf(view, resource);
  } catch (fault) {
    if (fault instanceof RowFault) throw new UnusableFile(`${file}: line ${line}: ${fault.message}`);
    throw fault;
  }
}
