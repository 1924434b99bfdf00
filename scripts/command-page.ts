// Writes docs/command.md and docs/command.schema.json from the table of commands: npm run generate
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asAuditor, asOperator, nameOf, usageOf, withFilter, type Command } from "../cli/commands/command.ts";
import { commands } from "../cli/commands/commands.ts";
import { explainedOptions, isShared, sharedOptions } from "../cli/commands/option-texts.ts";

const docs = join(import.meta.dirname, "../docs");

const introduction = `# The command

For operators, auditors and writers of scripts: every verb of \`phylax\` and its options; \`--help\` has examples. This page is written by \`npm run generate\` from \`cli/commands/commands.ts\` and \`cli/commands/option-texts.ts\`.

\`phylax\` is a file of this repository: \`npx --no phylax\` runs it in the repository's folder, and \`--no\` keeps npx from downloading a stranger's package of the same name. Without \`--profile\` a command calls the sandbox of the current folder ([deploy.md](deploy.md), step 6, makes a profile).

Exit codes:

- 0: the verb did what it says, and found no error.
- 1: a failure, or a check found an error. The output names it.
- 2: a misuse or a refusal. The call is wrong, names a file or an id that does not exist, or was not accepted.

Every verb has:

- \`--help\`: its sentence, usage, examples, options, and the members of its result.
- \`--json\`: its result as JSON, and nothing else on standard output. Warnings stay on standard error.
- \`--profile NAME\`: a deployment in place of the sandbox.
- \`--no-color\`: no colours. The variable \`NO_COLOR\` does the same. Colours and tables appear on a terminal only.

[command.schema.json](command.schema.json) has the form of each result. A verb without a result prints \`{ "error", "reason?", "exitCode" }\`: the error, the reason code if the operators' API refused a proven operator ([refusals.md](refusals.md)), and the exit code. A verb that prints an object on each line prints none. A result may get further members in a later version ([releasing.md](releasing.md)).

On a terminal a verb that takes longer than two seconds shows its progress. \`eval "$(npx --no phylax completion)"\` completes verbs, options and file names in bash and zsh, and \`npx --no phylax completion fish | source\` in fish; a shell completes the word \`phylax\`, so give it an alias: \`alias phylax='npx --no phylax'\`. Ctrl-C ends a verb with the exit code 130, and says if a change was sent, which may be in force.`;

/** The end of a text of an option with … in its usage. The page says so once. */
const forSeveral = "; repeat it for several";

const asList = (entries: readonly (readonly [name: string, text: string])[]): string =>
  entries.map(([name, text]) => `- \`${name}\`: ${text.replace(forSeveral, "")}`).join("\n");

const fenced = (kind: string, text: string): string => [`\`\`\`${kind}`, text, "```"].join("\n");

/** The usage with a word for the options that several verbs take together. */
const shortUsageOf = (command: Command): string =>
  usageOf(command)
    .replace(asOperator, "[OPERATOR]")
    .replace(asAuditor, "AUDITOR")
    .replace(withFilter, "[FILTER]");

/** Options that several verbs explain with one text, and no verb with a second text. */
const common: ReadonlyMap<string, string> = new Map(
  [
    ...Map.groupBy(
      commands.flatMap((command) =>
        explainedOptions(command).filter(([option]) => !isShared(command, option)),
      ),
      ([option]) => option,
    ),
  ].flatMap(([option, explained]) => {
    const texts = new Set(explained.map(([, text]) => text));
    const [only] = texts;
    return explained.length > 1 && texts.size === 1 && only !== undefined && !(option in sharedOptions)
      ? [[option, only] as const]
      : [];
  }),
);

function sectionOf(command: Command): string {
  const own = explainedOptions(command).filter(
    ([option]) => !isShared(command, option) && !common.has(option),
  );
  return [
    `## ${nameOf(command)}`,
    command.does,
    fenced("text", shortUsageOf(command)),
    ...(own.length === 0 ? [] : [asList(own)]),
  ].join("\n\n");
}

const shared = `## Options of several verbs

An option with … in its usage may be repeated. Usages below have a word for options that go together; \`--help\` spells them out.

- \`OPERATOR\`: \`--operator\`, \`--operator-token\`, \`--state\`
- \`AUDITOR\`: \`--key\`…, which is needed, \`--log-key\`…, \`--keys\`…, \`--log\`…
- \`FILTER\`: \`--from\` to \`--reason\` of this list

${asList([...Object.entries(sharedOptions), ...common])}`;

export const commandPage = [introduction, shared, ...commands.map(sectionOf)].join("\n\n") + "\n";

/** The result of a verb as JSON Schema: its members with their meanings. */
function schemaOf({ does, result }: Command): object {
  const members = Object.entries(result.members);
  const each = {
    type: "object",
    required: members.map(([name]) => name).filter((name) => !name.endsWith("?")),
    properties: Object.fromEntries(
      members.map(([name, description]) => [name.replace(/\?$/u, ""), { description }]),
    ),
  };
  if (result.form === "list") return { description: does, type: "array", items: each };
  return { description: result.form === "lines" ? `${does} An object on each line.` : does, ...each };
}

/** The results of all verbs with `--json`, by the verb's name. */
export const commandSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $defs: Object.fromEntries(commands.map((command) => [nameOf(command), schemaOf(command)])),
};

export const storedCommandPage = (): string => readFileSync(join(docs, "command.md"), "utf8");
export const storedCommandSchema = (): unknown =>
  JSON.parse(readFileSync(join(docs, "command.schema.json"), "utf8"));

if (import.meta.main) {
  writeFileSync(join(docs, "command.md"), commandPage);
  writeFileSync(join(docs, "command.schema.json"), `${JSON.stringify(commandSchema, undefined, 2)}\n`);
}
