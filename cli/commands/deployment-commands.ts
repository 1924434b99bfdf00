import { forms } from "../result-forms.ts";
import { asAuditor, asOperator, type Command } from "./command.ts";

/** The commands for keys, backups, deployments and origins. */
export const deploymentCommands: readonly Command[] = [
  {
    words: ["keys", "new"],
    result: forms.keysNew,
    takes: "FOLDER (--ledger-name NAME [--environment NAME] | --witness NAME | --auditor KID)",
    does: "Makes every secret of a deployment with its public half, for `wrangler secret bulk`.",
    examples: [
      "phylax keys new ../production-keys --ledger-name ledger.example.org --environment production",
      "phylax keys new ../auditor-keys --auditor auditor-1",
    ],
    load: async () => async (args) => (await import("../keys/keys-new.ts")).keysNew(args),
  },
  {
    words: ["keys", "public"],
    result: forms.keysPublic,
    takes: "FILE… [--ledger-name NAME [--log NAME]…] [--witness NAME]",
    does: "Prints the public halves of secrets, and the verifier keys of the ledger and of a witness.",
    examples: ["phylax keys public ledger.secrets.json --ledger-name ledger.example.org --log s0-2026h2"],
    load: async () => async (args) => (await import("../keys/keys-new.ts")).keysPublic(args),
  },
  {
    words: ["keys", "rotate"],
    result: forms.keysRotate,
    takes: "FILE SECRET --out FOLDER [--environment NAME]",
    does: "Writes the steps that replace a secret while the workers accept the old and the new key.",
    examples: [
      "phylax keys rotate ../production-keys/gateway.secrets.json PAGING_KEY --out ../rotation --environment production",
    ],
    load: async () => async (args) => (await import("../keys/keys-rotate.ts")).keysRotate(args),
  },
  {
    words: ["backup"],
    result: forms.backup,
    takes: `FOLDER [--ledger URL] [--key VKEY]… [--keys FILE]… ${asOperator}`,
    does: "Writes the registry and the whole ledger to a new folder, and verifies both.",
    examples: ["phylax backup ./backup-2026-11-27 --profile production"],
    load: async () => (await import("../recovery/backup.ts")).backup,
  },
  {
    words: ["restore", "registry"],
    result: forms.restoreRegistry,
    takes: `FILE [URL|DIR] ${asAuditor}`,
    does: "Rebuilds the registry from the ledger's records of its changes, as a registry file.",
    examples: ["phylax restore registry registry.json ./backup/ledger --key auditor-1.jwk.json"],
    load: async () => (await import("../recovery/restore-registry.ts")).restoreRegistry,
  },
  {
    words: ["restore", "denials"],
    result: forms.restoreDenials,
    takes: `FILE [URL|DIR] ${asAuditor} [--deny ${asOperator}]`,
    does: "Lists the denials in force from the ledger's records, as a file; --deny denies each again.",
    examples: ["phylax restore denials denials.json ./backup/ledger --key auditor-1.jwk.json --deny"],
    load: async () => (await import("../recovery/restore-denials.ts")).restoreDenials,
  },
  {
    words: ["restore", "copy"],
    result: forms.restoreCopy,
    takes: "EXPORT FOLDER [LOG]… [--key VKEY]… [--keys FILE]…",
    does: "Makes the objects of the ledger's copy in R2 from an export, for restore ledger after both are lost.",
    examples: ["phylax restore copy ./backup ./copy s0-2026h2 --profile production"],
    load: async () => (await import("../recovery/restore-copy.ts")).restoreCopy,
  },
  {
    words: ["restore", "ledger"],
    result: forms.restoreLedger,
    takes: `[LOG] [--receipt RECEIPT]… ${asOperator}`,
    does: "Rebuilds a log whose storage was lost, gives its records to a further log, and prints the lost leaves.",
    examples: ["phylax restore ledger s0-2026h2 --profile production"],
    load: async () => (await import("../recovery/restore-ledger.ts")).restoreLedger,
  },
  {
    words: ["deploy", "config"],
    result: forms.deployConfig,
    takes: "FILE",
    does: "Writes each worker's configuration from the file of an environment.",
    examples: ["phylax deploy config deploy/production.json"],
    load: async () => (await import("../deploy/deploy-config.ts")).deployConfig,
  },
  {
    words: ["deploy", "check"],
    result: forms.deployCheck,
    takes: "FILE [--secrets FOLDER] [--locks RULES.JSON|URL [--token-file FILE]] [--live]",
    does: "Checks an environment before and after its deployment, and prints the root log's verifier key.",
    examples: [
      "phylax deploy check deploy/production.json --secrets ./production-keys",
      "phylax deploy check deploy/production.json --live",
    ],
    load: async () => (await import("../deploy/deploy-check.ts")).deployCheck,
  },
  {
    words: ["origin", "probe"],
    result: forms.originProbe,
    takes: `NAME|URL [--registry FILE] [--bearer-from VARIABLE] [--allow-writes] [--record ${asOperator}]`,
    does: "Asks a FHIR server what it does and prints the members for its registry entry.",
    examples: ["phylax origin probe https://fhir.example.org/r4"],
    load: async () => (await import("../origin/origin-probe.ts")).originProbe,
  },
];
