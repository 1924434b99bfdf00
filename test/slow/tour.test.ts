import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import { phylax as command } from "../../sandbox/tour/tour-ask.ts";
import { researchSteps } from "../../sandbox/tour/research-steps.ts";
import { steps } from "../../sandbox/tour/tour-steps.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

const cli = join(import.meta.dirname, "../../cli/main.ts");
const state = mkdtempSync(join(tmpdir(), "phylax-tour-test-"));
let phylax: TestStack;
beforeAll(async () => {
  phylax = await startTestStack({ state });
}, 60_000);
afterAll(async () => {
  await phylax.close();
  rmSync(state, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly said: string;
}

/** The stack's door is in this process, so the command may not stop it. */
function ended(program: string, args: readonly string[], cwd = process.cwd()): Promise<Ended> {
  const child = spawn(program, args, { cwd });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((done) => child.on("close", (code) => done({ code, said })));
}

const tour = (folder: string, ...names: readonly string[]): Promise<Ended> =>
  ended(process.execPath, [join(import.meta.dirname, "../../sandbox/tour.ts"), ...names, "--state", folder]);
const shell = (line: string, cwd: string): Promise<Ended> => ended("sh", ["-c", line], cwd);

test(
  "the tour of a running Phylax shows every step in order, and leaves it running",
  { timeout: 120_000 },
  async ({ expect }) => {
    const { code, said } = await tour(state);
    expect(code, said).toBe(0);
    expect(titlesOf(said)).toEqual(steps.map(({ title }) => title));
    expect(said).not.toContain("starting a Phylax");
    expect(said).not.toContain("eyJ"); // no token in a text that people paste into tickets
    const commands = commandsOf(said);
    expect(commands.length).toBeGreaterThan(4);
    expect(commands.filter((command) => !command.startsWith("npx --no phylax "))).toEqual([]);
    const verify = commands.find((command) => command.includes("ledger verify --keys")) ?? "";
    const done = spawnSync("sh", ["-c", verify], { cwd: process.cwd(), encoding: "utf8" });
    expect(done.stdout, done.stderr).toContain("has the receipt's leaf"); // as printed
    expect((await phylax.ask("payer", "Patient/amara-okafor")).status).toBe(200);
  },
);

const titlesOf = (said: string) => [...said.matchAll(/^\d+\. (.+)$/gmu)].map(([, title]) => title);
const commandsOf = (said: string) =>
  [...said.matchAll(/^ {3}\$ (.+)$/gmu)].map(([, command = ""]) => command);

test(
  "the tour of a study ends with checked files, tables and an accounting, and its commands do the same as printed",
  { timeout: 240_000 },
  async ({ expect }) => {
    const { code, said } = await tour(state, "research");
    expect(code, said).toBe(0);
    expect(titlesOf(said)).toEqual(researchSteps.map(({ title }) => title));
    expect(said).toMatch(/: no identifier found in [1-9]\d* resources \(limited-data-set\)$/mu);
    expect(said).not.toContain("eyJ");
    const cwd = mkdtempSync(join(state, "typed-"));
    const shown = commandsOf(said);
    for (const [at, line] of shown.entries()) {
      const typed = line
        .replace(/^npx --no phylax /u, `'${process.execPath}' '${cli}' `)
        .replace(/(?<= )\S*\.\.\S*/gu, (path) => join(process.cwd(), path));
      const done = await shell(typed, cwd);
      const isLast = at === shown.length - 1; // the export is over, and the command says so
      expect(done.code, `${line}\n${done.said}`).toBe(isLast ? 1 : 0);
    }
    expect(readdirSync(join(cwd, "tables"))).toContain("patients.parquet");
  },
);

test(
  "the tour of a study without a data use agreement ends at its first step",
  { timeout: 120_000 },
  async ({ expect }) => {
    const end = await command("agreement", "end", "limited-study-agreement", "--state", state);
    expect(end.code, end.said).toBe(0);
    const { code, said } = await tour(state, "research");
    expect(code, said).toBe(1);
    expect(said).toContain("NOT SHOWN: no agreement is in force");
    expect(said).not.toMatch(/^2\./mu);
  },
);

test("a word that names no tour is refused before anything starts", async ({ expect }) => {
  const { code, said } = await tour(join(state, "nothing-here"), "reserch");
  expect(code).toBe(2);
  expect(said).toContain("npm run tour -- [research]");
});

test("the tour starts a stack if none runs, and ends it", { timeout: 120_000 }, async ({ expect }) => {
  const { code, said } = await tour(join(state, "nothing-here"));
  expect(code, said).toBe(0);
  const [, port = ""] = /record at https:\/\/localhost:(\d+)$/mu.exec(said) ?? [];
  const [fault] = await once(connect(Number(port), "127.0.0.1"), "error");
  expect(fault).toMatchObject({ code: "ECONNREFUSED", port: Number(port) });
});

test(
  "a step that does not show its claim ends the tour there, by exit code too",
  { timeout: 120_000 },
  async ({ expect }) => {
    const [payer, telehealth] = [phylax.client("payer"), phylax.client("telehealth")];
    const folder = mkdtempSync(join(state, "wrong-"));
    const clients = phylax.dev.clients.map((one) =>
      one.id === "telehealth" ? { ...payer, id: telehealth.id, jwk: payer.jwk } : one,
    );
    writeFileSync(join(folder, "dev.json"), JSON.stringify({ ...phylax.dev, clients }));
    const { code, said } = await tour(folder);
    expect(code, said).toBe(1);
    expect(said).toContain("NOT SHOWN");
    expect(said).not.toMatch(/^4\./mu);
  },
);
