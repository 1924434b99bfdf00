import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { CaseNotice } from "#registry/case-document";
import { noticeWords } from "#registry/cases/case-words";
import { Misuse } from "../misuse.ts";
import { posterOf, posterOptions } from "../connection/operator-post.ts";
import { giveResult, say } from "../output.ts";
import { printable } from "../printable.ts";
import { readNamedCall } from "../read-call.ts";
import { sendStep } from "./cases-decide.ts";
import { caseNamed } from "./cases-list.ts";

/** Lists the notices of an accepted case, the open ones too. Returns 0. */
export async function casesNotices(args: readonly string[]): Promise<number> {
  const { values, name: id } = readNamedCall(args, posterOptions);
  const { notices = [] } = await caseNamed(posterOf(values), id);
  giveResult(notices);
  for (const notice of notices) say(printable(lineOf(notice)));
  if (notices.length === 0) say("no notices");
  return 0;
}

/** Finds the holders of the amended information in the accounting. */
export async function casesNoticesFind(args: readonly string[]): Promise<number> {
  const options = { ...posterOptions, patient: { type: "string", multiple: true } } as const;
  const { values, name: id } = readNamedCall(args, options);
  const document = { case: id, patients: values.patient ?? [] };
  return await sendStep(posterOf(values), "notices/find", document, { case: id, done: true }, [
    `found: \`phylax cases notices ${id}\` lists them`,
  ]);
}

/** Stores an open notice to a person whom the individual names. */
export async function casesNoticesName(args: readonly string[]): Promise<number> {
  const options = { ...posterOptions, person: { type: "string" } } as const;
  const { values, name: id } = readNamedCall(args, options);
  if (values.person === undefined) throw new Misuse();
  const document = { case: id, recipient: values.person };
  return await sendStep(posterOf(values), "notices/name", document, document, ["named"]);
}

const noticeOptions = { ...posterOptions, person: { type: "string" }, holder: { type: "string" } } as const;

/** Ends a notice with the letter that the entity has sent. */
export async function casesNoticesSent(args: readonly string[]): Promise<number> {
  const { values, name: id } = readNamedCall(args, { ...noticeOptions, letter: { type: "string" } });
  if (values.letter === undefined) throw new Misuse();
  const letter = createHash("sha256").update(readFileSync(values.letter)).digest("hex");
  const document = { case: id, ...recipientIn(values), letter };
  return await sendStep(posterOf(values), "notices/send", document, document, [`sent: letter ${letter}`]);
}

/** Ends a notice that is not needed. */
export async function casesNoticesWaive(args: readonly string[]): Promise<number> {
  const { values, name: id } = readNamedCall(args, { ...noticeOptions, reason: { type: "string" } });
  if (values.reason === undefined) throw new Misuse();
  const recipient = recipientIn(values);
  const document = { case: id, ...recipient, why: readFileSync(values.reason, "utf8").trim() };
  return await sendStep(posterOf(values), "notices/waive", document, { case: id, ...recipient }, [
    "not needed",
  ]);
}

/** The recipient of a notice: a person or a holder. */
function recipientIn({ person, holder }: { readonly person?: string; readonly holder?: string }): {
  readonly kind: CaseNotice["kind"];
  readonly recipient: string;
} {
  const recipient = person ?? holder;
  if (recipient === undefined || (person !== undefined && holder !== undefined)) throw new Misuse();
  return { kind: person === undefined ? "holder" : "person", recipient };
}

const lineOf = (notice: CaseNotice): string => `${notice.kind} ${notice.recipient}: ${noticeWords(notice)}`;
