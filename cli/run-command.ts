import { accountingCheck, accountingCheckUsage } from "./accounting/accounting-check.ts";
import { accountingSuspend, accountingSuspendUsage } from "./accounting/accounting-suspend.ts";
import { breachScope, breachScopeUsage } from "./ledger/breach-scope.ts";
import { ledgerExport, ledgerExportUsage } from "./ledger/ledger-export.ts";
import { ledgerExportFhir, ledgerExportFhirUsage } from "./ledger/ledger-export-fhir.ts";
import { ledgerRead, ledgerReadUsage } from "./ledger/ledger-read.ts";
import { ledgerRetention, ledgerRetentionUsage } from "./ledger/ledger-retention.ts";
import { ledgerVerify, ledgerVerifyUsage } from "./ledger/ledger-verify.ts";
import { operatorSignIn, operatorSignInUsage } from "./connection/operator-sign-in.ts";
import { originProbe, originProbeUsage } from "./origin/origin-probe.ts";
import { policyCheck, policyCheckUsage } from "./policy/policy-check.ts";
import { policyDiff, policyDiffUsage } from "./policy/policy-diff.ts";
import { policyExplain, policyExplainUsage } from "./policy/policy-explain.ts";
import { receiptCheck, receiptCheckUsage } from "./ledger/receipt-check.ts";
import { registryApply, registryApplyUsage } from "./registry/registry-apply.ts";
import { registryPlan, registryPlanUsage } from "./registry/registry-plan.ts";
import {
  registryExport,
  registryExportUsage,
  registryShow,
  registryShowUsage,
} from "./registry/registry-show.ts";
import { revokeCommand, revokeUsage } from "./registry/revoke.ts";
import { token, tokenUsage } from "./connection/token.ts";

/** `phylax <words> …`: each command returns an exit code (0 good, 1 error found or failure, 2 misuse). */
const commands: readonly {
  readonly words: readonly string[];
  readonly usage: string;
  readonly run: (args: string[]) => Promise<number>;
}[] = [
  { words: ["ledger", "verify"], usage: ledgerVerifyUsage, run: ledgerVerify },
  { words: ["ledger", "export", "--fhir"], usage: ledgerExportFhirUsage, run: ledgerExportFhir },
  { words: ["ledger", "export"], usage: ledgerExportUsage, run: ledgerExport },
  { words: ["ledger", "read"], usage: ledgerReadUsage, run: ledgerRead },
  { words: ["accounting", "check"], usage: accountingCheckUsage, run: accountingCheck },
  { words: ["accounting", "suspend"], usage: accountingSuspendUsage, run: accountingSuspend },
  { words: ["breach-scope"], usage: breachScopeUsage, run: breachScope },
  { words: ["receipt", "check"], usage: receiptCheckUsage, run: receiptCheck },
  { words: ["ledger", "retention", "check"], usage: ledgerRetentionUsage, run: ledgerRetention },
  { words: ["policy", "check"], usage: policyCheckUsage, run: policyCheck },
  { words: ["policy", "diff"], usage: policyDiffUsage, run: policyDiff },
  { words: ["policy", "explain"], usage: policyExplainUsage, run: policyExplain },
  { words: ["registry", "show"], usage: registryShowUsage, run: registryShow },
  { words: ["registry", "export"], usage: registryExportUsage, run: registryExport },
  { words: ["registry", "plan"], usage: registryPlanUsage, run: registryPlan },
  { words: ["registry", "apply"], usage: registryApplyUsage, run: registryApply },
  { words: ["origin", "probe"], usage: originProbeUsage, run: originProbe },
  { words: ["operator", "sign-in"], usage: operatorSignInUsage, run: operatorSignIn },
  { words: ["revoke"], usage: revokeUsage, run: revokeCommand },
  { words: ["token"], usage: tokenUsage, run: token },
];

/**
 * Runs the command that the arguments name, prints its output, and returns its exit code. Throws every error
 * that is neither a misuse nor a finding.
 */
export async function runCommand(args: readonly string[]): Promise<number> {
  const command = commands.find(({ words }) => words.every((word, i) => args[i] === word));
  const usage = ["usage:", ...commands.map(({ usage: line }) => `  ${line}`)].join("\n");
  if (args.some((arg) => arg === "--help" || arg === "-h")) {
    console.log(command === undefined ? usage : `usage: ${command.usage}`);
    return 0;
  }
  if (command === undefined) {
    console.error(usage);
    return 2;
  }
  try {
    return await command.run(args.slice(command.words.length));
  } catch (fault) {
    if (!(fault instanceof TypeError && String(Reflect.get(fault, "code")).startsWith("ERR_PARSE_ARGS_")))
      throw fault;
    console.error(`${fault.message}\nusage: ${command.usage}`);
    return 2;
  }
}
