import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { verifierKey } from "#ledger/tlog/signed-note";
import { nameOf, usageOf } from "../../cli/commands/command.ts";
import { commands } from "../../cli/commands/commands.ts";
import { interruption, noteSentChange } from "../../cli/interruption.ts";
import { faultWords } from "../../cli/fault-words.ts";
import { denialNames } from "../../cli/registry/revoke.ts";
import { withNamesApart } from "../../cli/run-command.ts";
import { phylax } from "./phylax.ts";

test("each command loads, and its help has its sentence, its usage and an example", async () => {
  for (const command of commands) {
    expect(await command.load(), nameOf(command)).toBeTypeOf("function");
    expect(command.does).toMatch(/^[A-Z].*\.$/u);
    const { code, out } = await phylax(...command.words, "--help");
    expect(code).toBe(0);
    expect(out).toContain(`${command.does}\nusage: ${usageOf(command)}\nexamples:\n  `);
    for (const example of command.examples)
      expect(example.replace(/^eval "\$\(/u, ""), "an example calls its own command").toMatch(
        new RegExp(`^phylax ${nameOf(command)}(?:$| |\\))`, "u"),
      );
  }
});

test("a digest that begins with a dash is a name or a value, and no option", () => {
  const digest = `-${"0".repeat(42)}`;
  const apart = (name: string, ...args: readonly string[]) => {
    const command = commands.find((each) => nameOf(each) === name);
    return command && withNamesApart(command, args);
  };
  expect(apart("consent check", "main/Patient/a", digest, "--records", "f.jsonl", "--state", "s")).toEqual([
    "--records=f.jsonl",
    "--state=s",
    "--",
    "main/Patient/a",
    digest,
  ]);
  expect(apart("revoke", "certificate", digest, "--lift")).toEqual(["--lift", "--", "certificate", digest]);
  expect(apart("client retire", "app", "--cert", digest)).toEqual([`--cert=${digest}`, "--", "app"]);
  expect(apart("revoke", "client", "app", "-x"), "no digest").toEqual(["client", "app", "-x"]);
});

test("a certificate whose thumbprint begins with a dash is denied", async () => {
  const { code, error } = await phylax("revoke", "certificate", `-${"0".repeat(42)}`, "--state", "/absent");
  expect(error).not.toContain("Unknown option");
  expect(code).not.toBe(0); // there is no deployment
});

test("a longer command is found before a command whose words it begins with", () => {
  for (const [i, { words }] of commands.entries())
    for (const later of commands.slice(i + 1))
      expect(
        words.every((word, at) => later.words[at] === word),
        `${words.join(" ")} hides ${nameOf(later)}`,
      ).toBe(false);
});

test("a misspelt command is answered by the closest command, and exits 2", async () => {
  expect(await phylax("ledgr", "verify")).toEqual({
    code: 2,
    out: "",
    error: "unknown command: did you mean `phylax ledger verify`? `phylax help` lists all commands\n",
  });
  expect((await phylax("registry", "aply", "x.json")).error).toContain("`phylax registry apply`");
  expect((await phylax("zzzzzzzzzzzz")).error).toMatch(
    /^unknown command\nusage: phylax COMMAND …\n {2}token /u,
  );
});

test("the first words of commands list these commands alone", async () => {
  const { code, out } = await phylax("policy", "--help");
  expect(code).toBe(0);
  expect(out.match(/^ {2}\S+ \S+/gmu)).toEqual([
    "  policy check",
    "  policy diff",
    "  policy explain",
    "  policy publish",
  ]);
  expect((await phylax()).code).toBe(2);
});

test("a misuse prints the command's usage and exits 2", async () => {
  const { code, error } = await phylax("policy", "diff", "only-one.json");
  expect([code, error]).toEqual([2, "usage: phylax policy diff BEFORE AFTER\n"]);
  expect((await phylax("policy", "diff", "--nonsense")).error).toMatch(
    /--nonsense.*\nusage: phylax policy diff/su,
  );
});

test("a misspelt option is answered by the closest option of its command", async () => {
  expect((await phylax("ledger", "read", "--limt", "3")).error).toContain("\ndid you mean --limit?\n");
  expect((await phylax("policy", "check", "--jsn")).error).toContain("\ndid you mean --json?\n");
  expect((await phylax("policy", "check", "--limit")).error).not.toContain("did you mean");
});

test("the version is the package's", async () => {
  expect((await phylax("--version")).out).toMatch(/^phylax \d+\.\d+\.\d+\n$/u);
});

test("the usage of revoke names each kind of denial with its names in order", async () => {
  const { out } = await phylax("revoke", "--help");
  for (const [kind, fields] of Object.entries(denialNames))
    expect(out).toContain(`\n    ${kind} ${fields.map((field) => field.toUpperCase()).join(" ")}\n`);
});

test("help is a word too, since npx keeps --help without a command for itself", async () => {
  expect(await phylax("help")).toEqual(await phylax("--help"));
  expect(await phylax("help", "policy")).toEqual(await phylax("policy", "--help"));
  expect(await phylax("help", "policy", "check")).toEqual(await phylax("policy", "check", "--help"));
  expect((await phylax("help")).code).toBe(0);
});

test("help loads no module of src/: it is quick", () => {
  const hook = `import { registerHooks } from "node:module";
    registerHooks({ load(url, ...rest) { process.stderr.write(url + "\\n"); return rest[1](url, rest[0]); } });`;
  const main = join(import.meta.dirname, "../../cli/main.ts");
  const loadedBy = (...args: readonly string[]) =>
    spawnSync(
      process.execPath,
      ["--import", `data:text/javascript,${encodeURIComponent(hook)}`, main, ...args],
      {
        encoding: "utf8",
      },
    ).stderr;
  expect(loadedBy("--help")).toMatch(/\/cli\/commands\/commands\.ts$/mu);
  expect(loadedBy("--help")).not.toContain("/src/");
  expect(loadedBy("policy", "check"), "this test can see a module of src/").toContain("/src/");
});

test("the command keeps its compiled code beside the packages, and not in a folder of all users", () => {
  const root = join(import.meta.dirname, "../..");
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const { stderr, stdout } = spawnSync(process.execPath, [join(root, "cli/phylax.mjs"), "--version"], {
    encoding: "utf8",
    env: { ...env, NODE_DEBUG_NATIVE: "COMPILE_CACHE" },
  });
  expect(stdout).toMatch(/^phylax /u);
  expect(stderr).toContain(join(root, "node_modules/.cache/phylax"));
});

test("bash completes words of commands", async () => {
  const { out } = await phylax("completion");
  const complete = (words: string, at: number) =>
    spawnSync(
      "bash",
      ["-c", `${out}\nCOMP_WORDS=(${words}) COMP_CWORD=${at}; _phylax; printf '%s\\n' "\${COMPREPLY[@]}"`],
      { encoding: "utf8" },
    ).stdout.split("\n");
  expect(complete("phylax reg", 1)).toContain("registry");
  expect(complete("phylax ledger ''", 2)).toEqual(
    expect.arrayContaining(["verify", "export", "read", "retention"]),
  );
  expect(complete("phylax ledger read --li", 3)).toEqual(["--limit", ""]);
  const ofExport = complete("phylax ledger export ./copy --", 4);
  expect(ofExport).toContain("--keys");
  expect(ofExport, "an option of `export --fhir` alone").not.toContain("--server");
  const folder = mkdtempSync(join(tmpdir(), "phylax-completion-"));
  try {
    for (const name of ["agreement of may.pdf", "agreement.pdf"]) writeFileSync(join(folder, name), "");
    expect(complete(`phylax agreement show x '${folder}/agr'`, 4).toSorted()).toEqual(
      ["", `${folder}/agreement of may.pdf`, `${folder}/agreement.pdf`].toSorted(),
    );
    expect(complete(`phylax agreement show x '${folder}/none'`, 4), "no file").toEqual(["", ""]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a backup that fails or is interrupted leaves no folder of its name, and does not stand in a repeat's way", async () => {
  const folder = mkdtempSync(join(tmpdir(), "phylax-backup-"));
  const [place, part] = [join(folder, "b"), join(folder, "b.part")];
  try {
    const backup = () => phylax("backup", place, "--state", join(folder, "none"));
    mkdirSync(join(part, "ledger"), { recursive: true }); // a process that Ctrl-C ended left it
    writeFileSync(join(part, "registry.json"), "{}");
    expect((await backup()).code).not.toBe(0);
    expect(readdirSync(folder)).toEqual([]);
    mkdirSync(part);
    writeFileSync(join(part, "notes.txt"), "of a person");
    expect((await backup()).code).not.toBe(0);
    expect(readdirSync(part), "a file of a person stays").toEqual(["notes.txt"]);
    mkdirSync(place);
    writeFileSync(join(place, "registry.json"), "{}");
    expect((await backup()).error).toContain("is not empty: choose a new folder");
    expect(readdirSync(place)).toEqual(["registry.json"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const hasShell = (shell: string): boolean => spawnSync(shell, ["-c", "true"]).status === 0;

test("each shell's script names every verb, and a shell without a script is a misuse", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, out } = await phylax("completion", shell);
    expect(code).toBe(0);
    for (const command of commands) expect(out, shell).toContain(`'${nameOf(command)}'`);
  }
  expect(await phylax("completion", "tcsh")).toMatchObject({
    code: 2,
    error: expect.stringContaining("bash, zsh, fish"),
  });
});

test.skipIf(!hasShell("fish"))("fish completes words, options and file names", async () => {
  const { out } = await phylax("completion", "fish");
  const complete = (line: string) =>
    spawnSync("fish", ["--no-config", "-c", `${out}\ncomplete -C '${line}'`], { encoding: "utf8" })
      .stdout.trim()
      .split("\n");
  expect(complete("phylax agreement ")).toEqual(["end", "list", "renew", "show"]);
  expect(complete("phylax ledger read --li")).toEqual(["--limit"]);
  expect(complete(`phylax ledger export ${import.meta.dirname}/run-command.t`)).toEqual([
    `${import.meta.dirname}/run-command.test.ts`,
  ]);
});

test("a fault of a file or a connection is said in words, with what to do next", async () => {
  const { error: absent, code } = await phylax("disclosures", "main/Patient/a", "--key", "/nosuch/file");
  expect([code, absent]).toEqual([2, expect.stringContaining("/nosuch/file cannot be read")]);
  const connect = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), {
    code: "ECONNREFUSED",
    address: "127.0.0.1",
    port: 1,
  });
  expect(faultWords(connect)).toMatch(/^127\.0\.0\.1:1 does not answer: check the address/u);
  expect(faultWords(new TypeError("fetch failed", { cause: connect }))).toBe(faultWords(connect));
  const untrusted = Object.assign(new Error("unable to verify"), { code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" });
  expect(faultWords(untrusted)).toContain("--ca FILE");
  const { error: folder } = await phylax("consent", "refile", "--patients", import.meta.dirname);
  expect(folder).toContain("is a folder: name a file");
  expect(faultWords(new Error("as it is"))).toBe("as it is");
});

test("Ctrl-C ends a verb with the shell's exit code, and says what may have happened", async () => {
  const main = join(import.meta.dirname, "../../cli/main.ts");
  const waits = createServer().listen(0, "127.0.0.1"); // it never answers
  await new Promise((done) => waits.once("listening", done));
  const { port } = waits.address() as AddressInfo; // a TCP server has an AddressInfo
  const child = spawn(process.execPath, [
    main,
    "ledger",
    "verify",
    `http://127.0.0.1:${port}`,
    "--key",
    someKey,
  ]);
  const said = text(child.stderr);
  const ended = new Promise<number | null>((done) => child.on("exit", done));
  await new Promise((done) => waits.once("connection", done));
  child.kill("SIGINT");
  expect(await ended).toBe(130);
  expect(await said, "a check changes nothing").toBe("interrupted\n");
  waits.close();
});

test("after a request that changes something Ctrl-C says that the change may be in force", () => {
  noteSentChange();
  expect(interruption()).toBe(
    "interrupted: a change that was sent may be in force; look before you repeat it",
  );
});

test("--profile without a name is a misuse, with --json too", async () => {
  const error = "--profile needs a profile's name";
  for (const call of [
    ["registry", "show", "--json", "--profile"],
    ["registry", "show", "--profile", "--json"],
  ]) {
    const { code, out } = await phylax(...call);
    expect([code, JSON.parse(out)]).toEqual([2, { error, exitCode: 2 }]);
  }
  expect(await phylax("ledger", "read", "--json", "--profile")).toEqual({
    code: 2,
    out: "",
    error: `${error}\n`,
  });
});

test("an unknown profile exits 2", async () => {
  const { code, error } = await phylax("registry", "show", "--profile", "no-such-profile");
  expect([code, error]).toEqual([2, expect.stringContaining("make it with `phylax login no-such-profile")]);
});

test.skipIf(!existsSync("/dev/full"))("output that a full disk cuts off exits 1, and says so", () => {
  const main = join(import.meta.dirname, "../../cli/main.ts");
  const full = openSync("/dev/full", "w");
  try {
    const { status, stderr } = spawnSync(process.execPath, [main, "--help"], {
      stdio: ["ignore", full, "pipe"],
      encoding: "utf8",
    });
    expect([status, stderr]).toEqual([
      1,
      "the output is not complete: the disk is full: make room on it, and run the command again\n",
    ]);
  } finally {
    closeSync(full);
  }
});

test("a reader that ends early, such as head, does not make a verb fail", () => {
  const main = join(import.meta.dirname, "../../cli/main.ts");
  const piped = `"${process.execPath}" "${main}" --help | true; echo "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = spawnSync("bash", ["-c", piped], { encoding: "utf8" });
  expect([stdout, stderr]).toEqual(["0\n", ""]);
});

const someKey = verifierKey("ledger.example.org/root", new Uint8Array(32).fill(7));
