import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { budgets, bundleProblems } from "../scripts/bundle-budgets.ts";

const budget = { config: "wrangler.toml", kibibytes: 100, startMilliseconds: 400 };
const good = { kibibytes: 100, startMilliseconds: 400, builds: ["a", "a"], bundles: ["b", "b"] };

test("a bundle is refused if it is too large, starts too slowly or was not measured, differs between two builds, or is bundled unlike wrangler", ({
  expect,
}) => {
  expect(bundleProblems("gateway", good, budget)).toEqual([]);
  const bad = [
    { kibibytes: 101 },
    { startMilliseconds: 401 },
    { startMilliseconds: Number.NaN },
    { builds: ["a", "b"] },
    { bundles: ["b", "c"] },
  ];
  for (const change of bad) expect(bundleProblems("gateway", { ...good, ...change }, budget)).toHaveLength(1);
});

test("every Worker has a budget", ({ expect }) => {
  for (const { config } of Object.values(budgets))
    expect(existsSync(join(import.meta.dirname, "..", config))).toBe(true);
  expect(Object.keys(budgets)).toEqual(["gateway", "control", "ledger", "guards", "jobs", "ops", "witness"]);
});
