import * as z from "zod";

const caseId = z.string().regex(/^[0-9a-f]{32}$/u);
const why = z.string().trim().min(1).max(1_000).meta({ description: "The reason, for the record." });
/** The SHA-256 of a letter: the letter itself stays with the entity. */
const letter = z.string().regex(/^[0-9a-f]{64}$/u);

/** The largest number of cases on a page: a shorter page is the last one. */
export const casesPageMax = 500;

/** The only grounds on which a request may be denied: 45 CFR 164.526(a)(2)(i) to (iv). */
export const denialGrounds = [
  "not-created-here",
  "not-in-record-set",
  "not-open-to-access",
  "accurate-and-complete",
] as const;
export type DenialGround = (typeof denialGrounds)[number];

/** Which cases an operator lists. `after`: the last case of the page before. */
export const caseListing = z.strictObject({
  state: z.enum(["open", "decided", "all"]).default("open"),
  case: caseId.optional(),
  after: caseId.optional(),
});

const moment = z.int().nullable();
const word = z.string().nullable();

/** To whom a notice of an amendment is due (164.526(c)(3)). */
export const noticeKinds = ["person", "holder"] as const;

/**
 * A notice of an amendment. `lastAt` and `purposes`: of the disclosures to a holder before the amendment. An ended notice has a
 * letter, or a reason.
 */
const caseNotice = z.object({
  kind: z.enum(noticeKinds),
  recipient: z.string(),
  notedAt: z.int(),
  notedBy: z.string(),
  lastAt: moment,
  purposes: z.array(z.string()).nullable(),
  endedAt: moment,
  endedBy: word,
  letter: word,
  reason: word,
});
export type CaseNotice = z.infer<typeof caseNotice>;

/** A case as the operators' API lists it: ids, times in ms since 1970, and SHA-256 of letters. `due`: a day in UTC. */
export const listedCase = z.object({
  id: z.string(),
  receivedAt: z.int(),
  due: z.string(),
  requestId: z.string(),
  client: z.string(),
  origin: z.string(),
  patient: z.string(),
  resource: word,
  extendedAt: moment,
  extendedBy: word,
  extensionLetter: word,
  amendedAt: moment,
  amendedBy: word,
  amendedRequest: word,
  amendedRows: z.array(z.string()).nullable(),
  decidedAt: moment,
  decidedBy: word,
  decision: z.enum(["accepted", "denied", "partly-denied"]).nullable(),
  reasons: z.array(z.enum(denialGrounds)).nullable(),
  denialLetter: word,
  disputed: z.array(z.string()).nullable(),
  statedAt: moment,
  statedBy: word,
  informedBy: word, // the entity that sent a notice of its amendment
  /** The messages in which the individual disagrees, the oldest first; at a null place if the origin did not say the place. */
  disagreements: z.array(z.object({ at: z.int(), requestId: z.string(), resource: word })),
  statementAs: z.array(z.string()), // the pseudonyms by which records name the statement
  statement: z
    .object({
      kind: z.string(),
      rows: z.array(z.string()),
      elements: z.array(z.string()).optional(),
      summary: z.string().optional(),
      messages: z.array(z.object({ role: z.string(), reference: z.string() })),
    })
    .nullable(),
  notices: z.array(caseNotice).optional(), // present if the case was named by id
});
export type ListedCase = z.infer<typeof listedCase>;

/** The single extension of a case, by a letter with the reason and the date (164.526(b)(2)(ii)). */
export const caseExtension = z.strictObject({ case: caseId, letter });

/** The place at its server where an officer found the request of an unconfirmed case. */
export const caseConfirmation = z.strictObject({
  case: caseId,
  request: z.string().regex(/^(?:Communication|Task)\/[A-Za-z0-9.-]{1,64}$/u),
});

/** The end of a case without an answer: its request is not stored, or another entity's notice is about nothing held. */
export const caseVoiding = z.strictObject({ case: caseId, why });

/** The end of a case whose amendment is made. */
export const caseAcceptance = z.strictObject({ case: caseId });

/** The end of a case by a denial with its letter, of the whole request or of a part (164.526(d)). */
export const caseDenial = z.strictObject({
  case: caseId,
  grounds: z
    .array(z.enum(denialGrounds))
    .min(1)
    .refine((all) => new Set(all).size === all.length),
  partly: z.boolean().default(false),
  letter,
});

const recipient = z
  .string()
  .trim()
  .regex(/^[^\p{C}<>]{1,200}$/u);

const rows = z
  .array(z.string().regex(/^[A-Z][A-Za-z]{1,63}\/[A-Za-z0-9.-]{1,64}$/u))
  .max(20)
  .default([]);
const message = z.string().regex(/^Communication\/[A-Za-z0-9.-]{1,64}$/u);

/**
 * The statement that follows later disclosures of the disputed information after a denial (164.526(d)(5)). A summary leaves with
 * the disputed members alone, and has no sign of a script.
 */
export const caseStatement = z
  .strictObject({
    case: caseId,
    kind: z.enum(["disagreement", "request-and-denial"]),
    rows,
    elements: z
      .array(z.string().regex(/^[a-z][A-Za-z]{0,63}$/u))
      .min(1)
      .max(20)
      .optional(),
    summary: z
      .string()
      .regex(/^[^\p{C}<>]{1,1000}$/u)
      .optional(),
    statement: message.optional(),
    rebuttal: message.optional(),
    denial: message.optional(),
  })
  .refine(({ summary, elements }) => summary === undefined || elements !== undefined, {
    path: ["summary"],
  })
  .refine(({ kind, statement }) => (kind === "disagreement") === (statement !== undefined), {
    path: ["statement"],
  });

/** The end of a statement that was filed in error. */
export const caseUnstatement = z.strictObject({
  case: caseId,
  why,
});

const patient = z.string().regex(/^Patient\/[A-Za-z0-9.-]{1,64}$/u);

/** A notice of another entity about its amendment (164.526(e)), which is stored at the origin. `from`: the entity's name. */
export const caseOpening = z.strictObject({
  origin: z.string().max(64),
  patient,
  notice: message,
  from: recipient,
  rows,
});

/** A search for holders under the patient of the case, and under further ids of the same person at the origin. */
export const holdersSearch = z.strictObject({ case: caseId, patients: z.array(patient).max(15).default([]) });

/** A person whom the individual names, and agrees to have informed. */
export const noticeNaming = z.strictObject({ case: caseId, recipient });

const noticeName = { case: caseId, kind: z.enum(noticeKinds), recipient };

/** The end of a notice with a letter. */
export const noticeSending = z.strictObject({ ...noticeName, letter });

/** The end of a notice without a letter. */
export const noticeWaiving = z.strictObject({ ...noticeName, why });

/**
 * Why a document about cases is refused: the name of its first bad field; or the case is not open, was extended
 * before, is past the time to extend it, or has no amendment.
 */
export type CaseProblem =
  | { readonly reason: "case_malformed"; readonly field: string }
  | { readonly reason: "case_known"; readonly field: "notice" }
  | {
      readonly reason:
        | "case_not_open"
        | "case_informed"
        | "case_extended"
        | "case_time_over"
        | "case_not_amended"
        | "case_not_unconfirmed"
        | "case_not_denied"
        | "case_stated"
        | "case_rows_unnamed"
        | "case_not_accepted"
        | "notice_not_open";
      readonly field: "case";
    };
