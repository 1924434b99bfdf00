import { forms } from "../result-forms.ts";
import type { Command } from "./command.ts";

/** The commands about exports of many resources (FHIR Bulk Data Access), and about tables of their files. */
export const exportCommands: readonly Command[] = [
  {
    words: ["export", "start"],
    result: forms.exportStart,
    takes: [
      "CLIENT FOLDER [--group ID | --system] [--type TYPE]… [--type-filter 'TYPE?QUERY']… [--elements NAME]…",
      "    [--since INSTANT] [--until INSTANT] [--patients FILE|-] [--lenient]",
      "    [--purpose CODE] [--scope SCOPE] [--state DIR]",
    ].join("\n"),
    does: "Starts an export as a client: of all patients, of a group's patients, or of the whole system.",
    examples: [
      "phylax export start research ./export --type Patient,Condition",
      "phylax export start payer ./export --group roster --since 2026-11-01T00:00:00Z",
    ],
    load: async () => (await import("../export/export-start.ts")).exportStart,
  },
  {
    words: ["export", "status"],
    result: forms.exportStatus,
    takes: "FOLDER [--state DIR]",
    does: "Prints how many files an export has, and until when.",
    examples: ["phylax export status ./export"],
    load: async () => (await import("../export/export-status.ts")).exportStatus,
  },
  {
    words: ["export", "download"],
    result: forms.exportDownload,
    takes: "FOLDER [--state DIR]",
    does: "Downloads the files of an export; a second call asks for the missing files alone.",
    examples: ["phylax export download ./export"],
    load: async () => (await import("../export/export-download.ts")).exportDownload,
  },
  {
    words: ["export", "cancel"],
    result: forms.exportCancel,
    takes: "FOLDER [--state DIR]",
    does: "Ends an export at the server.",
    examples: ["phylax export cancel ./export"],
    load: async () => (await import("../export/export-cancel.ts")).exportCancel,
  },
  {
    words: ["export", "tables"],
    result: forms.exportTables,
    takes: "FOLDER NEW-FOLDER [--views FILE|FOLDER] [--form safe-harbor|limited-data-set]",
    does: "Makes Parquet and CSV tables of exported NDJSON files, by ViewDefinitions of SQL on FHIR.",
    examples: ["phylax export tables ./export ./tables --form limited-data-set"],
    load: async () => (await import("../tables/export-tables.ts")).exportTables,
  },
];
