import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { measureSizes } from "../../bench/ledger/sizes.ts";
import { guardReadSeconds } from "../../bench/scale/ceilings.ts";
import { ledgerRules } from "../../bench/scale/cost.ts";
import { appendsMax, simulateCommits } from "../../bench/scale/group-commit.ts";
import { simulateBalance } from "../../bench/scale/shard-balance.ts";
import { pricesOf } from "../../bench/scale/prices.ts";
import { scaleTables, sustained } from "../../bench/scale/tables.ts";
import { lane } from "../support/lane.ts";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** The rows of a page's tables, cell by cell, without the lines of dashes. */
const tablesOf = (page: string) =>
  page
    .split("\n\n")
    .filter((part) => part.startsWith("|"))
    .map((part) =>
      part
        .trim()
        .split("\n")
        .map(cellsOf)
        .filter(([first = ""]) => !/^:?-+:?$/u.test(first)),
    );
const cellsOf = (line: string) =>
  line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());

test.skipIf(lane === "fast")(
  "every table of docs/scale.md and bench/scale.md equals the result of the ledger's own code, its prices and the simulations (slow lane)",
  { timeout: 120_000 },
  async ({ expect }) => {
    const page = read("docs/scale.md");
    const tables = tablesOf(`${page}\n\n${read("bench/scale.md")}`);
    const made = scaleTables(await measureSizes());
    for (const table of made) expect(tables).toContainEqual(table);
    expect(page).toContain(pricesOf);
    expect(page).toContain(`${sustained} disclosures a second`);
  },
);

test("the simulated commits follow the writer's own rule", ({ expect }) => {
  const writer = read("src/platform/ledger/object/append/writer.ts");
  expect(writer).toContain("this.#patience.milliseconds(this.#queue.length)");
  expect(writer).toContain("readonly #patience = new CommitPatience()");
  expect(read("src/audit/append-size.ts")).toContain("const RECORDS_MAX = FRAME_LEAVES_MAX - 2;");
  expect(appendsMax).toBe(254);
});

test("the arithmetic's constants are the ledger's own", ({ expect }) => {
  const ledger = "src/platform/ledger/object";
  for (const [file, constant, value] of [
    ["src/ledger/flush.ts", "FLUSH_BYTES_MAX", ledgerRules.flushBytes],
    [`${ledger}/copy/flush.ts`, "BACKLOG_MS", ledgerRules.backlogSeconds * 1_000],
    [`${ledger}/accounting/line-rows.ts`, "ROWS_MAX", ledgerRules.drainRows],
    [`${ledger}/accounting/line-rows.ts`, "BYTES_MAX", ledgerRules.drainBytes],
    [`${ledger}/accounting/drain.ts`, "CALLS_MAX", ledgerRules.drainCalls],
    [`src/platform/in-turns.ts`, "CALLS_AT_ONCE", ledgerRules.callsAtOnce],
    [`${ledger}/accounting/drain.ts`, "SHELVES_MAX", ledgerRules.shelvesAtOnce],
    [`${ledger}/accounting/accounting-intake.ts`, "WAITING_BYTES", ledgerRules.intakeBytes],
    [`${ledger}/accounting/accounting-intake.ts`, "PARTS", ledgerRules.intakeParts],
    [`src/platform/guard/object/guard-epochs.ts`, "freshMilliseconds", guardReadSeconds * 1_000],
    [`${ledger}/root/link.ts`, "HAND_OVER_EVERY_MS", ledgerRules.handOverSeconds * 1_000],
    [`${ledger}/root/link.ts`, "SHARE_MS", ledgerRules.shareMilliseconds],
  ] as const) {
    const written = new RegExp(`const ${constant} = ([\\d_]+);`, "u").exec(read(file))?.[1];
    expect(Number(written?.replaceAll("_", "")), constant).toBe(value);
  }
});

test("the ledger is deployed with the period that the arithmetic takes", ({ expect }) => {
  expect(read("workers/ledger/wrangler.toml")).toContain(
    `LEDGER_SETTLE_SECONDS = "${ledgerRules.flushSeconds}"`,
  );
});

test("alone an append waits for one commit, and under load each commit takes more", ({ expect }) => {
  const alone = simulateCommits(1, 10, 0, 1_000);
  expect(alone.appendsPerCommit).toBeLessThan(1.05);
  expect(alone.p50Milliseconds).toBeCloseTo(10);
  const [some, many] = [simulateCommits(400, 10, 0, 5_000), simulateCommits(2_000, 10, 0, 5_000)];
  expect(many.appendsPerCommit).toBeGreaterThan(2 * some.appendsPerCommit);
  expect(some.appendsPerCommit).toBeGreaterThan(2 * alone.appendsPerCommit);
});

test("a client that is spread wider leaves its busiest shard with less", ({ expect }) => {
  const [two, eight] = [2, 8].map((spread) => simulateBalance(300, 1, 50, spread).peak);
  expect(eight).toBeLessThan((two ?? 0) / 2);
  expect(simulateBalance(300, 0, 1, 2).peak).toBeCloseTo(1); // all requests on a single shard
});
