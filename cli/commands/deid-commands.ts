import { forms } from "../result-forms.ts";
import type { Command } from "./command.ts";

/** The commands about de-identified files. */
export const deidCommands: readonly Command[] = [
  {
    words: ["deid", "check"],
    result: forms.deidCheck,
    takes: "FILE [--form safe-harbor|limited-data-set]",
    does: "Names each identifier of 45 CFR 164.514 that a file has, by its place, and the groups of like patients.",
    examples: ["phylax deid check export.ndjson --form limited-data-set"],
    load: async () => (await import("../deid/deid-check.ts")).deidCheck,
  },
  {
    words: ["deid", "make"],
    result: forms.deidMake,
    takes: "FILE OUT [--form safe-harbor|limited-data-set] [--base URL]",
    does: "Writes the resources of a file in a de-identified form, with random codes in the place of ids.",
    examples: ["phylax deid make bundle.json safe-harbor.ndjson"],
    load: async () => (await import("../deid/deid-make.ts")).deidMake,
  },
];
