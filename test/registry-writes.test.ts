import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { test } from "vitest";
import { optionsOf } from "../scripts/bundle-worker.ts";

const root = join(import.meta.dirname, "..");
const writes =
  /\.(?:insert|update)\(|\bdelete\((?:clients|certificates|grants|origins)\)|\b(?:insert\s+into|replace\s+into|update\s+\w+\s+set|delete\s+from)\b/iu;

const speaksToRegistry = (file: string, text: string): boolean =>
  file.startsWith("src/") && /"drizzle-orm|\b(?:D1Database|RegistrySql)\b/u.test(text);

/** The files that a worker's bundle is made of. */
async function filesIn(worker: string): Promise<readonly string[]> {
  const entryPoints = [`workers/${worker}/index.ts`];
  const { metafile } = await build({ ...optionsOf(worker), entryPoints, write: false, metafile: true });
  return Object.keys(metafile.inputs);
}

/** The files in a worker's bundle that use the registry and write to it. */
async function writersIn(worker: string): Promise<readonly string[]> {
  const sources = (await filesIn(worker)).map((file) => ({
    file,
    text: readFileSync(join(root, file), "utf8"),
  }));
  return sources
    .filter(({ file, text }) => speaksToRegistry(file, text) && writes.test(text))
    .map(({ file }) => file)
    .sort();
}

test("the control worker writes the registry, and no source of any further worker does", async ({
  expect,
}) => {
  expect(await writersIn("control"), "this check can find a writer").toEqual([
    "src/platform/authorities/authority-rows.ts",
    "src/platform/cases/case-notices.ts",
    "src/platform/cases/case-rows.ts",
    "src/platform/consents/consent-readings.ts",
    "src/platform/consents/consent-rows.ts",
    "src/platform/consents/refile-rows.ts",
    "src/platform/operators/operator-rows.ts",
    "src/platform/origins/origin-probes.ts",
    "src/platform/proposals/proposal-rows.ts",
    "src/platform/registry/admit-operator.ts",
    "src/platform/registry/write-registry.ts",
    "src/platform/reviews/review-rows.ts",
  ]);
  expect(await writersIn("gateway")).toEqual([]);
  expect(await writersIn("ops")).toEqual([]);
});

test("the gateway's bundle has neither drizzle, Hono, jose and zod nor the checks of a policy and the tables for them", async ({
  expect,
}) => {
  const large = [
    ...["drizzle-orm", "hono", "jose", "zod"].map((name) => `node_modules/${name}/`),
    "src/policy/check.ts",
    "src/fhir/r4/structure.gen.ts",
    "src/fhir/r4/summary.gen.ts",
    "src/fhir/r4/ties.gen.ts",
  ];
  const largeIn = async (worker: string) => {
    const files = await filesIn(worker);
    return large.filter((part) => files.some((file) => file.includes(part)));
  };
  expect(await largeIn("gateway")).toEqual([]);
  const elsewhere = [await largeIn("control"), await largeIn("ops")];
  expect(new Set(elsewhere.flat()), "this check can find them").toEqual(new Set(large));
});
