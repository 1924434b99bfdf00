import type { AuthorityProblem } from "#identity/authority/authority-document";
import type { CaseProblem } from "#registry/case-document";
import { facesIn, type ExactFaces } from "#entrypoint/faces-of";
import { operatorRefusals } from "#entrypoint/operator-refusals";
import type { DenialProblem } from "#identity/denial-document";
import type { RegistryProblem } from "#registry/problem";
import type { RestoreProblem } from "#ledger/restore";
import type { SuspensionProblem } from "#audit/accounting/suspension";
import type { OperatorKeyRefusal } from "./act-once.ts";
import type { ConsentQuestionProblem, NotNarrowedReason, ReviewDocumentProblem } from "./ports.ts";
import type { OperatorRefusal } from "./authenticate-operator.ts";
import type { DocumentRefusal } from "./read-document.ts";

/** Why control rejects a document. */
export type RejectionReason =
  | `registry_${RegistryProblem["reason"]}`
  | DenialProblem["reason"]
  | SuspensionProblem["reason"]
  | ReviewDocumentProblem["reason"]
  | AuthorityProblem["reason"]
  | CaseProblem["reason"]
  | ConsentQuestionProblem["reason"]
  | RestoreProblem["reason"]
  | "data_set_malformed"
  | "data_set_not_open"
  | "export_malformed"
  | "export_not_open"
  | "silence_malformed"
  | "silence_not_open"
  | "tail_malformed"
  | "approval_required"
  | "proposal_malformed"
  | "proposal_not_open"
  | "proposal_own"
  | "person_required"
  | NotNarrowedReason
  | "role_missing";

export type AdminRefusal =
  | OperatorRefusal
  | DocumentRefusal
  | OperatorKeyRefusal
  | { readonly reason: "body_timed_out" | "state_not_named" };

/** A reason without a row in the table of refusal reasons does not compile, nor a row without a reason. */
export const publicFaces: ExactFaces<"admin", AdminRefusal["reason"] | RejectionReason> = facesIn(
  operatorRefusals,
  "admin",
);
