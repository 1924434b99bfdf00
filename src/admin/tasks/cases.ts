import * as z from "zod";
import { ok } from "#kernel/result";
import {
  caseAcceptance,
  caseConfirmation,
  caseDenial,
  caseExtension,
  caseListing,
  caseOpening,
  caseStatement,
  caseUnstatement,
  caseVoiding,
  holdersSearch,
  listedCase,
  noticeNaming,
  noticeSending,
  noticeWaiving,
  type CaseProblem,
} from "#registry/case-document";
import { rejectedAt, type Verb } from "#admin/administer";
import type { CaseTasks } from "#admin/ports";

const officers = { method: "POST", roles: ["privacy-officer"] } as const;

/** Lists the requests for amendments, for an operator with the role `privacy-officer`. */
export const listCasesVerb = (cases: CaseTasks): Verb => ({
  ...officers,
  interaction: "list-cases",
  does: "The open cases of requests for amendments, the decided cases, all, or the case with the id `case`: the oldest first, 500 on a page. Send the id of a page's last case as `after` to get the next page.",
  document: caseListing,
  answer: z.object({ cases: z.array(listedCase) }),
  path: "api/cases",
  changes: "nothing",
  async act({ document }) {
    const found = await cases.list(document);
    return found.ok ? ok({ answer: { cases: found.value } }) : rejected(found.error);
  },
});

/** Says where the request of an unconfirmed case is stored. */
export const confirmCaseVerb = (cases: CaseTasks): Verb => ({
  ...officers,
  interaction: "confirm-case",
  does: "Names the stored request of an unconfirmed case: `request` is where the FHIR server has it, such as `Communication/1`.",
  document: caseConfirmation,
  answer: z.object({ confirmed: z.literal(true) }),
  path: "api/cases/confirm",
  changes: "repeatably",
  async act({ document }) {
    const confirmed = await cases.confirm(document);
    return confirmed.ok ? ok({ answer: { confirmed: true } }) : rejected(confirmed.error);
  },
});

/** Opens a case for a notice of another entity. */
export const openCaseVerb = (cases: CaseTasks): Verb => ({
  ...officers,
  interaction: "open-case",
  does: "Opens a case for a notice by which another entity tells of its amendment (45 CFR 164.526(e)). `notice`: the Communication in which the FHIR server has it. `from`: the entity. `rows`: the rows to amend.",
  document: caseOpening,
  answer: z.object({ case: z.string() }),
  path: "api/cases/open",
  changes: "repeatably",
  async act({ document, operator, requestId }) {
    const opened = await cases.open(document, operator.id, requestId);
    return opened.ok ? ok({ answer: opened.value, effect: [opened.value] }) : rejected(opened.error);
  },
});

/** Ends a case without an answer. */
export const voidCaseVerb = (cases: CaseTasks): Verb => ({
  ...officers,
  interaction: "void-case",
  does: "Removes a case from the list, with the reason in `why`: an unconfirmed case of which the FHIR server has no request, or a notice of another entity about nothing that you hold.",
  document: caseVoiding,
  answer: z.object({ voided: z.literal(true) }),
  path: "api/cases/void",
  changes: "repeatably",
  async act({ document }) {
    const voided = await cases.void(document);
    return voided.ok ? ok({ answer: { voided: true } }) : rejected(voided.error);
  },
});

/** Extends the time of an open case by 30 days, once. */
export const extendCaseVerb = (cases: CaseTasks): Verb => ({
  ...officers,
  interaction: "extend-case",
  does: "Extends the time of an open case by 30 days, once. `letter`: the SHA-256 of the letter with the reason and the date.",
  document: caseExtension,
  answer: z.object({ due: z.string() }),
  path: "api/cases/extend",
  changes: "repeatably",
  async act({ document, operator }) {
    const extended = await cases.extend(document, operator.id);
    return extended.ok ? ok({ answer: extended.value }) : rejected(extended.error);
  },
});

/** Ends an open case whose amendment is linked to the request. */
export const acceptCaseVerb = (cases: CaseTasks): Verb => ({
  ...officers,
  interaction: "accept-case",
  does: "Accepts a request for an amendment, once a Provenance that names the request was written through the gateway.",
  document: caseAcceptance,
  answer: z.object({ decision: z.literal("accepted") }),
  path: "api/cases/accept",
  changes: "repeatably",
  async act({ document, operator }) {
    const accepted = await cases.accept(document, operator.id);
    return accepted.ok ? ok({ answer: { decision: "accepted" } }) : rejected(accepted.error);
  },
});

/** Ends an open case by a denial, with its grounds and its letter. */
export const denyCaseVerb = (cases: CaseTasks): Verb => ({
  ...officers,
  interaction: "deny-case",
  does: "Denies a request for an amendment, or with `partly` a part of it. `letter`: the SHA-256 of the letter.",
  document: caseDenial,
  answer: z.object({ denied: z.literal(true) }),
  path: "api/cases/deny",
  changes: "repeatably",
  async act({ document, operator }) {
    const denied = await cases.deny(document, operator.id);
    return denied.ok ? ok({ answer: { denied: true } }) : rejected(denied.error);
  },
});

/** Files what follows later disclosures of the disputed rows. */
export const stateCaseVerb = (cases: CaseTasks): Verb => ({
  ...officers,
  interaction: "state-case",
  does: "Files the statement of disagreement of a denied case, or its request and denial, once: it follows each later disclosure of `rows`. `elements`: the disputed members, by their JSON names. `summary` leaves with these members alone.",
  document: caseStatement,
  answer: z.object({ stated: z.literal(true) }),
  path: "api/cases/state",
  changes: "repeatably",
  async act({ document, operator }) {
    const stated = await cases.state(document, operator.id);
    return stated.ok ? ok({ answer: { stated: true } }) : rejected(stated.error);
  },
});

/** Withdraws what follows later disclosures of the disputed rows. */
export const unstateCaseVerb = (cases: CaseTasks): Verb => ({
  ...officers,
  interaction: "unstate-case",
  does: "Withdraws the statement of a denied case, with the reason in `why`: the case can be stated anew.",
  document: caseUnstatement,
  answer: z.object({ unstated: z.literal(true) }),
  path: "api/cases/unstate",
  changes: "repeatably",
  async act({ document, operator }) {
    const unstated = await cases.unstate(document, operator.id);
    return unstated.ok ? ok({ answer: { unstated: true } }) : rejected(unstated.error);
  },
});

/** Finds the holders of amended information in the accounting. */
export const findNoticesVerb = (cases: CaseTasks): Verb => ({
  ...officers,
  interaction: "find-notices",
  does: "Finds in the accounting the clients that got information of the amended types before the amendment of an accepted case, and stores an open notice for each. A repeat adds what is missing. `patients`: further ids of the same person at the FHIR server, as its accounting names them.",
  document: holdersSearch,
  answer: z.object({ found: z.int(), added: z.int() }),
  path: "api/cases/notices/find",
  changes: "repeatably",
  async act({ requestId, document, operator }) {
    const sought = await cases.holdersSought(document);
    if (!sought.ok) return rejected(sought.error);
    const { amendedBy, ...query } = sought.value;
    const holders = (await cases.holders(query, operator.id, requestId)).filter(
      ({ recipient }) => recipient !== amendedBy,
    );
    const added = await cases.addHolders(document, holders, operator.id);
    if (!added.ok) return rejected(added.error);
    return ok({ answer: { found: holders.length, added: added.value.length }, effect: added.value });
  },
});

/** Stores an open notice to a person whom the individual names. */
export const nameNoticeVerb = (cases: CaseTasks): Verb => ({
  ...officers,
  interaction: "name-notice",
  does: "Stores an open notice of the amendment of an accepted case to `recipient`, a person whom the individual names and agrees to have informed.",
  document: noticeNaming,
  answer: z.object({ named: z.literal(true) }),
  path: "api/cases/notices/name",
  changes: "repeatably",
  async act({ document, operator }) {
    const named = await cases.nameNotice(document, operator.id);
    return named.ok ? ok({ answer: { named: true } }) : rejected(named.error);
  },
});

/** Ends a notice that the entity has sent. */
export const sendNoticeVerb = (cases: CaseTasks): Verb => ({
  ...officers,
  interaction: "send-notice",
  does: "Ends an open notice that you have sent, once. `letter`: the SHA-256 of the letter.",
  document: noticeSending,
  answer: z.object({ sent: z.literal(true) }),
  path: "api/cases/notices/send",
  changes: "repeatably",
  async act({ document, operator }) {
    const sent = await cases.sendNotice(document, operator.id);
    return sent.ok ? ok({ answer: { sent: true } }) : rejected(sent.error);
  },
});

/** Ends a notice that is not needed. */
export const waiveNoticeVerb = (cases: CaseTasks): Verb => ({
  ...officers,
  interaction: "waive-notice",
  does: "Ends an open notice that is not needed, once, with the reason in `why`.",
  document: noticeWaiving,
  answer: z.object({ waived: z.literal(true) }),
  path: "api/cases/notices/waive",
  changes: "repeatably",
  async act({ document, operator }) {
    const waived = await cases.waiveNotice(document, operator.id);
    return waived.ok ? ok({ answer: { waived: true } }) : rejected(waived.error);
  },
});

const rejected = ({ reason, field }: CaseProblem) => rejectedAt(field, reason, details[reason]);

const details: Readonly<Record<CaseProblem["reason"], string>> = {
  case_malformed: "is missing or malformed",
  case_not_open: "is not the id of an open case",
  case_informed: "is a notice of another entity",
  case_known: "has a case",
  case_extended: "was extended before",
  case_time_over: "is past its first 60 days",
  case_not_amended: "has no amendment on record",
  case_not_unconfirmed: "is not the id of an unconfirmed case",
  case_not_denied: "is not the id of a denied case",
  case_stated: "has a statement",
  case_rows_unnamed: "names no row of the record, and rows has none",
  case_not_accepted: "is not the id of an accepted case",
  notice_not_open: "has no open notice to this recipient",
};
