import { forms } from "../result-forms.ts";
import type { Command } from "./command.ts";

/** The commands of a client of the FHIR API. */
export const clientCommands: readonly Command[] = [
  {
    words: ["token"],
    result: forms.token,
    takes: "CLIENT [--state DIR] [--purpose CODE] [--scope SCOPE]",
    does: "Gets an access token for a client and prints it.",
    examples: ["phylax token telehealth", "phylax token telehealth --purpose COC"],
    load: async () => (await import("../connection/token.ts")).token,
  },
  {
    words: ["get"],
    result: forms.get,
    takes: "CLIENT PATH [--purpose CODE] [--scope SCOPE] [--header 'NAME: VALUE']… [--include] [--state DIR]",
    does: "Reads a FHIR path as a client, with its certificate or key, and prints the answer.",
    examples: [
      "phylax get telehealth Patient/amara-okafor",
      "phylax get patient-app 'Observation?_count=2' --include",
    ],
    load: async () => (await import("../connection/get.ts")).getCommand,
  },
];
