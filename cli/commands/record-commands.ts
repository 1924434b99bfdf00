import { forms } from "../result-forms.ts";
import { asAuditor, asOperator, withFilter, type Command } from "./command.ts";

/** The commands that read and verify records, and those about accountings, reviews and Consents. */
export const recordCommands: readonly Command[] = [
  {
    words: ["why"],
    result: forms.why,
    takes: `REQUEST-ID [URL|DIR] ${asAuditor}`,
    does: "Prints the records of a request in words: the caller, the question, the outcome and its reason.",
    examples: ["phylax why 4c1f0e0b9b9e4c0c8b5d2c8e2a7d3f10 --key .phylax/auditors/auditor-1.jwk.json"],
    load: async () => (await import("../ledger/why.ts")).why,
  },
  {
    words: ["ledger", "verify"],
    result: forms.ledgerVerify,
    takes:
      "[URL|DIR] [--key VKEY]… [--keys DEV.JSON]… [--witness VKEY]… [--log NAME]… [--since CHECKPOINT_FILE]… [--receipt RECEIPT]…",
    does: "Verifies logs, checkpoints and receipts with public keys alone.",
    examples: [
      "phylax ledger verify",
      "phylax ledger verify ./export --key 'ledger.example.org/s0-2026h2+…'",
    ],
    load: async () => (await import("../ledger/ledger-verify.ts")).ledgerVerify,
  },
  {
    words: ["ledger", "export", "--fhir"],
    result: forms.exportFhir,
    takes: `DIR [URL|DIR] ${asAuditor} ${withFilter} [--server URL]`,
    does: "Writes opened records as FHIR AuditEvents (BALP).",
    examples: ["phylax ledger export --fhir ./audit-events --key .phylax/auditors/auditor-1.jwk.json"],
    load: async () => (await import("../ledger/ledger-export-fhir.ts")).ledgerExportFhir,
  },
  {
    words: ["ledger", "export"],
    result: forms.ledgerExport,
    takes: "DIR [URL] [--key VKEY]… [--keys DEV.JSON]…",
    does: "Copies logs into a folder that verifies offline.",
    examples: ["phylax ledger export ./export"],
    load: async () => (await import("../ledger/ledger-export.ts")).ledgerExport,
  },
  {
    words: ["ledger", "read"],
    result: forms.ledgerRead,
    takes: `[URL|DIR] ${asAuditor} ${withFilter} [--limit N] [--csv]`,
    does: "Opens records with an auditor's key and prints them in the order of their times.",
    examples: ["phylax ledger read --key .phylax/auditors/auditor-1.jwk.json --client telehealth"],
    load: async () => (await import("../ledger/ledger-read.ts")).ledgerRead,
  },
  {
    words: ["ledger", "retention", "check"],
    result: forms.ledgerRetention,
    takes:
      "RULES.JSON|URL [--token-file FILE] [--ledger URL|DIR] [--log-key VKEY]… [--keys DEV.JSON]… [--at TIME]",
    does: "Checks that the bucket's lock rules retain the ledger for six years.",
    examples: ["phylax ledger retention check lock-rules.json"],
    load: async () => (await import("../ledger/ledger-retention.ts")).ledgerRetention,
  },
  {
    words: ["receipt", "check"],
    result: forms.receiptCheck,
    takes:
      "RECEIPT|FILE [--proof FILE] [--checkpoint FILE] [--ledger URL|DIR] [--log-key VKEY]… [--keys DEV.JSON]…",
    does: "Checks the receipt of an answer.",
    examples: ["phylax receipt check receipt.txt"],
    load: async () => (await import("../ledger/receipt-check.ts")).receiptCheck,
  },
  {
    words: ["accounting", "check"],
    result: forms.accountingCheck,
    takes: "FILE… [--ledger URL|DIR] [--key VKEY]… [--keys DEV.JSON]…",
    does: "Checks each line of a saved accounting of disclosures.",
    examples: ["phylax accounting check accounting.json"],
    load: async () => (await import("../accounting/accounting-check.ts")).accountingCheck,
  },
  {
    words: ["disclosures"],
    result: forms.disclosures,
    takes: [
      "(ORIGIN/Patient/ID | -) (--as CLIENT [--state DIR] | [URL|DIR] --key AUDITOR.JWK.JSON… [--log-key VKEY]… [--keys DEV.JSON]… [--log NAME]…)",
      "    [--from TIME] [--to TIME] [--client ID] [--purpose CODE] [--csv]",
    ].join("\n"),
    does: "Lists who saw a patient: the recipients, when, why, and which resources left. `-` reads the name from standard input.",
    examples: [
      "phylax disclosures main/Patient/amara-okafor --as privacy-officer",
      "phylax disclosures - --as privacy-officer < patient.txt",
      "phylax disclosures main/Patient/amara-okafor --key .phylax/auditors/auditor-1.jwk.json --csv",
    ],
    load: async () => (await import("../accounting/disclosures.ts")).disclosures,
  },
  {
    words: ["accounting", "suspend"],
    result: forms.suspended,
    takes: `FILE ${asOperator}`,
    does: "Suspends an individual's accounting of disclosures to a recipient (45 CFR 164.528(a)(2)).",
    examples: ["phylax accounting suspend suspension.json"],
    load: async () => (await import("../accounting/accounting-suspend.ts")).accountingSuspend,
  },
  {
    words: ["review", "list"],
    result: forms.reviews,
    takes: `[--all] ${asOperator}`,
    does: "Lists the open reviews of uses of break-glass; with --all the closed reviews too.",
    examples: ["phylax review list"],
    load: async () => (await import("../reviews/review-list.ts")).reviewList,
  },
  {
    words: ["review", "close"],
    result: forms.reviewClosed,
    takes: `ID --finding justified|unjustified ${asOperator}`,
    does: "Closes the review of a use of break-glass with a finding.",
    examples: ["phylax review close 0123456789abcdef0123456789abcdef --finding justified"],
    load: async () => (await import("../reviews/review-close.ts")).reviewClose,
  },
  {
    words: ["consent", "list"],
    result: forms.consents,
    takes: `(ORIGIN/Patient/ID | -)… ${asOperator}`,
    does: "Lists the versions of the Consents of some patients, without their content.",
    examples: ["phylax consent list main/Patient/amara-okafor"],
    load: async () => (await import("../consents/consent-check.ts")).consentList,
  },
  {
    words: ["consent", "refile"],
    result: forms.consentsRefiled,
    takes: `[ORIGIN/Patient/ID | ORIGIN/Consent/ID]… [--patients FILE] ${asOperator}`,
    does: "Files patients and Consents under the first key of CONSENT_KEY, and counts the rows that are left.",
    examples: ["phylax consent refile --patients patients.txt", "phylax consent refile"],
    load: async () => (await import("../consents/consent-refile.ts")).consentRefile,
  },
  {
    words: ["consent", "check"],
    result: forms.consentCheck,
    takes: `ORIGIN/Patient/ID CONSENT --records FILE ${asOperator}`,
    does: "Proves over opened records (phylax ledger read --json) that a withdrawn Consent lets nothing through.",
    examples: [
      "phylax consent check main/Patient/amara-okafor rjZ0k9bJvVw3mT5yqk8pV1xW2nLr4uAe6oCiHgFdSbE --records records.jsonl",
    ],
    load: async () => (await import("../consents/consent-check.ts")).consentCheck,
  },
  {
    words: ["breach-scope"],
    result: forms.breachScope,
    takes: [
      `[URL|DIR] (--client ID | --certificate X5T | --key-id KID|JKT | --token JTI | --user NAME)… --from TIME --to TIME`,
      `    ${asAuditor} [--purpose CODE]… [--origin NAME]… [--discovered DATE] [--csv|--letter]`,
    ].join("\n"),
    does: "Counts the people whom a breach concerns, by state, with the dates by which to tell them.",
    examples: [
      "phylax breach-scope --client telehealth --from 2026-11-01 --to 2026-11-27 --key .phylax/auditors/auditor-1.jwk.json",
    ],
    load: async () => (await import("../ledger/breach-scope.ts")).breachScope,
  },
];
