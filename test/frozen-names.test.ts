import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import frozen from "./frozen-names.json" with { type: "json" };
import { nameKinds, namesIn, type NameKind, type Sources } from "./support/names-in-sources.ts";
import { shapeOf } from "./support/shape-of.ts";

/*
 * Never renamed: old state and old ledgers contain these names, and deployed workers know each other by them
 * (CODE-STYLE.md, "Names"). A missing or changed name fails here. A new name is added to frozen-names.json on
 * purpose, with the change that needs it.
 */

const root = join(import.meta.dirname, "..");
const sources: Sources = new Map(
  ["src", "workers", "migrations"]
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map(
        (name) => `${folder}/${name}`,
      ),
    )
    // The console's scripts are built from sources that are in this list.
    .filter((path) => /\.(?:ts|toml|sql)$/u.test(path) && !/\/(?:assets|review-script)\.gen\.ts$/u.test(path))
    .concat("wrangler.toml")
    .map((path) => [path, readFileSync(join(root, path), "utf8")]),
);

function differences(names: ReturnType<typeof namesIn>, kind: NameKind) {
  const [now, then] = [new Set<string>(names(kind)), new Set<string>(frozen[kind])];
  return {
    gone: [...then].filter((name) => !now.has(name)),
    added: [...now].filter((name) => !then.has(name)),
  };
}

const nothing = { gone: [], added: [] };
const names = namesIn(sources);

test("every kind of frozen name is listed, and has at least one name", () => {
  expect(new Set(Object.keys(frozen))).toEqual(new Set([...nameKinds, "dev.json keys"]));
  expect(frozen["dev.json keys"].length, "test/e2e/old-state.test.ts compares them").toBeGreaterThan(50);
  for (const kind of nameKinds)
    if (kind !== "log calls without an event") expect(frozen[kind].length, kind).toBeGreaterThan(0);
});

for (const kind of nameKinds) {
  test(`${kind}: each name is as in old state, and a new name is added on purpose`, () => {
    expect(differences(names, kind)).toEqual(nothing);
  });
}

/** The sources, with a text replaced in the only file that has it. */
function planted(path: RegExp, before: string, after: string): Sources {
  const fitting = [...sources].filter(([name, text]) => path.test(name) && text.includes(before));
  if (fitting.length !== 1) throw new Error(`${fitting.length} files have ${before}`);
  return new Map([
    ...sources,
    ...fitting.map(([name, text]) => [name, text.replace(before, after)] as const),
  ]);
}

type Plant = readonly [
  kind: NameKind,
  path: RegExp,
  before: string,
  after: string,
  gone: readonly string[],
  added: readonly string[],
];
const plants: readonly Plant[] = [
  [
    "HKDF info",
    /./u,
    '"phylax key commitment v1"',
    '"phylax key commitment v2"',
    ["phylax key commitment v1"],
    ["phylax key commitment v2"],
  ],
  [
    "HKDF info",
    /ledger\/leaf\/seal\.ts$/u,
    "/** label ‖",
    'export const consoleKey = (key: Secret<Uint8Array>) => hkdf(key, new Uint8Array(), utf8("console"));\n/** label ‖',
    [],
    ["console"],
  ],
  ["additional data", /./u, '"phylax page"', '"phylax pages"', ["phylax page"], ["phylax pages"]],
  [
    "additional data",
    /./u,
    '["hold", subject, hold.id]',
    '["suspension", subject, hold.id]',
    [],
    ["suspension"],
  ],
  [
    "additional data",
    /./u,
    "`phylax key epoch v1\\n",
    "`phylax epoch v1\\n",
    ["phylax key epoch v1\n${}\n${}\n"],
    ["phylax epoch v1\n${}\n${}\n"],
  ],
  [
    "HMAC input",
    /./u,
    "`phylax dpop nonce v1 ",
    "`dpop nonce v1 ",
    ["phylax dpop nonce v1 ${} ${}"],
    ["dpop nonce v1 ${} ${}"],
  ],
  [
    "labels of our own",
    /./u,
    "`phylax etag 1\\n",
    "`phylax etag 2\\n",
    ["phylax etag 1\n${}\n"],
    ["phylax etag 2\n${}\n"],
  ],
  ["labels of the choice of a log", /./u, 'spread("address",', 'spread("prefix",', ["address"], ["prefix"]],
  [
    "CBOR keys",
    /./u,
    "states: 21,",
    "residence: 21,",
    ["record.ts keys.states 21"],
    ["record.ts keys.residence 21"],
  ],
  [
    "CBOR keys",
    /./u,
    "signedBy: [12, isRecordText],",
    "signedBy: [12, isRecordText],\n    session: [13, isRecordText],",
    [],
    ["eventGroups.who.session 13"],
  ],
  [
    "CBOR keys",
    /./u,
    "{ dataKey: 1, subjectKey: 2 }",
    "{ dataKey: 2, subjectKey: 1 }",
    ["auditor-secrets.ts keys.dataKey 1", "auditor-secrets.ts keys.subjectKey 2"],
    ["auditor-secrets.ts keys.dataKey 2", "auditor-secrets.ts keys.subjectKey 1"],
  ],
  ["event kinds", /./u, "  aborted: {", "  broken: {", ["aborted"], ["broken"]],
  [
    "leaf kinds",
    /ledger\/leaf\/leaf\.ts$/u,
    "shardSeal: 3",
    "seal: 3",
    ["leafKinds.shardSeal 3"],
    ["leafKinds.seal 3"],
  ],
  [
    "log events",
    /copy\/flush\.ts$/u,
    '"ledger_free_failed"',
    '"ledger_delete_failed"',
    ["ledger_free_failed origin"],
    ["ledger_delete_failed origin"],
  ],
  [
    "log events",
    /workers\/ops\/index\.ts$/u,
    'log({ event: "fault",',
    'log({ event: "failure",',
    [],
    ["failure …"],
  ],
  [
    "log calls without an event",
    /platform\/log\.ts$/u,
    "console.error(JSON.stringify(event));",
    'console.error("failed");',
    [],
    ["src/platform/log.ts Literal"],
  ],
  ["names of Durable Objects", /./u, 'getByName("registry")', 'getByName("main")', ["registry"], ["main"]],
  [
    "tables of Durable Objects",
    /./u,
    "counter INTEGER NOT NULL, salt",
    "number INTEGER NOT NULL, salt",
    ["frames/lines.counter INTEGER"],
    ["frames/lines.number INTEGER"],
  ],
  ["tables of Durable Objects", /./u, "EXISTS copied (first", "EXISTS copies (first", [], []],
  ["R2 keys", /./u, "`checkpoint/${origin}`", "`head/${origin}`", ["checkpoint/${}"], ["head/${}"]],
  [
    "classes and entry points",
    /workers\/ledger\/index\.ts$/u,
    "AccountingShelf,",
    "AccountingShelf as LineStore,",
    ["workers/ledger/index.ts AccountingShelf"],
    ["workers/ledger/index.ts LineStore"],
  ],
  ["what code reads of its environment", /./u, "env.WITNESS_NAME", "env.WITNESS_ID", [], ["WITNESS_ID"]],
  [
    "workers' configurations",
    /workers\/ledger\/wrangler\.toml$/u,
    'class_name = "LedgerRoot"',
    'class_name = "RootLog"',
    ['phylax-ledger durable_objects.bindings name="LEDGER_ROOT" class_name="LedgerRoot"'],
    ['phylax-ledger durable_objects.bindings name="LEDGER_ROOT" class_name="RootLog"'],
  ],
  [
    "workers' configurations",
    /workers\/ledger\/wrangler\.toml$/u,
    '"SUBJECT_KEY"]',
    '"SUBJECT_KEY", "SHELF_KEY"]',
    [],
    ["phylax-ledger secrets SHELF_KEY"],
  ],
  [
    "workers' configurations",
    /^wrangler\.toml$/u,
    'LEDGER_SPREAD = "4"',
    'LEDGER_WIDTH = "4"',
    ["phylax-gateway vars LEDGER_SPREAD"],
    ["phylax-gateway vars LEDGER_WIDTH"],
  ],
  [
    "workers' configurations",
    /^wrangler\.toml$/u,
    'database_name = "phylax-registry"',
    'database_name = "registry"',
    ['phylax-gateway d1_databases binding="REGISTRY" database_name="phylax-registry"'],
    ['phylax-gateway d1_databases binding="REGISTRY" database_name="registry"'],
  ],
  [
    "D1 columns",
    /./u,
    "ADD COLUMN sign_in_at TEXT",
    "ADD COLUMN sign_in TEXT",
    ["registry/origins.sign_in_at TEXT"],
    ["registry/origins.sign_in TEXT"],
  ],
  ["migrations", /0006/u, "signed_responses IN (0, 1)", "signed_responses IN (1, 0)", [], []],
];

for (const [kind, path, before, after, gone, added] of plants) {
  test(`${kind}: seen to fail when ${JSON.stringify(before)} becomes ${JSON.stringify(after)}`, () => {
    const found = differences(namesIn(planted(path, before, after)), kind);
    expect(found).not.toEqual(nothing);
    expect(found.gone).toEqual(expect.arrayContaining([...gone]));
    expect(found.added).toEqual(expect.arrayContaining([...added]));
  });
}

test("each kind has a planted change", () => {
  expect(new Set(plants.map(([kind]) => kind))).toEqual(new Set(nameKinds));
});

test("the shape of a document names each member that it has, in lists too, and neither values nor members that are names", () => {
  const document = {
    ca: "/x",
    clients: [
      { id: "a", cert: "/y" },
      { id: "b", key: null },
    ],
    logs: { "s0-2026h2": "key" },
  };
  const shape = shapeOf(document, new Set(["logs"]));
  expect(shape).toEqual(["ca", "clients[].cert", "clients[].id", "clients[].key", "logs.*"]);
  expect(shapeOf({ ...document, authority: "/x" }, new Set(["logs"]))).not.toEqual(shape);
});
