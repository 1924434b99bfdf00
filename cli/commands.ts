import type { ResultForm } from "./output.ts";
import { forms } from "./result-forms.ts";

/** A command of `phylax`. Its module is loaded only when it runs, so that help is quick. */
export interface Command {
  readonly words: readonly string[];
  /** The arguments after the words. Further lines explain them. */
  readonly takes: string;
  /** A sentence for the list of commands. */
  readonly does: string;
  readonly examples: readonly string[];
  /** The form of its result with `--json`, which every command has. */
  readonly result: ResultForm;
  /** Returns an exit code: 0 good, 1 an error was found or a failure, 2 refused. */
  readonly load: () => Promise<(args: string[]) => Promise<number>>;
}

const asOperator = "[--operator ID [--operator-token FILE]] [--state DIR]";
const asAuditor = "--key AUDITOR.JWK.JSON… [--log-key VKEY]… [--keys DEV.JSON]… [--log NAME]…";
const withFilter = [
  "[--from TIME] [--to TIME] [--patient ORIGIN/Patient/ID] [--client ID] [--user NAME] [--purpose CODE]",
  "    [--certificate X5T] [--key-id KID|JKT] [--token JTI] [--request ID] [--kind KIND] [--reason CODE]",
].join("\n");

/** All commands in the order of the help. A command whose words begin with a shorter command's comes first. */
export const commands: readonly Command[] = [
  {
    words: ["token"],
    result: forms.token,
    takes: "CLIENT [--state DIR] [--purpose CODE] [--scope SCOPE]",
    does: "Gets an access token for a client and prints it.",
    examples: ["phylax token telehealth", "phylax token telehealth --purpose COC"],
    load: async () => (await import("./connection/token.ts")).token,
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
    load: async () => (await import("./connection/get.ts")).getCommand,
  },
  {
    words: ["registry", "show"],
    result: forms.registryShow,
    takes: `[LIST] ${asOperator}`,
    does: "Prints the registered clients, grants, agreements, policies, origins and issuers.",
    examples: ["phylax registry show grants"],
    load: async () => (await import("./registry/registry-show.ts")).registryShow,
  },
  {
    words: ["registry", "export"],
    result: forms.registryExport,
    takes: `FILE ${asOperator}`,
    does: "Writes the registry as a registry file.",
    examples: ["phylax registry export registry.json"],
    load: async () => (await import("./registry/registry-show.ts")).registryExport,
  },
  {
    words: ["registry", "plan"],
    result: forms.registryPlan,
    takes: `[FILE] [--remove KIND:NAME]… [--reinstate CLIENT]… [--out CHANGE] ${asOperator}`,
    does: "Says what a change of the registry would add, change and remove; writes nothing.",
    examples: [
      "phylax registry plan registry.json --out change.json",
      "phylax registry plan --remove grant:payer/main/HPAYMT --out change.json",
    ],
    load: async () => (await import("./registry/registry-plan.ts")).registryPlan,
  },
  {
    words: ["registry", "apply"],
    result: forms.registryApply,
    takes: `FILE [--probe-writes] [--no-probe] ${asOperator}`,
    does: "Adds the entries of a registry file, or applies a planned change, and probes its origins.",
    examples: ["phylax registry apply new-client.json", "phylax registry apply change.json"],
    load: async () => (await import("./registry/registry-apply.ts")).registryApply,
  },
  {
    words: ["propose"],
    result: forms.proposed,
    takes: [
      `CHANGE.json --why TEXT ${asOperator}`,
      "    --lift KIND NAME… --why TEXT     as in `phylax revoke`",
      "    --role ROLE [--minutes N] --why TEXT",
    ].join("\n"),
    does: "Proposes a planned change, the end of a denial, or a role for a limited time, for a second person.",
    examples: [
      "phylax propose change.json --why CHG-7",
      "phylax propose --role registry-admin --minutes 60 --why 'on call'",
    ],
    load: async () => (await import("./approvals/propose.ts")).proposeCommand,
  },
  {
    words: ["proposals", "list"],
    result: forms.proposals,
    takes: `[--all] ${asOperator}`,
    does: "Lists the open proposals; with --all the decided proposals too.",
    examples: ["phylax proposals list"],
    load: async () => (await import("./approvals/proposals.ts")).proposalsList,
  },
  {
    words: ["proposals", "show"],
    result: forms.proposal,
    takes: `ID ${asOperator}`,
    does: "Prints a proposal: its plan on the present registry, and what it would open.",
    examples: ["phylax proposals show 0123456789abcdef0123456789abcdef"],
    load: async () => (await import("./approvals/proposals.ts")).proposalsShow,
  },
  {
    words: ["proposals", "close"],
    result: forms.proposalClosed,
    takes: `ID --note TEXT ${asOperator}`,
    does: "Closes an open proposal without its act, or ends a role that it gave.",
    examples: ["phylax proposals close 0123456789abcdef0123456789abcdef --note 'not needed'"],
    load: async () => (await import("./approvals/proposals.ts")).proposalsClose,
  },
  {
    words: ["approve"],
    result: forms.approved,
    takes: `ID ${asOperator}`,
    does: "Approves a proposal of a different person: its act takes effect.",
    examples: ["phylax approve 0123456789abcdef0123456789abcdef"],
    load: async () => (await import("./approvals/proposals.ts")).approve,
  },
  {
    words: ["client", "list"],
    result: forms.clients,
    takes: `[CLIENT]… ${asOperator}`,
    does: "Lists the clients with what each still needs and what ends within thirty days.",
    examples: ["phylax client list", "phylax client list telehealth"],
    load: async () => (await import("./clients/client-list.ts")).clientList,
  },
  {
    words: ["client", "add"],
    result: forms.clientAdded,
    takes: [
      `ID [--kind KIND] [--auth METHOD] [--cert PEM]… [--jwks FILE] [--dpop] [--why TEXT] ${asOperator}`,
      "    [--agreement ID --document FILE --to TIME [--from TIME] --purpose CODE…]",
      "    [--policy NAME|DIGEST [--origin NAME] [--scopes SCOPES] [--requests N] [--window SECONDS]]",
      "    [--issuer ISS --external-id ID]",
    ].join("\n"),
    does: "Registers a client with its keys, agreement and grants in one change, and says what is missing.",
    examples: [
      "phylax client add lab --kind laboratory --jwks lab.jwks.json --cert lab.pem --agreement lab-baa --document baa.pdf --to 2028-01-01 --purpose TREAT --policy sha256:…",
    ],
    load: async () => (await import("./clients/client-add.ts")).clientAdd,
  },
  {
    words: ["client", "rotate"],
    result: forms.changed,
    takes: `ID [--cert PEM]… [--jwks FILE] [--why TEXT] ${asOperator}`,
    does: "Adds a certificate or key next to the present ones: both are accepted.",
    examples: ["phylax client rotate lab --cert lab-2027.pem"],
    load: async () => (await import("./clients/client-change.ts")).clientRotate,
  },
  {
    words: ["client", "retire"],
    result: forms.changed,
    takes: `ID [--cert PEM|X5T]… [--kid KID]… ${asOperator}`,
    does: "Removes a certificate or key of a client after its rotation.",
    examples: ["phylax client retire lab --cert lab-2026.pem"],
    load: async () => (await import("./clients/client-change.ts")).clientRetire,
  },
  {
    words: ["client", "quota"],
    result: forms.changed,
    takes: `ID --requests N [--window SECONDS] [--grant ORIGIN/PURPOSE] [--why TEXT] ${asOperator}`,
    does: "Changes the quota of a client's grants.",
    examples: ["phylax client quota lab --requests 1200 --grant main/TREAT"],
    load: async () => (await import("./clients/client-change.ts")).clientQuota,
  },
  {
    words: ["client", "suspend"],
    result: forms.changed,
    takes: `ID ${asOperator}`,
    does: "Suspends a client: it is refused within ten seconds.",
    examples: ["phylax client suspend lab"],
    load: async () => (await import("./clients/client-change.ts")).clientSuspend,
  },
  {
    words: ["client", "reinstate"],
    result: forms.changed,
    takes: `ID [--why TEXT] ${asOperator}`,
    does: "Ends a client's suspension.",
    examples: ["phylax client reinstate lab --why 'contract renewed'"],
    load: async () => (await import("./clients/client-change.ts")).clientReinstate,
  },
  {
    words: ["client", "end"],
    result: forms.changed,
    takes: `ID [--agreement ID]… ${asOperator}`,
    does: "Ends a client's agreements now and removes their grants: it is refused within ten seconds.",
    examples: ["phylax client end lab", "phylax client end lab --agreement lab-baa"],
    load: async () => (await import("./clients/client-change.ts")).clientEnd,
  },
  {
    words: ["client", "remove"],
    result: forms.changed,
    takes: `ID ${asOperator}`,
    does: "Removes a client with its certificates, agreements and grants.",
    examples: ["phylax client remove lab"],
    load: async () => (await import("./clients/client-change.ts")).clientRemove,
  },
  {
    words: ["access", "review"],
    result: forms.accessReview,
    takes: [
      `[CLIENT] [--days N] [--ledger URL|DIR] [--out FILE] ${asAuditor} ${asOperator}`,
      "    [--accept [--remove-unused] [--why TEXT]]",
    ].join("\n"),
    does: "Reviews each grant by its records: its last use, and the policy without what was not used.",
    examples: [
      "phylax access review telehealth --key .phylax/auditors/auditor-1.jwk.json",
      "phylax access review telehealth --key .phylax/auditors/auditor-1.jwk.json --accept --why 'yearly review'",
    ],
    load: async () => (await import("./access/access-review.ts")).accessReview,
  },
  {
    words: ["revoke"],
    result: forms.revoked,
    takes: [
      `KIND NAME… [--lift] ${asOperator}`,
      "    token ISSUER ID UNTIL",
      "    key ISSUER KEYID",
      "    certificate X5T",
      "    proof_key JKT",
      "    client CLIENT",
      "    agreement CLIENT AGREEMENT",
      "    grant CLIENT ORIGIN PURPOSE",
      "    policy DIGEST",
    ].join("\n"),
    does: "Refuses a token, key, certificate, client, agreement, grant or policy within ten seconds.",
    examples: ["phylax revoke client telehealth", "phylax revoke client telehealth --lift"],
    load: async () => (await import("./registry/revoke.ts")).revokeCommand,
  },
  {
    words: ["login"],
    result: forms.login,
    takes: [
      "PROFILE [--ops URL --cert FILE --key FILE] [--ca FILE] [--gateway URL [--origin NAME]] [--ledger URL]",
      "    [--keys FILE] [--issuer URL [--client-id ID] [--acr VALUE]… [--max-age SECONDS] [--scope SCOPES]]",
      "    [--device] [--operator ID]",
    ].join("\n"),
    does: "Makes or changes a profile of a deployment, and signs its operator in.",
    examples: [
      "phylax login production --ops https://ops.example.org --cert ada.pem --key ada.key --issuer https://login.example.org",
      "phylax login production",
    ],
    load: async () => (await import("./profile/login.ts")).login,
  },
  {
    words: ["logout"],
    result: forms.logout,
    takes: "PROFILE [--forget]",
    does: "Deletes the stored token of a profile; with --forget the whole profile.",
    examples: ["phylax logout production"],
    load: async () => async (args) => (await import("./profile/profiles.ts")).logout(args),
  },
  {
    words: ["profile", "list"],
    result: forms.profiles,
    takes: "",
    does: "Lists the profiles, with the door and the operator of each.",
    examples: ["phylax profile list"],
    load: async () => async (args) => (await import("./profile/profiles.ts")).profileList(args),
  },
  {
    words: ["profile", "client"],
    result: forms.profileClient,
    takes: "ID (--cert FILE --key FILE | --jwk FILE)… [--scope SCOPE] [--purpose CODE] --profile NAME",
    does: "Adds a client's credentials to a profile, for `token` and `get`.",
    examples: [
      "phylax profile client telehealth --cert c.pem --key c.key --jwk c.jwk.json --profile production",
    ],
    load: async () => async (args) => (await import("./profile/profiles.ts")).profileClient(args),
  },
  {
    words: ["operator", "list"],
    result: forms.operators,
    takes: asOperator,
    does: "Lists the operators with their certificates, roles and sign-ins.",
    examples: ["phylax operator list"],
    load: async () => (await import("./operators/operator-list.ts")).operatorList,
  },
  {
    words: ["operator", "add"],
    result: forms.proposed,
    takes: `ID --cert PEM --role ROLE… (--issuer ISS --subject SUB [--acr ACR]… [--amr AMR]… [--max-age SECONDS] | --machine) --why TEXT ${asOperator}`,
    does: "Proposes a new operator: a second person approves it.",
    examples: [
      "phylax operator add grace --cert grace.pem --role approver --issuer https://login.example.org --subject grace --acr https://refeds.org/profile/mfa --why HR-12",
      "phylax operator add pipeline --cert pipeline.pem --role registry-reader --machine --why CHG-9",
    ],
    load: async () => (await import("./operators/operator-change.ts")).operatorAdd,
  },
  {
    words: ["operator", "change"],
    result: forms.proposed,
    takes: `ID [--role ROLE]… [--cert PEM] [--issuer ISS] [--subject SUB] [--acr ACR]… [--amr AMR]… [--max-age SECONDS] [--reinstate] --why TEXT ${asOperator}`,
    does: "Proposes different roles, a new certificate or sign-in, or the end of a suspension of an operator.",
    examples: ["phylax operator change grace --role approver --role revoker --why HR-14"],
    load: async () => (await import("./operators/operator-change.ts")).operatorChange,
  },
  {
    words: ["operator", "suspend"],
    result: forms.operatorSuspended,
    takes: `ID ${asOperator}`,
    does: "Suspends an operator: each further request of it is refused.",
    examples: ["phylax operator suspend grace"],
    load: async () => (await import("./operators/operator-change.ts")).operatorSuspend,
  },
  {
    words: ["operator", "remove"],
    result: forms.operatorRemoved,
    takes: `ID ${asOperator}`,
    does: "Removes an operator.",
    examples: ["phylax operator remove grace"],
    load: async () => (await import("./operators/operator-change.ts")).operatorRemove,
  },
  {
    words: ["operator", "sign-in"],
    result: forms.signIn,
    takes: "OPERATOR --out FILE [--state DIR]",
    does: "Signs an operator in by a browser and writes the access token to a file.",
    examples: ["phylax operator sign-in officer --out officer.token"],
    load: async () => (await import("./connection/operator-sign-in.ts")).operatorSignIn,
  },
  {
    words: ["keys", "new"],
    result: forms.keysNew,
    takes: "FOLDER (--ledger-name NAME [--environment NAME] | --witness NAME | --auditor KID)",
    does: "Makes every secret of a deployment with its public half, for `wrangler secret bulk`.",
    examples: [
      "phylax keys new ../production-keys --ledger-name ledger.example.org --environment production",
      "phylax keys new ../auditor-keys --auditor auditor-1",
    ],
    load: async () => async (args) => (await import("./keys/keys-new.ts")).keysNew(args),
  },
  {
    words: ["keys", "public"],
    result: forms.keysPublic,
    takes: "FILE… [--ledger-name NAME [--log NAME]…] [--witness NAME]",
    does: "Prints the public halves of secrets, and the verifier keys of the ledger and of a witness.",
    examples: ["phylax keys public ledger.secrets.json --ledger-name ledger.example.org --log s0-2026h2"],
    load: async () => async (args) => (await import("./keys/keys-new.ts")).keysPublic(args),
  },
  {
    words: ["keys", "rotate"],
    result: forms.keysRotate,
    takes: "FILE SECRET --out FOLDER [--environment NAME]",
    does: "Writes the steps that replace a secret while the workers accept the old and the new key.",
    examples: [
      "phylax keys rotate ../production-keys/gateway.secrets.json PAGING_KEY --out ../rotation --environment production",
    ],
    load: async () => async (args) => (await import("./keys/keys-rotate.ts")).keysRotate(args),
  },
  {
    words: ["backup"],
    result: forms.backup,
    takes: `FOLDER [--ledger URL] [--key VKEY]… [--keys FILE]… ${asOperator}`,
    does: "Writes the registry and the whole ledger to a new folder, and verifies both.",
    examples: ["phylax backup ./backup-2026-11-27 --profile production"],
    load: async () => (await import("./recovery/backup.ts")).backup,
  },
  {
    words: ["restore", "registry"],
    result: forms.restoreRegistry,
    takes: `FILE [URL|DIR] ${asAuditor}`,
    does: "Rebuilds the registry from the ledger's records of its changes, as a registry file.",
    examples: ["phylax restore registry registry.json ./backup/ledger --key auditor-1.jwk.json"],
    load: async () => (await import("./recovery/restore-registry.ts")).restoreRegistry,
  },
  {
    words: ["restore", "denials"],
    result: forms.restoreDenials,
    takes: `FILE [URL|DIR] ${asAuditor} [--deny ${asOperator}]`,
    does: "Lists the denials in force from the ledger's records, as a file; --deny denies each again.",
    examples: ["phylax restore denials denials.json ./backup/ledger --key auditor-1.jwk.json --deny"],
    load: async () => (await import("./recovery/restore-denials.ts")).restoreDenials,
  },
  {
    words: ["restore", "copy"],
    result: forms.restoreCopy,
    takes: "EXPORT FOLDER [LOG]… [--key VKEY]… [--keys FILE]…",
    does: "Makes the objects of the ledger's copy in R2 from an export, for restore ledger after both are lost.",
    examples: ["phylax restore copy ./backup ./copy s0-2026h2 --profile production"],
    load: async () => (await import("./recovery/restore-copy.ts")).restoreCopy,
  },
  {
    words: ["restore", "ledger"],
    result: forms.restoreLedger,
    takes: `[LOG] [--receipt RECEIPT]… ${asOperator}`,
    does: "Rebuilds a log whose storage was lost, gives its records to a further log, and prints the lost leaves.",
    examples: ["phylax restore ledger s0-2026h2 --profile production"],
    load: async () => (await import("./recovery/restore-ledger.ts")).restoreLedger,
  },
  {
    words: ["deploy", "config"],
    result: forms.deployConfig,
    takes: "FILE",
    does: "Writes each worker's configuration from the file of an environment.",
    examples: ["phylax deploy config deploy/production.json"],
    load: async () => (await import("./deploy/deploy-config.ts")).deployConfig,
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
    load: async () => (await import("./deploy/deploy-check.ts")).deployCheck,
  },
  {
    words: ["origin", "probe"],
    result: forms.originProbe,
    takes: `NAME|URL [--registry FILE] [--bearer-from VARIABLE] [--allow-writes] [--record ${asOperator}]`,
    does: "Asks a FHIR server what it does and prints the members for its registry entry.",
    examples: ["phylax origin probe https://fhir.example.org/r4"],
    load: async () => (await import("./origin/origin-probe.ts")).originProbe,
  },
  {
    words: ["policy", "check"],
    result: forms.policyCheck,
    takes: "FILE…",
    does: "Checks policies and proves their examples.",
    examples: ["phylax policy check policies/treat.json"],
    load: async () => (await import("./policy/policy-check.ts")).policyCheck,
  },
  {
    words: ["policy", "diff"],
    result: forms.policyDiff,
    takes: "BEFORE AFTER",
    does: "Prints the permissions that the second policy adds and removes.",
    examples: ["phylax policy diff policies/hoperat.json policies/privacy-office.json"],
    load: async () => (await import("./policy/policy-diff.ts")).policyDiff,
  },
  {
    words: ["policy", "explain"],
    result: forms.policyExplain,
    takes: [
      "(--registry FILE --client ID | --policy FILE) REQUEST [--purpose CODE] [--origin NAME] [--scope SCOPES]",
      "    [--patient ID] [--user REFERENCE [--user-patient ID]…] [--at TIME] [--sample RESOURCE.json]",
      "    [--consent CONSENT.json]…",
      "    REQUEST: 'GET Observation?patient=1', 'PUT Observation/1' …; below the FHIR base",
    ].join("\n"),
    does: "Explains the decision about a request, and each removed element of a sample.",
    examples: ["phylax policy explain --policy policies/treat.json 'GET Patient/1'"],
    load: async () => (await import("./policy/policy-explain.ts")).policyExplain,
  },
  {
    words: ["policy", "publish"],
    result: forms.policyPublish,
    takes: `FILE… [--grant CLIENT/ORIGIN/PURPOSE]… [--why TEXT] ${asOperator}`,
    does: "Publishes policies and gives grants the policy; with --why as a proposal for a second person.",
    examples: ["phylax policy publish treat.json --grant telehealth/main/TREAT --why CHG-7"],
    load: async () => (await import("./policy/policy-publish.ts")).policyPublish,
  },
  {
    words: ["why"],
    result: forms.why,
    takes: `REQUEST-ID [URL|DIR] ${asAuditor}`,
    does: "Prints the records of a request in words: the caller, the question, the outcome and its reason.",
    examples: ["phylax why 4c1f0e0b9b9e4c0c8b5d2c8e2a7d3f10 --key .phylax/auditors/auditor-1.jwk.json"],
    load: async () => (await import("./ledger/why.ts")).why,
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
    load: async () => (await import("./ledger/ledger-verify.ts")).ledgerVerify,
  },
  {
    words: ["ledger", "export", "--fhir"],
    result: forms.exportFhir,
    takes: `DIR [URL|DIR] ${asAuditor} ${withFilter} [--server URL]`,
    does: "Writes opened records as FHIR AuditEvents (BALP).",
    examples: ["phylax ledger export --fhir ./audit-events --key .phylax/auditors/auditor-1.jwk.json"],
    load: async () => (await import("./ledger/ledger-export-fhir.ts")).ledgerExportFhir,
  },
  {
    words: ["ledger", "export"],
    result: forms.ledgerExport,
    takes: "DIR [URL] [--key VKEY]… [--keys DEV.JSON]…",
    does: "Copies logs into a folder that verifies offline.",
    examples: ["phylax ledger export ./export"],
    load: async () => (await import("./ledger/ledger-export.ts")).ledgerExport,
  },
  {
    words: ["ledger", "read"],
    result: forms.ledgerRead,
    takes: `[URL|DIR] ${asAuditor} ${withFilter} [--limit N] [--csv]`,
    does: "Opens records with an auditor's key and prints them in the order of their times.",
    examples: ["phylax ledger read --key .phylax/auditors/auditor-1.jwk.json --client telehealth"],
    load: async () => (await import("./ledger/ledger-read.ts")).ledgerRead,
  },
  {
    words: ["ledger", "retention", "check"],
    result: forms.ledgerRetention,
    takes:
      "RULES.JSON|URL [--token-file FILE] [--ledger URL|DIR] [--log-key VKEY]… [--keys DEV.JSON]… [--at TIME]",
    does: "Checks that the bucket's lock rules retain the ledger for six years.",
    examples: ["phylax ledger retention check lock-rules.json"],
    load: async () => (await import("./ledger/ledger-retention.ts")).ledgerRetention,
  },
  {
    words: ["receipt", "check"],
    result: forms.receiptCheck,
    takes:
      "RECEIPT|FILE [--proof FILE] [--checkpoint FILE] [--ledger URL|DIR] [--log-key VKEY]… [--keys DEV.JSON]…",
    does: "Checks the receipt of an answer.",
    examples: ["phylax receipt check receipt.txt"],
    load: async () => (await import("./ledger/receipt-check.ts")).receiptCheck,
  },
  {
    words: ["accounting", "check"],
    result: forms.accountingCheck,
    takes: "FILE… [--ledger URL|DIR] [--key VKEY]… [--keys DEV.JSON]…",
    does: "Checks each line of a saved accounting of disclosures.",
    examples: ["phylax accounting check accounting.json"],
    load: async () => (await import("./accounting/accounting-check.ts")).accountingCheck,
  },
  {
    words: ["accounting", "suspend"],
    result: forms.suspended,
    takes: `FILE ${asOperator}`,
    does: "Suspends an individual's accounting of disclosures to a recipient (45 CFR 164.528(a)(2)).",
    examples: ["phylax accounting suspend suspension.json"],
    load: async () => (await import("./accounting/accounting-suspend.ts")).accountingSuspend,
  },
  {
    words: ["review", "list"],
    result: forms.reviews,
    takes: `[--all] ${asOperator}`,
    does: "Lists the open reviews of uses of break-glass; with --all the closed reviews too.",
    examples: ["phylax review list"],
    load: async () => (await import("./reviews/review-list.ts")).reviewList,
  },
  {
    words: ["review", "close"],
    result: forms.reviewClosed,
    takes: `ID --finding justified|unjustified ${asOperator}`,
    does: "Closes the review of a use of break-glass with a finding.",
    examples: ["phylax review close 0123456789abcdef0123456789abcdef --finding justified"],
    load: async () => (await import("./reviews/review-close.ts")).reviewClose,
  },
  {
    words: ["consent", "list"],
    result: forms.consents,
    takes: `ORIGIN/Patient/ID… ${asOperator}`,
    does: "Lists the versions of the Consents of some patients, without their content.",
    examples: ["phylax consent list main/Patient/amara-okafor"],
    load: async () => (await import("./consents/consent-check.ts")).consentList,
  },
  {
    words: ["consent", "check"],
    result: forms.consentCheck,
    takes: `ORIGIN/Patient/ID CONSENT --records FILE ${asOperator}`,
    does: "Proves over opened records (phylax ledger read --json) that a withdrawn Consent lets nothing through.",
    examples: [
      "phylax consent check main/Patient/amara-okafor rjZ0k9bJvVw3mT5yqk8pV1xW2nLr4uAe6oCiHgFdSbE --records records.jsonl",
    ],
    load: async () => (await import("./consents/consent-check.ts")).consentCheck,
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
    load: async () => (await import("./ledger/breach-scope.ts")).breachScope,
  },
  {
    words: ["completion"],
    result: forms.completion,
    takes: "",
    does: "Prints a completion script for bash and zsh.",
    examples: ['eval "$(phylax completion)"'],
    load: async () => {
      const { printCompletion } = await import("./completion.ts");
      return async () =>
        printCompletion(commands.map((each) => ({ name: nameOf(each), options: optionsOf(each) })));
    },
  },
];

export const nameOf = ({ words }: Command): string => words.join(" ");
/** The options that a command and every command takes. */
export const optionsOf = ({ takes }: Command): readonly string[] => [
  ...new Set([...(takes.match(/--[a-z][a-z-]*/gu) ?? []), ...everyOption]),
];

const everyOption = ["--json", "--no-color", "--profile", "--help"] as const;

export const usageOf = (command: Command): string => `phylax ${nameOf(command)} ${command.takes}`.trimEnd();
