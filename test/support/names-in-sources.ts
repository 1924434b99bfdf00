import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { SourceScan, type Sink } from "./source-scan.ts";

/** The repository's own texts by path: TypeScript sources, wrangler configurations, migrations. */
export type Sources = ReadonlyMap<string, string>;

const argument = (
  call: string,
  argument: number,
  more: Partial<Extract<Sink, { call: string }>> = {},
): Sink => ({
  call,
  argument,
  ...more,
});

const logged = (scan: SourceScan) =>
  scan.objectsAt("event", ...["debug", "error", "info", "log", "warn"].map((call) => argument(call, 0)));

interface Scanned {
  readonly scan: SourceScan;
  readonly sources: Sources;
}

/**
 * The names by which stored bytes, signed bytes and deployments recognize each other, by kind. Each reader
 * finds all names of its kind in the sources, so a test sees an added name as well as a removed name.
 */
const readers = {
  "HKDF info": ({ scan }) => scan.textsAt(argument("hkdfSync", 3)),
  "additional data": ({ scan }) =>
    scan.textsAt(argument("setAAD", 0), argument("setAdditionalAuthenticatedData", 0), {
      member: "additionalData",
    }),
  // A call between the ledger's objects names its log: the trace does not lead that far.
  "HMAC input": ({ scan }) => [
    ...scan.textsAt(argument("update", 0, { after: "createHmac" })),
    ...scan.returnedBy("logName", "halfYearOf"),
  ],
  "labels of our own": ({ scan }) => scan.textsLike(/^phylax [a-z]/u),
  "labels of the choice of a log": ({ scan }) => scan.textsAt(argument("spread", 0)),
  "CBOR keys": ({ scan }) => [
    ...scan.numberTables(["toCbor", "fromCbor", "fromCborMap"]),
    ...scan.numbersOf("eventGroups"),
  ],
  "event kinds": ({ scan }) => scan.namesOf("eventKinds"),
  "leaf kinds": ({ scan }) => scan.numbersOf("leafKinds"),
  "log events": ({ scan }) => logged(scan).found,
  "log calls without an event": ({ scan }) => logged(scan).without,
  "names of Durable Objects": ({ scan }) =>
    scan.constantsAt(argument("getByName", 0), argument("idFromName", 0), argument("rootOf", 0)),
  "tables of Durable Objects": ({ scan }) =>
    scan.textsLike(/CREATE TABLE/u).flatMap((script) => tablesOf(script, firstTable(script))),
  "R2 keys": ({ scan }) => scan.returnedBy("objectKey", "checkpointKey"),
  "classes and entry points": ({ scan }) => scan.exportsOf(/^workers\/[a-z]+\/index\.ts$/u),
  "what code reads of its environment": ({ scan }) => scan.environment(),
  "workers' configurations": ({ sources }) =>
    [...sources].flatMap(([path, text]) => (path.endsWith("wrangler.toml") ? configured(text) : [])),
  migrations: ({ sources }) =>
    migrationsIn(sources).map(([path, text]) => `${path} ${createHash("sha256").update(text).digest("hex")}`),
  "D1 columns": ({ sources }) =>
    tablesOf(
      migrationsIn(sources)
        .map(([, text]) => text)
        .join("\n"),
      "registry",
    ),
} as const satisfies Readonly<Record<string, (scanned: Scanned) => readonly string[]>>;

export type NameKind = keyof typeof readers;
export const nameKinds = Object.keys(readers) as readonly NameKind[]; // the keys of the table above

const isScript = (path: string) => /^(?:src|workers)\/.*(?<!\.d|\.gen)\.ts$/u.test(path);

/** Finds all names of a kind in the sources. */
export function namesIn(sources: Sources): (kind: NameKind) => readonly string[] {
  const scan = new SourceScan(new Map([...sources].filter(([path]) => isScript(path))));
  return (kind) => readers[kind]({ scan, sources }).toSorted();
}

const migrationsIn = (sources: Sources): readonly (readonly [string, string])[] =>
  [...sources].filter(([path]) => path.endsWith(".sql")).sort(([one], [other]) => (one < other ? -1 : 1));

/** `database/table.column type` for each column of the tables that a script makes. */
function tablesOf(script: string, database: string): readonly string[] {
  const made = new DatabaseSync(":memory:");
  made.exec(script);
  const query =
    "SELECT t.name AS 'table', c.name AS 'column', c.type FROM sqlite_schema t, pragma_table_info(t.name) c " +
    "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'";
  const rows = made.prepare(query).all();
  made.close();
  return rows.map(
    ({ table, column, type }) => `${database}/${String(table)}.${String(column)} ${String(type)}`,
  );
}

/** Two Durable Objects have tables of one name. The first table of each script tells the scripts apart. */
const firstTable = (script: string): string =>
  /CREATE TABLE IF NOT EXISTS (?<table>\w+)/u.exec(script)?.groups?.["table"] ?? "";

// A deployment's state or another worker depends on every value of these sections. Of variables and secrets
// it depends on the names alone.
const whole: ReadonlySet<string> = new Set([
  "durable_objects.bindings",
  "migrations",
  "services",
  "r2_buckets",
  "version_metadata",
]);
const named: ReadonlySet<string> = new Set(["vars", "secrets", "d1_databases", "ratelimits"]);

/** The names in a wrangler.toml: one line for each entry of a section. The files use simple TOML. */
function configured(text: string): readonly string[] {
  const worker = /^name = "(?<name>[^"]+)"/mu.exec(text)?.groups?.["name"] ?? "";
  const [, ...sections] = text.split(/^\[+(?=[a-z0-9_.]+\]+$)/mu);
  return sections.flatMap((section) => {
    const title = section.slice(0, section.indexOf("]"));
    const entries = [...section.matchAll(/^(?<key>[A-Za-z_]+) = (?<value>.*?)(?: +#.*)?$/gmu)].map(
      ({ groups }) => groups ?? {},
    );
    if (whole.has(title))
      return [
        `${worker} ${title} ${entries.map(({ key, value }) => `${String(key)}=${String(value)}`).join(" ")}`,
      ];
    if (!named.has(title)) return [];
    if (title === "vars") return entries.map(({ key }) => `${worker} vars ${String(key)}`);
    if (title === "secrets")
      return [...section.matchAll(/"(?<name>[A-Z_]+)"/gu)].map(
        ({ groups }) => `${worker} secrets ${groups?.["name"] ?? ""}`,
      );
    const told = entries.filter(
      ({ key }) => key === "binding" || key === "name" || key === "database_name" || key === "namespace_id",
    );
    return [
      `${worker} ${title} ${told.map(({ key, value }) => `${String(key)}=${String(value)}`).join(" ")}`,
    ];
  });
}
