import { forms } from "../result-forms.ts";
import { asOperator, type Command } from "./command.ts";

/** The commands by which operators sign in and are registered. */
export const operatorCommands: readonly Command[] = [
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
    load: async () => (await import("../profile/login.ts")).login,
  },
  {
    words: ["logout"],
    result: forms.logout,
    takes: "PROFILE [--forget]",
    does: "Deletes the stored token of a profile; with --forget the whole profile.",
    examples: ["phylax logout production"],
    load: async () => async (args) => (await import("../profile/profiles.ts")).logout(args),
  },
  {
    words: ["profile", "list"],
    result: forms.profiles,
    takes: "",
    does: "Lists the profiles, with the door and the operator of each.",
    examples: ["phylax profile list"],
    load: async () => async (args) => (await import("../profile/profiles.ts")).profileList(args),
  },
  {
    words: ["profile", "client"],
    result: forms.profileClient,
    takes: "ID (--cert FILE --key FILE | --jwk FILE)… [--scope SCOPE] [--purpose CODE] --profile NAME",
    does: "Adds a client's credentials to a profile, for `token` and `get`.",
    examples: [
      "phylax profile client telehealth --cert c.pem --key c.key --jwk c.jwk.json --profile production",
    ],
    load: async () => async (args) => (await import("../profile/profiles.ts")).profileClient(args),
  },
  {
    words: ["operator", "list"],
    result: forms.operators,
    takes: asOperator,
    does: "Lists the operators with their certificates, roles and sign-ins.",
    examples: ["phylax operator list"],
    load: async () => (await import("../operators/operator-list.ts")).operatorList,
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
    load: async () => (await import("../operators/operator-change.ts")).operatorAdd,
  },
  {
    words: ["operator", "change"],
    result: forms.proposed,
    takes: `ID [--role ROLE]… [--cert PEM] [--issuer ISS] [--subject SUB] [--acr ACR]… [--amr AMR]… [--max-age SECONDS] [--reinstate] --why TEXT ${asOperator}`,
    does: "Proposes different roles, a new certificate or sign-in, or the end of a suspension of an operator.",
    examples: ["phylax operator change grace --role approver --role revoker --why HR-14"],
    load: async () => (await import("../operators/operator-change.ts")).operatorChange,
  },
  {
    words: ["operator", "suspend"],
    result: forms.operatorSuspended,
    takes: `ID ${asOperator}`,
    does: "Suspends an operator: each further request of it is refused.",
    examples: ["phylax operator suspend grace"],
    load: async () => (await import("../operators/operator-change.ts")).operatorSuspend,
  },
  {
    words: ["operator", "remove"],
    result: forms.operatorRemoved,
    takes: `ID ${asOperator}`,
    does: "Removes an operator.",
    examples: ["phylax operator remove grace"],
    load: async () => (await import("../operators/operator-change.ts")).operatorRemove,
  },
  {
    words: ["operator", "sign-in"],
    result: forms.signIn,
    takes: "OPERATOR --out FILE [--state DIR]",
    does: "Signs an operator in by a browser and writes the access token to a file.",
    examples: ["phylax operator sign-in officer --out officer.token"],
    load: async () => (await import("../connection/operator-sign-in.ts")).operatorSignIn,
  },
];
