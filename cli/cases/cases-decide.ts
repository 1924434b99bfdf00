import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { parseArgs } from "node:util";
import * as z from "zod";
import { denialGrounds, type DenialGround } from "#registry/case-document";
import { dueDays } from "#registry/cases/case-days";
import { letterFacts, letterFrom, letterParts, type LetterFacts } from "#registry/cases/case-letter";
import { Misuse, UnusableFile } from "../misuse.ts";
import {
  postAsOperator,
  posterOf,
  posterOptions,
  refusalLine,
  type Poster,
} from "../connection/operator-post.ts";
import { complain, giveResult, say } from "../output.ts";
import { readNamedCall } from "../read-call.ts";
import { writePrivateFile } from "../private-file.ts";
import { caseNamed } from "./cases-list.ts";

const letterOptions = {
  ...posterOptions,
  template: { type: "string" },
  letter: { type: "string" },
} as const;

/** Extends the time of a case by 30 days, once, and writes the letter with the reason and the date. */
export async function casesExtend(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...letterOptions, reason: { type: "string" } },
  });
  const id = onlyOne(positionals);
  const { template, letter, reason } = values;
  if (template === undefined || letter === undefined || reason === undefined) throw new Misuse();
  return await withFault(async () => {
    const poster = posterOf(values);
    const { receivedAt } = await caseNamed(poster, id);
    const facts = letterFacts("extension", { id, receivedAt, now: Date.now() }, textOf(reason), []);
    const text = letterOf(template, "extension", facts);
    const done = `extended to ${dueDays(receivedAt, true).act}`;
    return await sendWithLetter(poster, "extend", { case: id }, letter, text, done);
  });
}

/** Denies a request, or a part of it, and writes the letter to the individual. */
export async function casesDeny(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...letterOptions,
      ground: { type: "string", multiple: true, default: [] },
      explanation: { type: "string" },
      partly: { type: "boolean", default: false },
    },
  });
  const id = onlyOne(positionals);
  const { template, letter, ground, explanation, partly } = values;
  const grounds = ground.filter(isGround);
  if (
    template === undefined ||
    letter === undefined ||
    grounds.length === 0 ||
    grounds.length < ground.length
  )
    throw new Misuse();
  return await withFault(async () => {
    const poster = posterOf(values);
    const { receivedAt } = await caseNamed(poster, id);
    const words = explanation === undefined ? "" : textOf(explanation);
    const facts = letterFacts("denial", { id, receivedAt, now: Date.now() }, words, grounds);
    const text = letterOf(template, "denial", facts);
    const document = { case: id, grounds, partly };
    return await sendWithLetter(poster, "deny", document, letter, text, partly ? "denied in part" : "denied");
  });
}

/** Accepts a request whose amendment was written through the gateway. */
export async function casesAccept(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: posterOptions,
  });
  const id = onlyOne(positionals);
  return await withFault(() =>
    sendStep(posterOf(values), "accept", { case: id }, { case: id, decision: "accepted" }, [
      "accepted",
      "now inform the individual, and ask whom else to inform: 45 CFR 164.526(c)(2) and (3)",
      `\`phylax cases notices find ${id}\` finds who got the information before`,
    ]),
  );
}

/** Names the stored request of an unconfirmed case. */
export async function casesConfirm(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...posterOptions, request: { type: "string" } },
  });
  const id = onlyOne(positionals);
  const { request } = values;
  if (request === undefined) throw new Misuse();
  const document = { case: id, request };
  return await withFault(() => sendStep(posterOf(values), "confirm", document, document, ["confirmed"]));
}

/** Opens a case for a notice by which another entity tells of its amendment. */
export async function casesOpen(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...posterOptions,
      origin: { type: "string" },
      patient: { type: "string" },
      notice: { type: "string" },
      from: { type: "string" },
      row: { type: "string", multiple: true, default: [] },
    },
  });
  const { origin, patient, notice, from, row } = values;
  const isWhole = ![origin, patient, notice, from].includes(undefined);
  if (positionals.length > 0 || !isWhole) throw new Misuse();
  const document = JSON.stringify({ origin, patient, notice, from, rows: row });
  const reply = await postAsOperator(posterOf(values), "api/cases/open", document);
  if (reply.status !== 200) return refused(reply);
  const opened = z.object({ case: z.string() }).parse(reply.body);
  giveResult(opened);
  say(`the case is ${opened.case}: amend the record, then accept the case`);
  return 0;
}

/** Removes a case without an answer, for a reason. */
export async function casesVoid(args: readonly string[]): Promise<number> {
  const { values, name: id } = readNamedCall(args, { ...posterOptions, reason: { type: "string" } });
  if (values.reason === undefined) throw new Misuse();
  const document = { case: id, why: textOf(values.reason) };
  return await sendStep(posterOf(values), "void", document, { case: id, voided: true }, ["void"]);
}

/** Files what follows later disclosures of the disputed rows of a denied case. */
export async function casesState(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...posterOptions,
      row: { type: "string", multiple: true, default: [] },
      element: { type: "string", multiple: true, default: [] },
      summary: { type: "string" },
      statement: { type: "string" },
      rebuttal: { type: "string" },
      denial: { type: "string" },
    },
  });
  const id = onlyOne(positionals);
  const { row, element, summary, statement, rebuttal, denial } = values;
  return await withFault(() => {
    const document = {
      case: id,
      kind: statement === undefined ? "request-and-denial" : "disagreement",
      rows: row,
      ...(element.length > 0 && { elements: element }),
      ...(summary !== undefined && { summary: textOf(summary) }),
      statement,
      rebuttal,
      denial,
    };
    return sendStep(posterOf(values), "state", document, { case: id, stated: true }, [
      "stated: read a disputed row to see what follows it",
    ]);
  });
}

/** Withdraws what follows later disclosures of the disputed rows. */
export async function casesUnstate(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...posterOptions, reason: { type: "string" } },
  });
  const id = onlyOne(positionals);
  const { reason } = values;
  if (reason === undefined) throw new Misuse();
  return await withFault(() =>
    sendStep(posterOf(values), "unstate", { case: id, why: textOf(reason) }, { case: id, unstated: true }, [
      "withdrawn: no later disclosure carries the statement",
    ]),
  );
}

/** Posts a step of a case, and says what it has done. Returns 0; 2 when the step is refused; 1 after a fault. */
export async function sendStep(
  poster: Poster,
  step: string,
  document: object,
  result: object,
  words: readonly string[],
): Promise<number> {
  const reply = await postAsOperator(poster, `api/cases/${step}`, JSON.stringify(document));
  if (reply.status !== 200) return refused(reply);
  giveResult(result);
  for (const line of words) say(line);
  return 0;
}

const isGround = (text: string): text is DenialGround => denialGrounds.some((ground) => ground === text);

function onlyOne([id, ...more]: readonly string[]): string {
  if (id === undefined || more.length > 0) throw new Misuse();
  return id;
}

async function withFault(act: () => Promise<number>): Promise<number> {
  return await act();
}

const textOf = (file: string): string => readFileSync(file, "utf8").trim();

function letterOf(template: string, kind: keyof typeof letterParts, facts: LetterFacts): string {
  const text = readFileSync(template, "utf8");
  try {
    return letterFrom(text, letterParts[kind], facts);
  } catch (fault) {
    throw new UnusableFile(`${template}: ${fault instanceof Error ? fault.message : String(fault)}`);
  }
}

/**
 * The letter is written before the step, so that no step lacks its letter. It goes if the step is refused, and stays if
 * nobody knows whether the step is done: a repeat with the same letter finds that out.
 */
async function sendWithLetter(
  poster: Poster,
  step: "extend" | "deny",
  document: { readonly case: string },
  file: string,
  text: string,
  done: string,
): Promise<number> {
  const isRepeat = existsSync(file);
  if (isRepeat && readFileSync(file, "utf8") !== text)
    throw new UnusableFile(`${file} exists: name a new file for the letter`);
  writePrivateFile(file, text);
  const letter = createHash("sha256").update(text).digest("hex");
  const reply = await postAsOperator(poster, `api/cases/${step}`, JSON.stringify({ ...document, letter }));
  if (reply.status !== 200) {
    const isUnknown = reply.status >= 500;
    const { extensionLetter, denialLetter } =
      isUnknown || isRepeat ? await caseNamed(poster, document.case) : {};
    if ({ extend: extensionLetter, deny: denialLetter }[step] !== letter) {
      if (isUnknown) complain(`repeat the command: ${file} stays, because the step may still be done`);
      else rmSync(file, { force: true });
      return refused(reply);
    }
  }
  giveResult({ ...document, file, letter });
  say(`${done}; the letter is in ${file}`);
  return 0;
}

function refused(reply: Parameters<typeof refusalLine>[0] & { readonly status: number }): number {
  complain(refusalLine(reply));
  return reply.status < 500 ? 2 : 1;
}
