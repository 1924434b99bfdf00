import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "vitest";

const root = join(import.meta.dirname, "..");
const planted: string[] = [];

/** Plants a file in a folder of its own inside a room, lints it, and gives what the linter said. */
function lint(room: string, source: string): string {
  const folder = join(root, room, `planted-${process.pid}-${planted.length}`);
  planted.push(folder);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "bad.ts"), source);
  return spawnSync("oxlint", [join(folder, "bad.ts")], { cwd: root, encoding: "utf8" }).stdout;
}

afterEach(() => {
  for (const folder of planted.splice(0)) rmSync(folder, { recursive: true, force: true });
});

test("the linter reports an import that the room table does not allow", ({ expect }) => {
  expect(lint("src/fhir", 'export { x } from "#platform/d1";')).toContain("The room table lets fhir/ import only");
  expect(lint("src/ledger", 'export { x } from "#phi/view";')).toContain("The room table lets ledger/ import only");
  expect(lint("src/platform", 'export { x } from "#gateway/pipeline";')).toContain("The room table lets platform/ import only");
  expect(lint("src/policy", 'export { SignJWT } from "jose";')).toContain("The room table lets policy/ use only");
  expect(lint("src/phi", 'export { readFileSync } from "node:fs";')).toContain("The room table lets phi/ use only");
  expect(lint("src/identity", 'export { x } from "../kernel/result.ts";')).toContain("Across rooms import by name");
  expect(lint("sandbox", 'export { x } from "../../cli/verify.ts";')).toContain("never import each other");
});

test("the linter lets through what the room table allows", ({ expect }) => {
  expect(lint("src/policy", 'export { ok } from "#kernel/result";')).not.toContain("room table");
});

test("a pure room may not read the clock, make randomness, fetch or log", ({ expect }) => {
  for (const source of ["Date.now()", "Math.random()", 'fetch("https://example.org")', "console.log(1)", "crypto.randomUUID()"]) {
    expect(lint("src/policy", `export const x = ${source};`), source).toContain("A pure room");
  }
});
