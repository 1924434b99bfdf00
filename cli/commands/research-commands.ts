import { forms } from "../result-forms.ts";
import type { Command } from "./command.ts";

/** The commands of researchers about files that were exported. */
export const researchCommands: readonly Command[] = [
  {
    words: ["export", "tables"],
    result: forms.exportTables,
    takes: "FOLDER NEW-FOLDER [--views FILE|FOLDER] [--form safe-harbor|limited-data-set]",
    does: "Makes Parquet and CSV tables of exported NDJSON files, by ViewDefinitions of SQL on FHIR.",
    examples: ["phylax export tables ./export ./tables --form limited-data-set"],
    load: async () => (await import("../tables/export-tables.ts")).exportTables,
  },
];
