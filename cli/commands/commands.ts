import { forms } from "../result-forms.ts";
import { clientCommands } from "./client-commands.ts";
import { deidCommands } from "./deid-commands.ts";
import { exportCommands } from "./export-commands.ts";
import { deploymentCommands } from "./deployment-commands.ts";
import { operatorCommands } from "./operator-commands.ts";
import { policyCommands } from "./policy-commands.ts";
import { recordCommands } from "./record-commands.ts";
import { registryCommands } from "./registry-commands.ts";
import { nameOf, optionsOf, type Command } from "./command.ts";

/** All commands in the order of the help. A command whose words begin with a shorter command's comes first. */
export const commands: readonly Command[] = [
  ...clientCommands,
  ...exportCommands,
  ...registryCommands,
  ...operatorCommands,
  ...deploymentCommands,
  ...policyCommands,
  ...deidCommands,
  ...recordCommands,
  {
    words: ["completion"],
    result: forms.completion,
    takes: "[bash|zsh|fish]",
    does: "Prints a completion script for a shell.",
    examples: ['eval "$(phylax completion)"', "phylax completion fish | source"],
    load: async () => {
      const { printCompletion } = await import("../completion.ts");
      const named = commands.map((each) => ({ name: nameOf(each), options: optionsOf(each) }));
      return async (args) => printCompletion(named, args);
    },
  },
];
