import { readFileSync } from "node:fs";
import { join } from "node:path";
import { config } from "zod/mini";
import english from "zod/v4/locales/en.js";
import { nameOf, optionsOf, usageOf, type Command } from "./commands/command.ts";
import { commands } from "./commands/commands.ts";
import { explainedOptions } from "./commands/option-texts.ts";
import { selectProfile } from "./connection/profile.ts";
import { isMisuse, printFault } from "./misuse.ts";
import { beginOutput, complain, endOutput, printsJson } from "./output.ts";
import { showProgress } from "./progress.ts";

// zod/mini has no words for what is wrong in a document, since a gateway says none.
config(english());

/**
 * Runs the command that the arguments name, prints its output, and returns its exit code: 0 good, 1 an error
 * was found or a failure, 2 a misuse or a refusal.
 */
export async function runCommand(typed: readonly string[]): Promise<number> {
  // `npx --no phylax --help` is npm's own help: npx takes an option that follows no further word.
  const given = typed[0] === "help" ? [...typed.slice(1), "--help"] : typed;
  const { args: named, profile, problem } = withoutProfile(given);
  const wantsJson = named.includes("--json");
  const args = named.filter((arg) => arg !== "--no-color" && arg !== "--json");
  const command = commands.find(({ words }) => words.every((word, i) => args[i] === word));
  if (problem !== undefined) {
    beginOutput(wantsJson ? (command?.result.form ?? "object") : undefined);
    complain(problem);
    endOutput(2);
    return 2;
  }
  selectProfile(profile);
  if (args[0] === "--version" || args[0] === "version") {
    if (wantsJson) console.log(JSON.stringify({ version: version() }));
    else console.log(`phylax ${version()}`);
    return 0;
  }
  if (command === undefined) {
    beginOutput(wantsJson ? "object" : undefined);
    const code = listCommands(args);
    if (code === 0) beginOutput(undefined);
    else endOutput(code);
    return code;
  }
  if (args.some(isHelp)) {
    console.log(helpOf(command));
    return 0;
  }
  beginOutput(wantsJson ? command.result.form : undefined, !named.includes("--no-color"));
  const progress = showProgress(nameOf(command));
  let exitCode = 1;
  try {
    const run = await command.load();
    exitCode = await run(withNamesApart(command, args.slice(command.words.length)));
  } catch (fault) {
    if (isMisuse(fault)) {
      for (const line of misuseLines(command, fault.message)) complain(line);
      exitCode = 2;
    } else exitCode = printFault(fault);
  } finally {
    progress.stop();
    endOutput(exitCode);
    selectProfile(undefined); // one process may run several commands
  }
  return exitCode;
}

/** The message of a misuse, the option that may be meant, and the usage. */
function misuseLines(command: Command, message: string): readonly string[] {
  const typed = /^Unknown option '(--?[^']+)'/u.exec(message)?.[1];
  const option = typed === undefined ? undefined : closest(typed, optionsOf(command));
  return [
    ...(message === "" ? [] : [message]),
    ...(option === undefined ? [] : [`did you mean ${option}?`]),
    `usage: ${usageOf(command)}`,
  ];
}

/** Takes `--profile NAME` out of the arguments: every command knows this option. */
function withoutProfile(given: readonly string[]): {
  readonly args: readonly string[];
  readonly profile?: string;
  readonly problem?: string;
} {
  const at = given.findIndex((arg) => arg === "--profile" || arg.startsWith("--profile="));
  if (at < 0) return { args: given };
  const isJoined = given[at] !== "--profile";
  const profile = isJoined ? given[at]?.slice("--profile=".length) : given[at + 1];
  if (profile === undefined || profile === "" || profile.startsWith("-"))
    return { args: given.toSpliced(at, 1), problem: "--profile needs a profile's name" };
  const args = given.toSpliced(at, isJoined ? 1 : 2);
  if (args.some((arg) => /^--(?:profile|state)(?:=|$)/u.test(arg)))
    return { args, problem: "name one deployment: --profile or --state, once" };
  return { args, profile };
}

// A SHA-256 in base64url: the name of a Consent, a certificate or a key. No option is as long.
const dashedDigest = /^-[A-Za-z0-9_-]{42}$/u;

/** One of 64 digests begins with a dash, and would be read as an option: such names go behind `--`. */
export function withNamesApart(command: Pick<Command, "takes">, args: readonly string[]): string[] {
  if (args.includes("--") || !args.some((arg) => dashedDigest.test(arg))) return [...args];
  const [options, names]: [string[], string[]] = [[], []];
  for (let at = 0; at < args.length; at += 1) {
    const [arg = "", next] = [args[at], args[at + 1]];
    const isOption = arg.startsWith("--") && !dashedDigest.test(arg);
    if (isOption && next !== undefined && takesValue(command, arg)) {
      options.push(`${arg}=${next}`);
      at += 1;
    } else (isOption ? options : names).push(arg);
  }
  return [...options, "--", ...names];
}

/** A usage names the value behind its option: `--cert PEM`. */
function takesValue({ takes }: Pick<Command, "takes">, option: string): boolean {
  const at = takes.indexOf(`${option} `);
  return at >= 0 && /[A-Z']/u.test(takes.charAt(at + option.length + 1));
}

const isHelp = (arg: string): boolean => arg === "--help" || arg === "-h";

/** The list of commands, or of the commands that begin with the given words. */
function listCommands(args: readonly string[]): 0 | 2 {
  const words = args.filter((arg) => !arg.startsWith("-"));
  const begun = commands.filter((command) => words.every((word, i) => command.words[i] === word));
  const width = Math.max(...commands.map((command) => nameOf(command).length));
  const lines = (begun.length === 0 ? commands : begun).map(
    (command) => `  ${nameOf(command).padEnd(width)}  ${command.does}`,
  );
  const list = [
    "usage: phylax COMMAND …",
    ...lines,
    "`phylax help COMMAND` or `phylax COMMAND --help` explains a command. --profile NAME calls a deployment in place of the sandbox.",
    "--json prints the result as JSON. --no-color, or the variable NO_COLOR, switches colours off.",
    "Exit codes: 0 good; 1 a failure, or an error was found; 2 a misuse or a refusal.",
  ].join("\n");
  if (args.some(isHelp) && begun.length > 0) {
    console.log(list);
    return 0;
  }
  const meant = begun.length > 0 ? undefined : closestCommand(words);
  if (meant === undefined && printsJson()) complain("unknown command: `phylax help` lists all commands");
  else if (meant === undefined) complain(begun.length > 0 ? list : `unknown command\n${list}`);
  else complain(`unknown command: did you mean \`phylax ${meant}\`? \`phylax help\` lists all commands`);
  return 2;
}

function helpOf(command: Command): string {
  return [
    command.does,
    `usage: ${usageOf(command)}`,
    "examples:",
    ...command.examples.map((example) => `  ${example}`),
    ...columnsOf("options:", explainedOptions(command)),
    ...columnsOf(formWords[command.result.form], Object.entries(command.result.members)),
  ].join("\n");
}

const formWords = {
  object: "with --json, one object:",
  list: "with --json, an array of objects:",
  lines: "with --json, an object on each line:",
} as const;

/** A head, and a line for each name with its meaning below it; nothing without names. */
function columnsOf(head: string, entries: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.length === 0
    ? []
    : [head, ...entries.map(([name, means]) => `  ${name.padEnd(width)}  ${means}`)];
}

/** The command whose name is the closest to the typed words. */
const closestCommand = (typed: readonly string[]): string | undefined =>
  leastEdits(
    commands.map((command) => ({
      name: nameOf(command),
      edits: editsBetween(typed.slice(0, command.words.length).join(" ").slice(0, 64), nameOf(command)),
    })),
  );

/** The name that needs the fewest edits; none if it needs more than a third of its letters. */
const closest = (typed: string, names: readonly string[]): string | undefined =>
  leastEdits(names.map((name) => ({ name, edits: editsBetween(typed.slice(0, 64), name) })));

function leastEdits(names: readonly { readonly name: string; readonly edits: number }[]): string | undefined {
  const [best] = names.toSorted((left, right) => left.edits - right.edits);
  return best !== undefined && best.edits <= Math.ceil(best.name.length / 3) ? best.name : undefined;
}

/** Levenshtein's distance. */
function editsBetween(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (const [i, letter] of Array.from(from).entries()) {
    const next = [i + 1];
    for (const [j, other] of Array.from(to).entries())
      next.push(
        Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)),
      );
    row = next;
  }
  return row[to.length] ?? 0;
}

function version(): string {
  const file = readFileSync(join(import.meta.dirname, "../package.json"), "utf8");
  const { version: number }: { readonly version: string } = JSON.parse(file);
  return number;
}
