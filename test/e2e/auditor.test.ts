import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, test } from "vitest";
import { openLeaf } from "#ledger/leaf/seal";
import { parseLeaf, leafKinds } from "#ledger/leaf/leaf";
import { parseFrame } from "#ledger/leaf/frame";
import { Secret } from "#kernel/secret";
import { phylaxIn } from "../cli/phylax.ts";
import { openLedger } from "../support/auditor.ts";
import { secretsKept } from "../support/secrets-kept.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { inLane, lane } from "../support/lane.ts";

const root = join(import.meta.dirname, "../..");
const home = mkdtempSync(join(tmpdir(), "phylax-auditor-"));
const state = join(home, ".phylax");
let phylax: TestStack;
beforeAll(async () => {
  phylax = await startTestStack({ state });
  await phylax.ask("payer", "Patient/amara-okafor");
  await phylax.ask("telehealth", "Observation?patient=amara-okafor");
  await phylax.ask("payer", "Observation?patient.name=x");
}, 60_000);
afterAll(async () => {
  await phylax.close();
  rmSync(home, { recursive: true, force: true });
});

const auditor = ".phylax/auditors/auditor-1.jwk.json";
const commandsIn = (doc: string): string[] =>
  [...readFileSync(join(root, "docs", doc), "utf8").matchAll(/^```sh\n(?<block>[\s\S]*?)^```$/gmu)].flatMap(
    ({ groups }) => (groups?.["block"] ?? "").split("\n").filter(Boolean),
  );

test.skipIf(lane === "fast")(
  "docs/auditors.md: each command runs as it is printed",
  { timeout: 120_000 },
  async ({ expect }) => {
    const { headers } = await phylax.ask("payer", "Patient/amara-okafor", {
      headers: { prefer: "audit-proof" },
    });
    writeFileSync(
      join(home, "answer.txt"),
      `HTTP/1.1 200 OK\r\nPhylax-Receipt: ${String(headers["phylax-receipt"])}\r\n\r\n{}`,
    );
    const [, rules = ""] =
      /^```json\n(?<rules>[\s\S]*?)^```$/mu.exec(readFileSync(join(root, "docs/auditors.md"), "utf8")) ?? [];
    writeFileSync(join(home, "locks.json"), rules);
    const commands = commandsIn("auditors.md");
    expect(commands.length).toBeGreaterThan(0);
    for (const command of commands) {
      const [npx, no, name, ...args] = command.split(" ");
      expect([npx, no, name], command).toEqual(["npx", "--no", "phylax"]);
      const { code, error } = await phylaxIn(home, ...args);
      expect({ code, error }, command).toMatchObject({ code: 0 });
    }
  },
);

// a word in capitals stands for an id that a page cannot know, and a sign-in waits for a browser
const needsMore = /\b[A-Z]{4,}\b(?!\/)|--operator|operator sign-in/u;

const few = ["clients.md", "consent.md"];
const pages = [...few, "accounting.md", "break-glass.md", "revocation.md", "registry.md"];

test.for(inLane({ fast: few, slow: pages, long: pages }))(
  "docs/%s: each command without a placeholder runs as it is printed (needs curl and openssl)",
  { timeout: 240_000 },
  async (page, { expect }) => {
    const bin = join(home, "bin");
    mkdirSync(bin, { recursive: true });
    writeFileSync(
      join(bin, "npx"),
      `#!/bin/sh\nshift 2\nexec ${process.execPath} ${join(root, "cli/phylax.mjs")} "$@"\n`,
      { mode: 0o755 },
    );
    const env = { ...process.env, PATH: `${bin}:${process.env["PATH"] ?? ""}` };
    const commands = commandsIn(page).filter(
      (line) => !needsMore.test(line.replaceAll(/'[^']*'|"[^"]*"/gu, "")),
    );
    expect(commands.length).toBeGreaterThan(0);
    for (const command of commands) {
      const here = command.replaceAll("https://localhost:8443", phylax.dev.gateway);
      // asynchronous, because the stack runs in this process; it throws with the error output
      await expect(
        promisify(execFile)("sh", ["-c", here], { cwd: home, env }),
        command,
      ).resolves.toBeTruthy();
    }
  },
);

test("phylax ledger read prints the records of a running ledger that an auditor finds in it by hand", async ({
  expect,
}) => {
  // the command adds the exception that a refusal rests on; no record has it
  const id = (event: unknown) =>
    JSON.stringify(event, (name, value: unknown) => (name === "exception" ? undefined : value));
  const byHand = (await openLedger(phylax.dev)).map(({ event }) => id(event));
  expect(byHand.length).toBeGreaterThanOrEqual(3);
  const byCommand = async () => {
    const { code, out, error } = await phylaxIn(home, "ledger", "read", "--key", auditor, "--json");
    expect([code, error]).toEqual([0, ""]);
    const lines = out.split("\n").filter(Boolean);
    return lines.map((line) => id((JSON.parse(line) as { event: unknown }).event)).sort();
  };
  // The command reads to the last root; a log may be ahead of it by the records of the test before.
  await expect.poll(byCommand, { timeout: 60_000, interval: 2_000 }).toEqual(byHand.sort());
});

test("no worker except the ledger has a key that seals or opens a leaf, and no worker has an auditor's key", async ({
  expect,
}) => {
  const own = new Set<string>();
  for (const file of phylax.dev.auditors) {
    const { d }: { d: string } = JSON.parse(readFileSync(file.key, "utf8"));
    expect(secretsKept(state).has(d)).toBe(true);
    own.add(d);
  }
  const leaves = (await Promise.all(Object.keys(phylax.dev.logs).map(firstLeaves))).flat();
  expect(leaves.length).toBeGreaterThan(0);
  for (const worker of ["phylax-gateway", "phylax-control", "phylax-ledger", "phylax-ops"]) {
    const bindings: Record<string, unknown> = await phylax.stack.runtime.miniflare.getBindings(worker);
    const texts = Object.values(bindings).filter((value) => typeof value === "string");
    expect(texts.length, worker).toBeGreaterThan(0);
    for (const text of texts) for (const d of own) expect(text.includes(d), worker).toBe(false);
    // The test tries every run of 32 bytes in any text, as hex or base64, as a key.
    const words = texts.flatMap((text) => text.match(/[A-Za-z0-9+/_-]{40,}/gu) ?? []);
    const keys = words
      .flatMap((word) => [Buffer.from(word, "base64url"), Buffer.from(word, "hex")])
      .filter((key) => key.length === 32);
    if (worker === "phylax-gateway") expect(keys.length).toBeGreaterThan(1);
    for (const key of keys)
      for (const { origin, leaf } of leaves)
        expect((await openLeaf(new Secret(new Uint8Array(key)), origin, leaf)).ok, worker).toBe(false);
    const ledgers = Object.keys(bindings).filter((name) =>
      ["ACCOUNTING_KEY", "SUBJECT_KEY", "CHECKPOINT_KEY"].includes(name),
    );
    expect(ledgers, worker).toHaveLength(worker === "phylax-ledger" ? 3 : 0);
  }
});

async function firstLeaves(log: string) {
  const response = await fetch(`${phylax.dev.ledger}/${log}/frame/0`);
  const frame = response.ok ? parseFrame(await response.bytes()) : undefined;
  if (!frame?.ok) return [];
  const leaves = frame.value.leaves
    .map((bytes) => parseLeaf(bytes))
    .flatMap((leaf) => (leaf.ok ? [leaf.value] : []));
  return leaves
    .filter(({ kind }) => kind === leafKinds.sealed)
    .map((leaf) => ({ origin: frame.value.origin, leaf }));
}

test("the gateway's code has no function that seals, opens, wraps or unwraps", async ({ expect }) => {
  const inputsOf = async (worker: string): Promise<string[]> => {
    const { metafile } = await build({
      entryPoints: [join(root, `workers/${worker}/index.ts`)],
      bundle: true,
      write: false,
      metafile: true,
      format: "esm",
      platform: "neutral",
      mainFields: ["module", "main"],
      conditions: ["workerd", "worker", "import"],
      external: ["cloudflare:*", "node:*"],
      absWorkingDir: root,
      treeShaking: true,
    });
    const [output] = Object.values(metafile.outputs);
    return Object.entries(output?.inputs ?? {}).flatMap(([path, { bytesInOutput }]) =>
      bytesInOutput > 0 ? [path] : [],
    );
  };
  const keepers = [
    "src/ledger/leaf/seal.ts",
    "src/platform/ledger/object/log/key-wrap.ts",
    "src/platform/ledger/object/log/key-epoch.ts",
  ];
  // the search finds them in the worker that has them
  expect(await inputsOf("ledger")).toEqual(expect.arrayContaining(keepers));
  const gateway = await inputsOf("gateway");
  expect(gateway.length).toBeGreaterThan(50);
  expect(gateway.filter((path) => keepers.includes(path))).toEqual([]);
});
