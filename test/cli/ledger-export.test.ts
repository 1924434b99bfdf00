import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import { verifierKey } from "#ledger/tlog/signed-note";
import { ownKeys, verifyFolder } from "../../cli/log/ledger-folder.ts";
import { sentence } from "#auditing/sentence";
import { sampleLog, withObject } from "../ledger/sample-log.ts";
import { logServer, phylax, phylaxIn } from "./phylax.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-export-"));
const log = await sampleLog([250, 200, 100]); // two full tiles and every partial tile
const key = verifierKey(log.verifier.name, log.verifier.publicKey);
let served = log;
const server = logServer(() => served);
let url: string;
const whole = join(folder, "whole");

beforeAll(async () => {
  url = await server.listen();
  await phylax("ledger", "export", whole, url, "--key", key);
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const filesIn = (at: string): string[] =>
  readdirSync(at, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(at, join(entry.parentPath, entry.name)))
    .sort();

let copies = 0;
function copyOf(changes: Readonly<Record<string, Uint8Array | undefined>>): string {
  const copy = join(folder, `copy-${copies++}`);
  cpSync(whole, copy, { recursive: true });
  for (const [path, bytes] of Object.entries(changes)) {
    if (bytes === undefined) rmSync(join(copy, path), { recursive: true });
    else {
      mkdirSync(join(copy, path, ".."), { recursive: true });
      writeFileSync(join(copy, path), bytes);
    }
  }
  return copy;
}

/**
 * Every error in a changed copy, as `<log>/<object>: …`. The check runs in this process, with the key from
 * outside.
 */
async function wrongs(changes: Readonly<Record<string, Uint8Array | undefined>>): Promise<string[]> {
  const copy = copyOf(changes);
  const reports = await verifyFolder(copy, [log.verifier], () => ({}));
  rmSync(copy, { recursive: true });
  return reports.flatMap((report) => ("wrong" in report ? [`${report.name}/${sentence(report.wrong)}`] : []));
}

const bytesOf = (path: string): Uint8Array => new Uint8Array(readFileSync(join(whole, path)));
const named = (path: string): string => path.replace(/^keys$/, "keys/is missing or not as");

test("an export is exactly the objects under its checkpoint, and the keys with the note that they prove nothing", ({
  expect,
}) => {
  expect(filesIn(whole)).toEqual(
    [...[...log.objects.keys()].map((path) => `s0-2026h2/${path}`), "keys"].sort(),
  );
  for (const [path, bytes] of log.objects) expect(bytesOf(`s0-2026h2/${path}`), path).toEqual(bytes);
  const keys = readFileSync(join(whole, "keys"), "utf8");
  expect(keys).toContain(`\n${key}\n`);
  expect(keys).toContain("prove nothing by themselves");
});

test("a byte flipped in any object of an export is found, and the object named", async ({ expect }) => {
  for (const path of filesIn(whole)) {
    const bytes = bytesOf(path);
    for (const at of new Set([0, Math.floor(bytes.length / 2), bytes.length - 1])) {
      const flipped = Uint8Array.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      expect((await wrongs({ [path]: flipped }))[0], `${path} at ${at}`).toContain(named(path));
    }
  }
});

test("any object of an export that is deleted or cut short is named", async ({ expect }) => {
  for (const path of filesIn(whole)) {
    const [gone = ""] = await wrongs({ [path]: undefined });
    expect(gone, path).toContain(named(path));
    expect(gone).toContain("is missing");
    expect((await wrongs({ [path]: bytesOf(path).subarray(0, -1) }))[0], path).toContain(named(path));
    expect((await wrongs({ [path]: new Uint8Array() }))[0], path).toContain(named(path));
  }
  expect(await wrongs({ "s0-2026h2": undefined })).toEqual(["s0-2026h2/its folder is missing"]);
});

test("two objects of a kind in each other's place are found, and one of them named", async ({ expect }) => {
  const own = (path: string): string => `s0-2026h2/${path}`;
  for (const [one, two] of [
    ["frame/0", "frame/2"],
    ["tile/entries/000", "tile/entries/001"],
    ["tile/entries/001", "tile/entries/002.p/40"],
    ["tile/0/000", "tile/0/001"],
    ["tile/0/000", "tile/0/002.p/40"],
    ["tile/0/002.p/40", "tile/1/000.p/2"],
  ] as const) {
    const [found = ""] = await wrongs({ [own(one)]: bytesOf(own(two)), [own(two)]: bytesOf(own(one)) });
    expect(
      [one, two].some((path) => found.startsWith(own(path))),
      `${one}, ${two}: ${found}`,
    ).toBe(true);
  }
});

test("a file that does not belong into an export is named: a frame too many, a wrong width, a foreign log, a link", async ({
  expect,
}) => {
  for (const stray of [
    "frame/3",
    "frame/00",
    "tile/entries/002.p/39",
    "tile/0/002",
    "tile/2/000",
    "proof/0",
    ".hidden",
    "tile/note",
  ]) {
    expect(await wrongs({ [`s0-2026h2/${stray}`]: new Uint8Array(1) })).toEqual([
      `s0-2026h2/${stray}: is no object of this log`,
    ]);
  }
  expect(await wrongs({ "s1-2026h2/checkpoint": new Uint8Array(1) })).toEqual([
    "s1-2026h2/is neither a log of a known key nor the file of keys",
  ]);
  const linked = copyOf({ "s0-2026h2/frame/1": undefined });
  symlinkSync(join(whole, "s0-2026h2/frame/1"), join(linked, "s0-2026h2/frame/1"));
  await expect(verifyFolder(linked, [log.verifier], () => ({}))).rejects.toThrow(/frame\/1 cannot be read/);
  const elsewhere = copyOf({});
  renameSync(join(elsewhere, "s0-2026h2"), `${elsewhere}-log`);
  symlinkSync(`${elsewhere}-log`, join(elsewhere, "s0-2026h2"));
  expect(await verifyFolder(elsewhere, [log.verifier], () => ({}))).toContainEqual({
    name: "s0-2026h2",
    wrong: "is a link",
  });
});

test("phylax ledger verify DIR: 0 for a whole export; 1 and the object's name for each kind of damage; 2 for no folder", async ({
  expect,
}) => {
  const good = await phylax("ledger", "verify", whole, "--key", key);
  expect(good).toMatchObject({
    code: 0,
    error: "",
    out: expect.stringMatching(/^s0-2026h2: good: 552 leaves in 3 frames/),
  });
  const frame = "s0-2026h2/frame/1";
  const flipped = Uint8Array.from(bytesOf(frame));
  flipped[100] = (flipped[100] ?? 0) ^ 4;
  const damage = {
    flipped: { [frame]: flipped },
    deleted: { [frame]: undefined },
    swapped: { [frame]: bytesOf("s0-2026h2/frame/2"), "s0-2026h2/frame/2": bytesOf(frame) },
    "cut short": { [frame]: bytesOf(frame).subarray(0, 5000) },
  };
  for (const [kind, changes] of Object.entries(damage)) {
    const { code, error } = await phylax("ledger", "verify", copyOf(changes), "--key", key);
    expect(code, kind).toBe(1);
    expect(error, kind).toMatch(/^s0-2026h2: WRONG: frame\/1 /);
  }
  expect((await phylax("ledger", "verify", join(folder, "nowhere"), "--key", key)).code).toBe(2);
});

test("without given keys, the running stack's keys are used; without a stack the folder's, with a note on how little they prove", async ({
  expect,
}) => {
  const alone = await phylax("ledger", "verify", whole);
  expect(alone.code).toBe(0);
  expect(alone.out).toContain("shows only that the folder agrees with itself");
  const lost = await phylax("ledger", "verify", copyOf({ keys: undefined }));
  expect(lost).toMatchObject({ code: 1, error: "keys: WRONG: is missing or not as an export writes it\n" });

  const home = join(folder, "home");
  mkdirSync(join(home, ".phylax"), { recursive: true });
  const dev = (logs: object) =>
    writeFileSync(join(home, ".phylax", "dev.json"), JSON.stringify({ logs, ledger: url }));
  dev({ "s0-2026h2": key });
  expect(await phylaxIn(home, "ledger", "verify", whole)).toMatchObject({
    code: 0,
    out: expect.stringContaining("dev.json\n"),
  });
  served = log;
  expect((await phylaxIn(home, "ledger", "verify")).code).toBe(0);
  dev({ "s0-2026h2": verifierKey(log.verifier.name, new Uint8Array(32).fill(9)) });
  const { code, error } = await phylaxIn(home, "ledger", "verify", whole);
  expect(code).toBe(1);
  expect(error).toContain("keys: WRONG: does not have the key of s0-2026h2 that was given");
  expect(error).toContain("s0-2026h2: WRONG: checkpoint: note not signed by a known key");
  expect((await ownKeys(whole))?.length).toBe(1);
});

test("an export of a ledger that lacks anything fails, names it, and leaves nothing; a folder that is not empty is refused", async ({
  expect,
}) => {
  const target = join(folder, "target");
  for (const path of ["frame/2", "tile/entries/001", "tile/1/000.p/2", "checkpoint"]) {
    served = withObject(log, path, undefined);
    const { code, error } = await phylax("ledger", "export", target, url, "--key", key);
    expect(code, path).toBe(1);
    expect(error).toContain(`s0-2026h2: WRONG: ${path}`);
    expect(readdirSync(target), path).toEqual([]);
  }
  served = log;
  const { code, error } = await phylax("ledger", "export", whole, url, "--key", key);
  expect(code).toBe(2);
  expect(error).toContain("is not empty");
  expect(filesIn(whole).length).toBe(log.objects.size + 1);
  expect((await phylax("ledger", "export", target, url)).code, "no key").toBe(2);
});

test("a key with an invalid log name is refused: an export would write, and remove, files next to its folder", async ({
  expect,
}) => {
  const beside = join(folder, "beside");
  const target = join(beside, "target");
  mkdirSync(target, { recursive: true });
  writeFileSync(join(beside, "precious"), "");
  for (const name of [
    "ledger.test/..",
    "ledger.test/.",
    "ledger.test/",
    "ledger.test/keys",
    "ledger.test/s0-2026h2/../..",
  ]) {
    const strange = verifierKey(name, log.verifier.publicKey);
    expect((await phylax("ledger", "export", target, url, "--key", strange)).code, name).toBe(2);
    expect(filesIn(beside), name).toEqual(["precious"]);
    const copy = copyOf({
      keys: new TextEncoder().encode(readFileSync(join(whole, "keys"), "utf8").replace(key, strange)),
    });
    expect((await phylax("ledger", "verify", copy)).error, name).toContain(
      "keys: WRONG: is missing or not as an export writes it",
    );
  }
});
