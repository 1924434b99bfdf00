import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import { steps } from "../../sandbox/tour/tour-steps.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

const state = mkdtempSync(join(tmpdir(), "phylax-tour-test-"));
let phylax: TestStack;
beforeAll(async () => {
  phylax = await startTestStack({ state });
}, 60_000);
afterAll(async () => {
  await phylax.close();
  rmSync(state, { recursive: true, force: true });
});

function tour(folder: string): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = spawn(process.execPath, [
    join(import.meta.dirname, "../../sandbox/tour.ts"),
    "--state",
    folder,
  ]);
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((done) => child.on("close", (code) => done({ code, said })));
}

test(
  "the tour of a running Phylax shows every step in order, and leaves it running",
  { timeout: 120_000 },
  async ({ expect }) => {
    const { code, said } = await tour(state);
    expect(code, said).toBe(0);
    const titles = [...said.matchAll(/^\d+\. (.+)$/gmu)].map(([, title]) => title);
    expect(titles).toEqual(steps.map(({ title }) => title));
    expect(said).not.toContain("starting a Phylax");
    expect(said).not.toContain("eyJ"); // no token in a text that people paste into tickets
    const commands = [...said.matchAll(/^ {3}\$ (.+)$/gmu)].map(([, command = ""]) => command);
    expect(commands.length).toBeGreaterThan(4);
    expect(commands.filter((command) => !command.startsWith("npx --no phylax "))).toEqual([]);
    const verify = commands.find((command) => command.includes("ledger verify --keys")) ?? "";
    const done = spawnSync("sh", ["-c", verify], { cwd: process.cwd(), encoding: "utf8" });
    expect(done.stdout, done.stderr).toContain("has the receipt's leaf"); // as printed
    expect((await phylax.ask("payer", "Patient/amara-okafor")).status).toBe(200);
  },
);

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
