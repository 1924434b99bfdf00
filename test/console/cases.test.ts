import { test } from "vitest";
import * as z from "zod";
import { htmlText } from "#console/answers";
import { addCases } from "#console/operations/cases";
import type { PageContent } from "#console/page-maker";
import type { ConsolePorts } from "#console/ports";
import type { ConsoleVisit } from "#console/visit";
import { err, ok } from "#kernel/result";
import { denialGrounds, type ListedCase } from "#registry/case-document";
import { dueDays } from "#registry/cases/case-days";
import { nobodySignsIn } from "../support/admin-door.ts";
import { at } from "../support/credentials.ts";

const [id, letter] = ["a".repeat(32), "b".repeat(64)];
const days = 86_400_000;
const open: ListedCase = {
  id,
  receivedAt: at - 50 * days,
  due: dueDays(at - 50 * days, false).act,
  requestId: "request",
  client: "app",
  origin: "clinic",
  patient: "Patient/1",
  resource: "Communication/1",
  extendedAt: null,
  extendedBy: null,
  extensionLetter: null,
  amendedAt: null,
  amendedBy: null,
  amendedRequest: null,
  amendedRows: null,
  decidedAt: null,
  decidedBy: null,
  decision: null,
  reasons: null,
  denialLetter: null,
  disputed: ["Observation/1"],
  statedAt: null,
  statedBy: null,
  statement: null,
  informedBy: null,
  disagreements: [],
  statementAs: [],
};
const denied: ListedCase = {
  ...open,
  decidedAt: at,
  decidedBy: "officer",
  decision: "denied",
  reasons: ["accurate-and-complete"],
  denialLetter: letter,
};

/** The pages over a list of cases; `ran` has each verb with its document. */
function pagesOf(cases: readonly ListedCase[], refuses = false) {
  const ran: (readonly [string, unknown])[] = [];
  const answers = new Map<string, (visit: ConsoleVisit, form: URLSearchParams) => Promise<PageContent>>();
  addCases({ admin: nobodySignsIn } as unknown as ConsolePorts, {
    show: (path, _, render) => void answers.set(path, render),
    step: (path, _, act) => void answers.set(path, act),
  });
  const run: ConsoleVisit["run"] = async (verb, { document } = {}) => {
    const sent: unknown = JSON.parse(JSON.stringify(document));
    ran.push([verb.interaction, sent]);
    const isRead = verb.document !== undefined && z.safeParse(verb.document, sent).success;
    if (verb.interaction === "list-cases") return ok({ cases });
    if (isRead && !refuses) return ok({ case: id });
    return err({
      status: 422,
      title: "Unprocessable Content",
      requestId: "r",
      detail: "is missing or malformed",
    });
  };
  const ask = async (path: string, address = path, form = "") => {
    const url = new URL(`https://ops.example.org${address}`);
    const visit = { url, at, session: { formToken: "token" }, run } as unknown as ConsoleVisit;
    const made = await answers.get(path)?.(visit, new URLSearchParams(form));
    if (made === undefined || made instanceof Response) throw new Error("no page");
    return { status: made.status ?? 200, text: htmlText(made.content as never) };
  };
  return { ask, ran };
}

test("the list shows the nearest last day first, with the days until it", async ({ expect }) => {
  const late = {
    ...open,
    id: "c".repeat(32),
    receivedAt: at - 70 * days,
    due: dueDays(at - 70 * days, false).act,
  };
  const { ask, ran } = pagesOf([open, late]);
  const { text } = await ask("/console/cases");
  expect(ran).toEqual([["list-cases", { state: "open" }]]);
  expect(text.indexOf(late.id)).toBeLessThan(text.indexOf(open.id));
  expect(text).toMatch(/badge bad">ended 9 days ago/u);
  expect(text).toMatch(/badge warn">10 days left/u);
  expect(text).toContain("open, late");
});

test.for([
  ["confirm", "request=Communication/7", { request: "Communication/7" }],
  ["void", "why=No+such+row", { why: "No such row" }],
  ["extend", `letter=${letter}`, { letter }],
  ["accept", "", {}],
  [
    "deny",
    `ground=not-created-here&ground=accurate-and-complete&partly=true&letter=${letter}`,
    { grounds: ["not-created-here", "accurate-and-complete"], partly: true, letter },
  ],
  [
    "state",
    "rows=Observation/1%0D%0ACondition/2%0D%0A&elements=valueString&summary=Fine&statement=Communication/7&rebuttal=Communication/8&denial=",
    {
      kind: "disagreement",
      rows: ["Observation/1", "Condition/2"],
      elements: ["valueString"],
      summary: "Fine",
      statement: "Communication/7",
      rebuttal: "Communication/8",
    },
  ],
  [
    "state",
    "rows=&elements=&summary=&statement=&rebuttal=&denial=",
    { kind: "request-and-denial", rows: [] },
  ],
  ["unstate", "why=Filed+twice", { why: "Filed twice" }],
  ["find", "patients=Patient%2Fold", { patients: ["Patient/old"] }, "find-notices"],
  ["name", "recipient=Dr.+Ada+Wu", { recipient: "Dr. Ada Wu" }, "name-notice"],
  [
    "sent",
    `notice=person+Dr.+Ada+Wu&letter=${letter}`,
    { kind: "person", recipient: "Dr. Ada Wu", letter },
    "send-notice",
  ],
  [
    "waive",
    "notice=holder+payer&why=It+does+not+rely+on+it",
    { kind: "holder", recipient: "payer", why: "It does not rely on it" },
    "waive-notice",
  ],
] as const)(
  "the form of %s %j asks for the verb of the command",
  async ([step, form, says, verb], { expect }) => {
    const { ask, ran } = pagesOf([denied]);
    const path = `/console/cases/${step}`;
    const { status, text } = await ask(path, path, `form=token&case=${id}&${form}`);
    expect(ran).toEqual([
      [verb ?? `${step}-case`, { case: id, ...says }],
      ["list-cases", { case: id }],
    ]);
    expect(status).toBe(200);
    expect(text).toContain('role="status"');
  },
);

test("the form of another entity's notice opens a case, and shows it", async ({ expect }) => {
  const form =
    "origin=clinic&patient=Patient%2F1&notice=Communication%2F9&from=Lagos+Clinic&rows=Observation%2F1";
  const { ask, ran } = pagesOf([open]);
  expect((await ask("/console/cases")).text).toContain('action="/console/cases/open"');
  ran.length = 0;
  const path = "/console/cases/open";
  const { status, text } = await ask(path, path, form);
  const [rows, from] = [["Observation/1"], "Lagos Clinic"];
  expect(ran).toEqual([
    ["open-case", { origin: "clinic", patient: "Patient/1", notice: "Communication/9", from, rows }],
    ["list-cases", { case: id }],
  ]);
  expect([status, text.includes('role="status"')]).toEqual([200, true]);
  const refused = await pagesOf([open]).ask(path, path, form.replace("Communication", "Patient"));
  expect(refused.status).toBe(422);
});

test("a step without its letter, ground or reason is refused on the page of its case", async ({ expect }) => {
  for (const [step, form] of [
    ["extend", "letter="],
    ["deny", `letter=${letter}`],
    ["deny", `ground=because&letter=${letter}`],
    ["unstate", "why=+"],
    ["void", "why=+"],
    ["name", "recipient=%3Cscript%3E"],
    ["sent", `notice=payer&letter=${letter}`],
    ["sent", "notice=holder+payer&letter=letter"],
    ["waive", "notice=holder+payer&why="],
    ["confirm", "request=Patient/1"],
    ["state", "rows=&summary=%3Cscript%3E&elements=status"],
  ] as const) {
    const path = `/console/cases/${step}`;
    const { status, text } = await pagesOf([open]).ask(path, path, `case=${id}&${form}`);
    expect([status, text.includes('role="alert"'), text.includes(id)], step).toEqual([422, true, true]);
  }
});

test("a case shows exactly the steps that its state permits, and the four grounds", async ({ expect }) => {
  const stepsOf = async (found: ListedCase) => {
    const { text } = await pagesOf([found]).ask("/console/cases/:id", `/console/cases/${id}`);
    return [...text.matchAll(/action="\/console\/cases\/(\w+)"/gu)].map(([, step]) => step);
  };
  expect(await stepsOf(open)).toEqual(["accept", "deny", "extend"]);
  expect(await stepsOf({ ...open, resource: null })).toEqual(["confirm", "void", "accept", "deny", "extend"]);
  expect(await stepsOf({ ...open, extendedAt: at })).toEqual(["accept", "deny"]);
  const notice = { ...open, informedBy: "Lagos Clinic" };
  expect(await stepsOf(notice), "another entity's notice is not denied").toEqual(["void", "accept"]);
  expect(await stepsOf({ ...notice, amendedAt: at })).toEqual(["accept"]);
  const accepted: ListedCase = { ...open, decision: "accepted" };
  const due = {
    kind: "holder" as const,
    recipient: "payer",
    notedAt: at,
    notedBy: "ada",
    lastAt: at,
    purposes: ["TREAT"],
  };
  const still = { endedAt: null, endedBy: null, letter: null, reason: null };
  expect(await stepsOf(accepted)).toEqual(["find", "name"]);
  expect(await stepsOf({ ...accepted, notices: [{ ...due, ...still }] })).toEqual([
    "find",
    "name",
    "sent",
    "waive",
  ]);
  const ended = { ...still, endedAt: at, endedBy: "ada", letter };
  expect(await stepsOf({ ...accepted, notices: [{ ...due, ...ended }] })).toEqual(["find", "name"]);
  expect(await stepsOf(denied)).toEqual(["state"]);
  const statement = { kind: "disagreement", rows: ["Observation/1"], messages: [] };
  expect(await stepsOf({ ...denied, statement })).toEqual(["unstate"]);
  const { text } = await pagesOf([open]).ask("/console/cases/:id", `/console/cases/${id}`);
  expect([...text.matchAll(/name="ground" value="([^"]*)"/gu)].map(([, ground]) => ground)).toEqual(
    denialGrounds,
  );
});

test("a script in a case is text, and an unknown case is a missing page", async ({ expect }) => {
  const script = "<script>alert(1)</script>";
  const statement = {
    kind: script,
    rows: [script],
    elements: [script],
    summary: script,
    messages: [{ role: script, reference: script }],
  };
  const evil = {
    ...denied,
    client: script,
    patient: script,
    origin: script,
    disputed: [script],
    statement,
    statedAt: at,
  };
  const pages = pagesOf([evil]);
  for (const text of [
    (await pages.ask("/console/cases/:id", `/console/cases/${id}`)).text,
    (await pages.ask("/console/cases")).text,
  ]) {
    expect(text).not.toContain("<script>");
    expect(text).toContain("&lt;script&gt;");
  }
  expect((await pagesOf([]).ask("/console/cases/:id", `/console/cases/${id}`)).status).toBe(404);
});
