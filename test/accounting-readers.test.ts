import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";

const root = join(import.meta.dirname, "..");
const configs = [
  "wrangler.toml",
  ...readdirSync(join(root, "workers")).map((name) => `workers/${name}/wrangler.toml`),
].flatMap((path) => {
  try {
    return [{ path, text: readFileSync(join(root, path), "utf8") }];
  } catch {
    return []; // the gateway's own is at the root
  }
});
const bindingOf = (path: string) => configs.find((config) => config.path === path)?.text ?? "";

test("no worker but the ledger's own has a way to the shelves and intakes of accounting lines", ({
  expect,
}) => {
  expect(configs.length).toBeGreaterThanOrEqual(4);
  for (const name of ["AccountingShelf", "AccountingIntake"]) {
    const bound = configs.filter(({ text }) => text.includes(name)).map(({ path }) => path);
    expect(bound, name).toEqual(["workers/ledger/wrangler.toml"]);
  }
});

test("lines are read by the gateway alone, through the entry point that is on record; the operators' door keeps suspensions and reads nothing", ({
  expect,
}) => {
  const users = (entrypoint: string) =>
    configs
      .filter(({ text }) => new RegExp(`^entrypoint = "${entrypoint}"$`, "mu").test(text))
      .map(({ path }) => path);
  expect(users("Disclosures")).toEqual(["wrangler.toml"]);
  expect(users("AccountingHolds")).toEqual(["workers/ops/wrangler.toml"]);
  expect(users("AccountingHolders"), "its answer has clients, and no line").toEqual([
    "workers/ops/wrangler.toml",
  ]);
  for (const path of ["wrangler.toml", "workers/ops/wrangler.toml"]) {
    const ledger = [
      ...bindingOf(path).matchAll(/^service = "phylax-ledger"\nentrypoint = "(?<name>\w*)"$/gmu),
    ].length;
    const any = [...bindingOf(path).matchAll(/^service = "phylax-ledger"$/gmu)].length;
    expect(ledger, `${path}: each service binding to the ledger names an entry point`).toBe(any);
  }
});
