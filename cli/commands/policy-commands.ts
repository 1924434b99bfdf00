import { forms } from "../result-forms.ts";
import { asOperator, type Command } from "./command.ts";

/** The commands about policies. */
export const policyCommands: readonly Command[] = [
  {
    words: ["policy", "check"],
    result: forms.policyCheck,
    takes: "FILE…",
    does: "Checks policies and proves their examples.",
    examples: ["phylax policy check policies/treat.json"],
    load: async () => (await import("../policy/policy-check.ts")).policyCheck,
  },
  {
    words: ["policy", "diff"],
    result: forms.policyDiff,
    takes: "BEFORE AFTER",
    does: "Prints the permissions that the second policy adds and removes.",
    examples: ["phylax policy diff policies/hoperat.json policies/privacy-office.json"],
    load: async () => (await import("../policy/policy-diff.ts")).policyDiff,
  },
  {
    words: ["policy", "explain"],
    result: forms.policyExplain,
    takes: [
      "(--registry FILE --client ID | --policy FILE) REQUEST [--purpose CODE] [--origin NAME] [--scope SCOPES]",
      "    [--patient ID] [--user REFERENCE [--user-patient ID]…] [--at TIME] [--sample RESOURCE.json]",
      "    [--consent CONSENT.json]… [--actor RESOURCE.json]…",
      "    REQUEST: 'GET Observation?patient=1', 'PUT Observation/1' …; below the FHIR base",
    ].join("\n"),
    does: "Explains the decision about a request, and each removed element of a sample.",
    examples: ["phylax policy explain --policy policies/treat.json 'GET Patient/1'"],
    load: async () => (await import("../policy/policy-explain.ts")).policyExplain,
  },
  {
    words: ["policy", "publish"],
    result: forms.policyPublish,
    takes: `FILE… [--grant CLIENT/ORIGIN/PURPOSE]… [--why TEXT] ${asOperator}`,
    does: "Publishes policies and gives grants the policy; with --why as a proposal for a second person.",
    examples: ["phylax policy publish treat.json --grant telehealth/main/TREAT --why CHG-7"],
    load: async () => (await import("../policy/policy-publish.ts")).policyPublish,
  },
];
