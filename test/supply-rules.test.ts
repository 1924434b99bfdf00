import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { supplyProblems, type LockFile, type Manifest } from "../scripts/supply-rules.ts";

const textOf = (name: string) => readFileSync(join(import.meta.dirname, "..", name), "utf8");
const manifest: Manifest = JSON.parse(textOf("package.json"));
const lock: LockFile = JSON.parse(textOf("package-lock.json"));

test("every package has an exact version, a hash and an allowed licence", ({ expect }) => {
  expect(supplyProblems(manifest, lock)).toEqual([]);
});

test("a range, a missing hash, a missing licence and a licence of the wrong kind are found", ({ expect }) => {
  const planted = (entry: object): LockFile => ({
    packages: {
      ...lock.packages,
      "node_modules/planted": { integrity: "sha512-x", license: "MIT", ...entry },
    },
  });
  const found = (entry: object) => supplyProblems(manifest, planted(entry)).length;
  expect(supplyProblems({ ...manifest, dependencies: { hono: "^4.13.19" } }, lock)).toHaveLength(1);
  expect(supplyProblems({ ...manifest, dependencies: { old: "npm:typescript@^5.9.3" } }, lock)).toHaveLength(
    1,
  );
  expect(found({})).toBe(0);
  expect(found({ integrity: undefined })).toBe(1);
  expect(found({ integrity: "sha1-x" })).toBe(1);
  expect(found({ license: undefined })).toBe(1);
  expect(found({ license: "GPL-3.0-only" })).toBe(1);
  expect(found({ license: "MPL-2.0" })).toBe(1); // in a bundle
  expect(found({ license: "MPL-2.0", dev: true })).toBe(0);
  expect(found({ license: "MIT AND GPL-3.0-only" })).toBe(1);
  expect(found({ license: "(GPL-3.0-only OR MIT)" })).toBe(0);
});
