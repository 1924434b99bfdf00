import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import { frameHash } from "#ledger/leaf/frame";
import { leafHash } from "#ledger/tlog/merkle";
import { formatReceipt } from "#ledger/receipt";
import { signatureTypes, verifierKey } from "#ledger/tlog/signed-note";
import { logServer, phylax } from "./phylax.ts";
import { sampleLog, type SampleLog } from "../ledger/sample-log.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-verify-"));
let url: string;
let served: SampleLog;
const server = logServer(() => served);
const log = await sampleLog([2, 3]);
const key = verifierKey(log.verifier.name, log.verifier.publicKey);

beforeAll(async () => {
  url = await server.listen();
});

afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

test("phylax ledger verify answers 0 for a good log, with the key, a dev.json, an earlier checkpoint and a receipt", async ({
  expect,
}) => {
  served = log;
  const dev = file("dev.json", JSON.stringify({ logs: { "s0-2026h2": key } }));
  const since = file("checkpoint", log.objects.get("checkpoint") ?? "");
  const frame = frameHash(log.objects.get("frame/1") ?? new Uint8Array());
  const receipt = formatReceipt({
    log: "s0-2026h2",
    index: 5,
    leafHash: leafHash(log.leaves[5] ?? new Uint8Array()),
    frameHash: frame,
  });
  const { code, out, error } = await phylax(
    "ledger",
    "verify",
    url,
    "--keys",
    dev,
    "--since",
    since,
    "--receipt",
    receipt,
  );
  expect({ code, error }).toEqual({ code: 0, error: "" });
  expect(out).toMatch(
    /^s0-2026h2: good: 7 leaves in 2 frames, root \S+, extends the earlier checkpoint, has the receipt's leaf 5\n$/,
  );
  expect((await phylax("ledger", "verify", url, "--key", key, "--log", "s0-2026h2")).code).toBe(0);
});

test("a log that is down is not called wrong: the check says that it was not reached, checks the other logs, and fails", async ({
  expect,
}) => {
  served = log;
  const silent = log.verifier.name.replace("s0-", "s1-");
  const keys = ["--key", verifierKey(silent, log.verifier.publicKey), "--key", key];
  const { code, out, error } = await phylax("ledger", "verify", url, ...keys);
  expect({ code, error }).toEqual({
    code: 1,
    error: `s1-2026h2: NOT REACHED: ${url}s1-2026h2/checkpoint answered 503. The gateway's /readyz says why\n`,
  });
  expect(out).toMatch(/^s0-2026h2: good: 7 leaves/u);
  const json = await phylax("ledger", "verify", url, ...keys, "--json");
  expect(json.code).toBe(1);
  expect(JSON.parse(json.out)).toMatchObject({
    good: false,
    logs: [
      { log: "s1-2026h2", wrong: expect.stringMatching(/^not reached: /u) },
      { log: "s0-2026h2", size: 7 },
    ],
  });
});

test("phylax ledger verify returns 1 and names log, object and place of the error", async ({ expect }) => {
  const frame = Uint8Array.from(log.objects.get("frame/1") ?? []);
  frame[frame.length - 1] = (frame.at(-1) ?? 0) ^ 1;
  served = { ...log, objects: new Map([...log.objects, ["frame/1", frame]]) };
  expect(await phylax("ledger", "verify", url, "--key", key)).toEqual({
    code: 1,
    out: "",
    error: "s0-2026h2: WRONG: frame/1 (frame 1): leaf 6 is not the entry in the log\n",
  });
  served = { ...log, objects: new Map() };
  expect(await phylax("ledger", "verify", url, "--key", key)).toEqual({
    code: 1,
    out: "",
    error: "s0-2026h2: WRONG: checkpoint: is missing\n",
  });
  served = await sampleLog([2]);
  const since = file("earlier", log.objects.get("checkpoint") ?? "");
  expect((await phylax("ledger", "verify", url, "--key", key, "--since", since)).error).toContain(
    "is behind an earlier checkpoint of size 7",
  );
});

test("an unreachable ledger is not good", async ({ expect }) => {
  const { code, error } = await phylax("ledger", "verify", "http://127.0.0.1:1/", "--key", key);
  expect(code).toBe(1);
  expect(error).toContain("cannot be reached");
});

test("a receipt or an earlier checkpoint of a log that is not looked at is refused, not passed over", async ({
  expect,
}) => {
  served = log;
  const { name, publicKey } = log.verifier;
  const other = verifierKey(name.replace("s0-", "s1-"), publicKey);
  const receipt = formatReceipt({
    log: "s0-2026h2",
    index: 1,
    leafHash: new Uint8Array(32),
    frameHash: new Uint8Array(32),
  });
  const since = file("of-s0", log.objects.get("checkpoint") ?? "");
  for (const keys of [
    ["--key", other],
    ["--key", other, "--key", key, "--log", "s1-2026h2"],
  ]) {
    const told = await phylax("ledger", "verify", url, ...keys, "--receipt", receipt);
    expect({ code: told.code, out: told.out }).toEqual({ code: 2, out: "" });
    expect(told.error).toContain("the receipt is of log s0-2026h2");
    expect(await phylax("ledger", "verify", url, ...keys, "--since", since)).toMatchObject({
      code: 1,
      out: "",
    });
  }
});

test("a receipt may be the header's whole line, as curl prints it", async ({ expect }) => {
  served = log;
  const frame = frameHash(log.objects.get("frame/1") ?? new Uint8Array());
  const receipt = formatReceipt({
    log: "s0-2026h2",
    index: 5,
    leafHash: leafHash(log.leaves[5] ?? new Uint8Array()),
    frameHash: frame,
  });
  const { code, out } = await phylax(
    "ledger",
    "verify",
    url,
    "--key",
    key,
    "--receipt",
    `Phylax-Receipt: ${receipt}\r`,
  );
  expect(code).toBe(0);
  expect(out).toContain("has the receipt's leaf 5");
});

test("--help prints the usage of each command and does nothing more", async ({ expect }) => {
  const all = await phylax("--help");
  expect({ code: all.code, error: all.error }).toEqual({ code: 0, error: "" });
  for (const command of ["ledger verify", "ledger export", "registry apply", "token"])
    expect(all.out).toContain(`\n  ${command} `);
  expect((await phylax("ledger", "verify", "--help")).out).toMatch(/^usage: phylax ledger verify .+$/mu);
});

test("misuse returns 2, above all a check without a given key", async ({ expect }) => {
  const keyless = file("keyless.json", JSON.stringify({ logs: {} }));
  const misuses = [
    ["ledger"],
    [],
    ["ledger", "verify"],
    ["ledger", "verify", url],
    ["ledger", "verify", url, "--key", "x"],
    // the folder has its own keys, but the command names another file
    ["ledger", "verify", folder, "--keys", keyless],
    ["ledger", "verify", url, "--key", key, "--log", "s9-2026h2"],
    ["ledger", "verify", url, "--key", key, "--receipt", "x"],
    ["ledger", "verify", url, "--key", key, "--since", join(folder, "not-there")],
    ["ledger", "verify", url, "--key", key, "--witness", key], // a log's key
    [
      "ledger",
      "verify",
      url,
      "--key",
      key,
      "--witness",
      verifierKey("witness.test/w1", log.verifier.publicKey, signatureTypes.cosignature),
    ], // no root log
    ["ledger", "verify", url, "--nonsense"],
  ];
  const codes = await Promise.all(misuses.map(async (args) => (await phylax(...args)).code));
  expect(codes).toEqual(misuses.map(() => 2));
});
