import type { ResultForm } from "../output.ts";

/** A command of `phylax`. Its module is loaded only when it runs, so that help is quick. */
export interface Command {
  readonly words: readonly string[];
  /** The arguments after the words. Further lines explain them. */
  readonly takes: string;
  /** A sentence for the list of commands. */
  readonly does: string;
  readonly examples: readonly string[];
  /** The form of its result with `--json`, which every command has. */
  readonly result: ResultForm;
  /** Returns an exit code: 0 good, 1 an error was found or a failure, 2 refused. */
  readonly load: () => Promise<(args: string[]) => Promise<number>>;
}

/** The options of a command that asks the operators' API. */
export const asOperator = "[--operator ID [--operator-token FILE]] [--state DIR]";
/** The options of a command that opens records with an auditor's key. */
export const asAuditor = "--key AUDITOR.JWK.JSON… [--log-key VKEY]… [--keys DEV.JSON]… [--log NAME]…";
/** The options that choose records. */
export const withFilter = [
  "[--from TIME] [--to TIME] [--patient ORIGIN/Patient/ID|-] [--client ID] [--user NAME] [--purpose CODE]",
  "    [--certificate X5T] [--key-id KID|JKT] [--token JTI] [--request ID] [--kind KIND] [--reason CODE]",
].join("\n");

export const nameOf = ({ words }: Command): string => words.join(" ");
/** The options of a command, in the order of its usage. */
export const ownOptionsOf = ({ takes }: Command): readonly string[] => [
  ...new Set(takes.match(/--[a-z][a-z-]*/gu)),
];
/** The options that a command and every command takes. */
export const optionsOf = (command: Command): readonly string[] => [
  ...new Set([...ownOptionsOf(command), ...everyOption]),
];

const everyOption = ["--json", "--no-color", "--profile", "--help"] as const;

export const usageOf = (command: Command): string => `phylax ${nameOf(command)} ${command.takes}`.trimEnd();
