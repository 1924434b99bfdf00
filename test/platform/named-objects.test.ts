import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const sources = new Map(
  ["src", "workers"].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((path) => /\.tsx?$/u.test(path) && !path.endsWith(".d.ts"))
      .map((path): [string, string] => [join(folder, path), readFileSync(join(folder, path), "utf8")]),
  ),
);

/** Files that call a Durable Object by a name or an id, without comments. */
function callers(texts: ReadonlyMap<string, string>): readonly string[] {
  const calls = /\b(?:getByName|idFromName|idFromString|newUniqueId)\b/u;
  return [...texts].filter(([, text]) => calls.test(withoutComments(text))).map(([path]) => path);
}

const withoutComments = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gmu, "");

// The first call places an object for good. Each of these files is the only place that calls its objects.
const placing = [
  "src/platform/codes/isolate/code-book.ts",
  "src/platform/exports/isolate/export-shelf.ts",
  "src/platform/guard/isolate/guard-stub.ts",
  "src/platform/idempotency/isolate/request-keys.ts",
  "src/platform/ledger/client/stubs.ts",
  "src/platform/revocation/object/revocations.ts",
  "src/platform/row-leases/isolate/leases.ts",
  "src/platform/witness/isolate/door.ts",
];

test("each kind of Durable Object is called by its name in a single file, which gives its place", () => {
  expect(callers(sources).toSorted()).toEqual(placing);
  const planted = new Map(sources).set("src/gateway/new.ts", 'env.LEDGER_SHARD.getByName("s0-2026h2")');
  expect(callers(planted)).toContain("src/gateway/new.ts");
});
