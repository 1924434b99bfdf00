import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { experimental_readRawConfig as readConfig } from "wrangler";
import { loggingProblems } from "../cli/deploy/checks.ts";
import type { RawConfig } from "../cli/deploy/worker-configs.ts";

const root = join(import.meta.dirname, "..");
const workers = readdirSync(join(root, "workers")).map((name) => ({
  name,
  config: readFileSync(
    join(root, name === "gateway" ? "wrangler.toml" : `workers/${name}/wrangler.toml`),
    "utf8",
  ),
}));
const bindersOf = (what: RegExp): string[] =>
  workers
    .filter(({ config }) => what.test(config))
    .map(({ name }) => name)
    .sort();

test("every worker with a public door counts floods there, in a namespace of its own", ({ expect }) => {
  const counters = workers.flatMap(({ name, config }) =>
    Array.from(config.matchAll(/^namespace_id = "(\d+)"$/gmu), ([, id]) => ({ name, id: id ?? "" })),
  );
  expect(new Set(counters.map(({ id }) => id)).size).toBe(counters.length);
  expect(new Set(counters.map(({ name }) => name))).toEqual(new Set(["gateway", "ledger", "ops", "witness"])); // control answers nothing by HTTP
});

test("the ledger worker alone binds the bucket, the root log and the line stores, jobs alone the codes, and no worker the witness", ({
  expect,
}) => {
  expect(bindersOf(/LedgerShard/u), "this check can find a binding").toEqual([
    "gateway",
    "jobs",
    "ledger",
    "ops",
  ]);
  expect(bindersOf(/r2_buckets/u)).toEqual(["ledger"]);
  expect(bindersOf(/LedgerRoot/u)).toEqual(["ledger"]);
  expect(bindersOf(/AccountingShelf/u)).toEqual(["ledger"]);
  expect(bindersOf(/AccountingIntake/u)).toEqual(["ledger"]);
  expect(bindersOf(/DataSetCodes/u), "each code leads to a row").toEqual(["jobs"]);
  expect(bindersOf(/ClientExports/u), "a filter may name a patient").toEqual(["jobs"]);
  expect(bindersOf(/ExportDirectory/u)).toEqual(["jobs"]);
  expect(bindersOf(/ExportDesk/u)).toEqual(["ops"]);
  expect(bindersOf(/CodeBook/u)).toEqual(["gateway"]);
  expect(bindersOf(/DataSetDesk/u)).toEqual(["ops"]);
  expect(bindersOf(/phylax-witness|WitnessMemory/u)).toEqual(["witness"]);
});

test("no configuration in the repository logs URLs at the platform, or turns the platform's traces on", ({
  expect,
}) => {
  for (const { name } of workers) {
    const config = readConfig({
      config: join(root, name === "gateway" ? "wrangler.toml" : `workers/${name}/wrangler.toml`),
    }).rawConfig as RawConfig;
    expect(loggingProblems(name, config)).toEqual([]);
    const traced = { ...(config.observability as object), traces: { enabled: true } };
    for (const broken of [
      { ...config, observability: traced },
      { ...config, env: { production: { observability: traced } } },
      { ...config, observability: undefined },
    ])
      expect(loggingProblems(name, broken).join("\n")).toMatch(/platform's traces/u);
  }
});
