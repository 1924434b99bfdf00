import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import {
  commandPage,
  commandSchema,
  storedCommandPage,
  storedCommandSchema,
} from "../../scripts/command-page.ts";
import { nameOf } from "../../cli/commands/command.ts";
import { explainedOptions } from "../../cli/commands/option-texts.ts";
import { commands } from "../../cli/commands/commands.ts";
import { beginOutput, complain, endOutput, noteReason, printsJson, sayRows } from "../../cli/output.ts";
import { phylaxIn } from "./phylax.ts";
import { problemsOfResult } from "./result-problems.ts";

const empty = mkdtempSync(join(tmpdir(), "phylax-json-"));

test("each verb takes --json, and prints one document even where it fails", async () => {
  for (const command of commands) {
    const { code, out, error } = await phylaxIn(empty, ...command.words, "--json");
    expect(printsJson(), "the next caller in this process prints text").toBe(false);
    expect(error, nameOf(command)).not.toContain("Unknown option");
    if (command.result.form === "lines") expect(out, nameOf(command)).toBe("");
    if (command.result.form === "lines" || code === 0) continue;
    const document: unknown = JSON.parse(out);
    expect(document, nameOf(command)).toEqual({ error: error.trimEnd(), exitCode: code });
    expect([1, 2], nameOf(command)).toContain(code);
  }
});

test("the error document of a refused verb has the reason code of the operators' API", () => {
  const printed: string[] = [];
  const [log, error] = [
    vi.spyOn(console, "log").mockImplementation((line) => void printed.push(String(line))),
    vi.spyOn(console, "error").mockReturnValue(),
  ];
  for (const reason of ["proposal_own", undefined]) {
    beginOutput("object");
    complain("403 no");
    noteReason(reason);
    endOutput(2);
  }
  for (const spy of [log, error]) spy.mockRestore();
  expect(printed.map((text): unknown => JSON.parse(text))).toEqual([
    { error: "403 no", reason: "proposal_own", exitCode: 2 },
    { error: "403 no", exitCode: 2 },
  ]);
});

test("a result with a missing or an unknown member is no result of its verb", () => {
  const form = { form: "object", members: { token: "the token", "until?": "time" } } as const;
  expect(problemsOfResult(form, '{"token":"x"}')).toEqual([]);
  expect(problemsOfResult(form, '{"token":"x","until":1}')).toEqual([]);
  expect(problemsOfResult(form, '{"error":"no","exitCode":1}')).toEqual([]);
  expect(problemsOfResult(form, "{}")).toEqual(["token is absent"]);
  expect(problemsOfResult(form, '{"token":"x","more":1}')).toEqual(["more is not documented"]);
  expect(problemsOfResult(form, '[{"token":"x"}]')).toEqual(["is no object"]);
  const each = { form: "lines", members: { log: "name" } } as const;
  expect(problemsOfResult(each, '{"log":"a"}\n{"leaf":1}\n')).toEqual([
    "leaf is not documented",
    "log is absent",
  ]);
});

test("docs/command.md and its schema are what the table says: npm run generate writes them", () => {
  expect(storedCommandPage()).toBe(commandPage);
  expect(storedCommandSchema()).toEqual(commandSchema);
});

test("each option of each verb has a text", () => {
  const bare = commands.flatMap((command) =>
    explainedOptions(command).flatMap(([option, text]) =>
      text === "" ? [`${nameOf(command)} ${option}`] : [],
    ),
  );
  expect(bare).toEqual([]);
});

test("rows are a table in colour on a terminal, and lines elsewhere; NO_COLOR and --no-color end colours", () => {
  const rows = [{ cells: ["a", "an\u001Bescape"], line: "a an\u001Bescape" }];
  const { isTTY } = process.stdout;
  const { log } = console;
  const printed: string[] = [];
  console.log = (line: string) => void printed.push(line);
  const shown = (terminal: boolean) => {
    printed.length = 0;
    process.stdout.isTTY = terminal;
    sayRows(["name", "text"], rows);
    return [...printed];
  };
  const { NO_COLOR } = process.env;
  delete process.env["NO_COLOR"];
  try {
    beginOutput(undefined);
    expect(shown(false)).toEqual(["a an\\u001bescape"]);
    expect(shown(true)).toEqual(["\u001B[1mname  text\u001B[22m", "a     an\\u001bescape"]);
    process.env["NO_COLOR"] = "1";
    expect(shown(true)[0]).toBe("name  text");
    delete process.env["NO_COLOR"];
    beginOutput(undefined, false);
    expect(shown(true)[0]).toBe("name  text");
    beginOutput("list");
    expect(shown(true)).toEqual([]);
  } finally {
    beginOutput(undefined);
    Object.assign(process.stdout, { isTTY });
    Object.assign(console, { log });
    if (NO_COLOR !== undefined) process.env["NO_COLOR"] = NO_COLOR;
  }
});
