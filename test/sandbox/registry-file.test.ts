import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import { readRegistryFile } from "../../sandbox/registry-file.ts";
import { StartRefusal } from "../../sandbox/start-refusal.ts";

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "phylax-"))));
afterAll(() => rmSync(folder, { recursive: true }));

test("what is no registry file is refused with the file's name and none of its content: a pipe, a folder, deep JSON, a member twice", ({
  expect,
}) => {
  const pipe = join(folder, "pipe");
  spawnSync("mkfifo", [pipe]);
  const written = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const files = [
    [pipe, "cannot be read: it is no file"],
    [folder, "cannot be read: it is no file"],
    [join(folder, "absent"), "cannot be read: it is no file"],
    [written("deep.json", `${"[".repeat(100_000)}${"]".repeat(100_000)}`), "is more than a hundred levels deep"],
    [written("twice.json", '{"clients": [], "clients": []}'), "an object names a member twice"],
    [written("half.json", '{"canary"'), "is not JSON"],
  ] as const;
  for (const [path, problem] of files) {
    expect(() => readRegistryFile(path, {}), path).toThrow(new StartRefusal(`${path}: ${problem}`));
  }
});
