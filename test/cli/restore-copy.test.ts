import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, vi } from "vitest";
import { splitFrames } from "#ledger/frame-copies";
import { printFault } from "../../cli/misuse.ts";
import { restoreCopy } from "../../cli/recovery/restore-copy.ts";
import { withFolders } from "../ledger/export-folder.ts";
import { sampleLog } from "../ledger/sample-log.ts";
import { exportOf, keyOf, large, small } from "../ledger/tampered-exports.ts";

const made = exportOf("two logs", [large, small]);
const keys = made.keys.flatMap((key) => ["--key", key]);

/** Runs `phylax restore copy` on an export. Returns its exit code and standard error. */
async function run(...args: string[]) {
  const log = vi.spyOn(console, "log").mockReturnValue();
  const error = vi.spyOn(console, "error").mockReturnValue();
  try {
    return {
      code: await restoreCopy(args).catch(printFault),
      said: error.mock.calls.map(([line]) => String(line)).join("\n"),
    };
  } finally {
    for (const spy of [log, error]) spy.mockRestore();
  }
}

test("an export gives the objects of the copy in R2, each at its key; the folder of a backup serves as well", async ({
  expect,
}) => {
  await withFolders([made], async ([{ folder } = { folder: "" }]) => {
    const out = join(folder, "../copy");
    expect(await run(folder, out, ...keys)).toEqual({ code: 0, said: "" });
    const files = readdirSync(out, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(out.length + 1));
    expect(files.sort()).toEqual([
      "checkpoint/ledger.test/s0-2026h2",
      "checkpoint/ledger.test/s1-2026h2",
      "log/ledger.test/s0-2026h2/frames/0-2",
      "log/ledger.test/s0-2026h2/tile/0/000",
      "log/ledger.test/s0-2026h2/tile/0/001",
      "log/ledger.test/s0-2026h2/tile/entries/000",
      "log/ledger.test/s0-2026h2/tile/entries/001",
      "log/ledger.test/s1-2026h2/frames/0-4",
    ]);
    const joined = splitFrames(readFileSync(join(out, "log/ledger.test/s1-2026h2/frames/0-4")));
    expect(joined?.map((frame) => Buffer.from(frame))).toEqual(
      [0, 1, 2, 3, 4].map((number) => Buffer.from(small.objects.get(`frame/${number}`) ?? [])),
    );
    for (const [key, path] of [
      ["checkpoint/ledger.test/s1-2026h2", "s1-2026h2/checkpoint"],
      ["log/ledger.test/s0-2026h2/tile/entries/001", "s0-2026h2/tile/entries/001"],
    ] as const)
      expect(readFileSync(join(out, key)), key).toEqual(readFileSync(join(folder, path)));

    const backup = join(folder, "../backup");
    mkdirSync(backup);
    writeFileSync(join(backup, "backup.json"), "{}");
    renameSync(folder, join(backup, "ledger"));
    expect((await run(backup, join(folder, "../again"), "s1-2026h2", ...keys)).code).toBe(0);
    expect(readdirSync(join(folder, "../again/log/ledger.test"))).toEqual(["s1-2026h2"]);
  });
});

test("a wrong export gives nothing, and names the object; no file is written over", async ({ expect }) => {
  const keyOfStranger = keyOf({ ...small, verifier: { ...small.verifier, publicKey: new Uint8Array(32) } });
  const bytes = Uint8Array.from(made.files.get("s0-2026h2/frame/1") ?? []);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  const wrong = { ...made, files: new Map([...made.files, ["s0-2026h2/frame/1", bytes]]) };
  await withFolders([wrong, made], async ([bad, good]) => {
    const out = join(bad?.folder ?? "", "../copy");
    const { code, said } = await run(bad?.folder ?? "", out, ...keys);
    expect([code, said]).toEqual([1, expect.stringContaining("s0-2026h2: WRONG: frame/1")]);
    expect((await run(good?.folder ?? "", out, "--key", keyOfStranger)).code, "another ledger's key").toBe(1);
    expect(existsSync(out)).toBe(false);
    await expect(run(good?.folder ?? "", good?.folder ?? "", ...keys)).rejects.toThrow("is not empty");
  });
});

test("nothing is written for an export whose own key leads out of the folder, nor for a log that it lacks", async ({
  expect,
}) => {
  const hostile = exportOf("hostile", [await sampleLog([3], { of: "../../../escaped/s1-2026h2" })]);
  await withFolders([hostile, made], async ([bad, good]) => {
    const out = join(good?.folder ?? "", "../deep/copy");
    const { code, said } = await run(bad?.folder ?? "", out);
    expect([code, said]).toEqual([1, expect.stringContaining("not as an export writes it")]);
    const lacking = run(good?.folder ?? "", out, "s1-2026h2", "s9-2026h2", ...keys);
    await expect(lacking).rejects.toThrow("s9-2026h2 has no leaves");
    expect(readdirSync(join(good?.folder ?? "", ".."))).toEqual(["export"]);
  });
});
