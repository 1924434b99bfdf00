// Writes docs/command.md from the table of commands: npm run generate
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nameOf, usageOf, type Command } from "../cli/commands/command.ts";
import { commands } from "../cli/commands/commands.ts";

const page = join(import.meta.dirname, "../docs/command.md");

const forms = {
  object: "With `--json` it prints one object:",
  list: "With `--json` it prints an array of objects:",
  lines: "With `--json` it prints an object on each line:",
} as const;

const introduction = `# The command

For operators, auditors and writers of scripts: every verb of \`phylax\`, and the form of its result for programs. This page is written by \`npm run generate\` from \`cli/commands/commands.ts\` and \`cli/result-forms.ts\`.

\`phylax\` is a file of this repository: \`npx --no phylax\` runs it in the repository's folder, and \`--no\` keeps npx from downloading a stranger's package of the same name. Without \`--profile\` a command calls the sandbox of the current folder ([deploy.md](deploy.md), step 6, makes a profile).

| exit code | meaning                                                                                |
| --------- | -------------------------------------------------------------------------------------- |
| 0         | good: the verb did what it says, and found no error                                    |
| 1         | a failure, or a check found an error: the output names it                              |
| 2         | a misuse, or a refusal: the call is wrong, or names a file or an id that does not exist, or the door or a document was not accepted |

| every verb has | effect                                                                                              |
| -------------- | --------------------------------------------------------------------------------------------------- |
| \`--help\`       | its sentence, its usage, an example, and its result with \`--json\`                                     |
| \`--json\`       | its result as JSON, and nothing further on standard output; warnings stay on standard error           |
| \`--profile\`    | a deployment in place of the sandbox                                                                |
| \`--no-color\`   | no colours; the variable \`NO_COLOR\` does the same. Colours and tables appear on a terminal only       |

With \`--json\` a verb without a result prints \`{ "error", "reason?", "exitCode" }\`: the text of the error, the reason code if the operators' API refused a proven operator ([refusals.md](refusals.md)), and the exit code; a verb that prints an object on each line prints none. A result may get further members in a later version; a member is removed or changed only as [CONTRIBUTING.md](../CONTRIBUTING.md) says. A member with \`?\` may be absent.

On a terminal a verb that takes longer than two seconds shows its progress. \`eval "$(npx --no phylax completion)"\` completes verbs, options and file names in bash and zsh, and \`npx --no phylax completion fish | source\` in fish; a shell completes the word \`phylax\`, so give it an alias: \`alias phylax='npx --no phylax'\`. Ctrl-C ends a verb with the exit code 130, and says if a change was sent, which may be in force.`;

function sectionOf(command: Command): string {
  const { form, members } = command.result;
  const rows = Object.entries(members).map(([name, means]) => `| \`${name}\` | ${cell(means)} |`);
  return [
    `## ${nameOf(command)}`,
    command.does,
    ["```text", usageOf(command), "```"].join("\n"),
    forms[form],
    ["| member | meaning |", "| --- | --- |", ...rows].join("\n"),
  ].join("\n\n");
}

const cell = (text: string): string => text.replaceAll("|", "\\|");

/** The page as the tables say it is, without the padding of its tables, which oxfmt adds. */
export const commandPage = [introduction, ...commands.map(sectionOf)].join("\n\n") + "\n";

export const storedCommandPage = (): string => readFileSync(page, "utf8");

if (import.meta.main) writeFileSync(page, commandPage);
