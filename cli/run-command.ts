import { readFileSync } from "node:fs";
import { join } from "node:path";
import { commands, nameOf, usageOf, type Command } from "./commands.ts";
import { selectProfile } from "./connection/profile.ts";
import { isMisuse } from "./misuse.ts";
import { showProgress } from "./progress.ts";

/**
 * Runs the command that the arguments name, prints its output, and returns its exit code: 0 good, 1 an error
 * was found or a failure, 2 a misuse or a refusal. Throws every error that is none of these.
 */
export async function runCommand(given: readonly string[]): Promise<number> {
  const { args, profile, problem } = withoutProfile(given);
  if (problem !== undefined) {
    console.error(problem);
    return 2;
  }
  selectProfile(profile);
  if (args[0] === "--version" || args[0] === "version") {
    console.log(version());
    return 0;
  }
  const command = commands.find(({ words }) => words.every((word, i) => args[i] === word));
  if (command === undefined) return listCommands(args);
  if (args.some(isHelp)) {
    console.log(helpOf(command));
    return 0;
  }
  const progress = showProgress(nameOf(command));
  try {
    const run = await command.load();
    return await run(args.slice(command.words.length));
  } catch (fault) {
    if (!isMisuse(fault)) throw fault;
    if (fault.message !== "") console.error(fault.message);
    console.error(`usage: ${usageOf(command)}`);
    return 2;
  } finally {
    progress.stop();
  }
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
  const args = given.toSpliced(at, isJoined ? 1 : 2);
  if (profile === undefined || profile === "") return { args, problem: "--profile needs a profile's name" };
  if (args.some((arg) => /^--(?:profile|state)(?:=|$)/u.test(arg)))
    return { args, problem: "name one deployment: --profile or --state, once" };
  return { args, profile };
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
    "`phylax COMMAND --help` explains a command. --profile NAME calls a deployment in place of the sandbox.",
    "Exit codes: 0 good; 1 a failure, or an error was found; 2 a misuse or a refusal.",
  ].join("\n");
  if (args.some(isHelp) && begun.length > 0) {
    console.log(list);
    return 0;
  }
  const meant = begun.length > 0 ? undefined : closest(words);
  if (meant === undefined) console.error(begun.length > 0 ? list : `unknown command\n${list}`);
  else
    console.error(`unknown command: did you mean \`phylax ${meant}\`? \`phylax --help\` lists all commands`);
  return 2;
}

function helpOf(command: Command): string {
  return [
    command.does,
    `usage: ${usageOf(command)}`,
    "examples:",
    ...command.examples.map((example) => `  ${example}`),
  ].join("\n");
}

/** The command whose name needs the fewest edits; none if it needs more than a third of its letters. */
function closest(typed: readonly string[]): string | undefined {
  const [best] = commands
    .map((command) => ({
      name: nameOf(command),
      edits: editsBetween(typed.slice(0, command.words.length).join(" ").slice(0, 64), nameOf(command)),
    }))
    .sort((left, right) => left.edits - right.edits);
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
  return `phylax ${number}`;
}
