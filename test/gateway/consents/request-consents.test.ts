import { test } from "vitest";
import { Facts } from "#fhir/json/facts";
import { utf8 } from "#kernel/encoded";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import { RequestConsents } from "#gateway/consents/request-consents";
import { ConsentBook } from "#policy/consent/consent-book";
import type { Consents } from "#policy/consent/consents";
import type { FiledConsent } from "#policy/consent/decide-by-consents";
import { readConsent } from "#policy/consent/read-consent";
import { consent } from "../../policy/consent/scene.ts";
import { sessionOf } from "../../support/origin-session.ts";

const base = "https://origin.example/fhir";
const row = (patient: string) =>
  Facts.of({ resourceType: "Observation", id: "o", subject: { reference: `Patient/${patient}` } }, [
    ["resourceType"],
    ["subject"],
  ]);
const denial: FiledConsent = {
  digest: "d",
  rules: readConsent(consent({ type: "deny" }), base),
  consent: "c",
  filedAt: instant(0),
  mayPermit: true,
};
const honoured = { base: "honoured", combining: "deny-overrides" } as const;

/** A session whose rows are judged by Consents, the questions that it asked, and the calls for Consents. */
function scene(filed: Record<string, readonly FiledConsent[]>) {
  const [questions, calls, rereads]: [string[], (readonly string[])[], (readonly string[])[]] = [[], [], []];
  const state = { filed, isDown: false };
  const consents: Consents = {
    mayHave: () => true,
    consentsOf: async (_origin, patients) => {
      calls.push(patients);
      if (state.isDown) return "unavailable";
      return new Map(patients.map((patient) => [patient, state.filed[patient] ?? []]));
    },
    reread: (_origin, patients) => void rereads.push(patients),
  };
  const nobody = { references: new Set<string>(), identifiers: new Set<string>() };
  const request = {
    recipient: nobody,
    holder: nobody,
    purpose: "TREAT",
    at: instant(0),
  } as const;
  const book = new ConsentBook({ request, individual: undefined, publicBase: "https://gateway.example" });
  const session = sessionOf(async (question) => {
    questions.push("path" in question ? question.path : question.link);
    const body = (async function* () {
      yield ok(utf8("{}"));
    })();
    return ok({ kind: "answered", body, base });
  });
  const known = new RequestConsents(book, consents, "main", "client");
  session.judgeBy(known);
  return { session, book, known, questions, calls, rereads, state };
}

test("a reading that rests on an unknown patient begins again with the same answers, and without a trace", async ({
  expect,
}) => {
  const { session, book, questions, calls } = scene({ b: [denial] });
  let attempts = 0;
  const read = async (patient: string) => {
    attempts += 1;
    const answer = await session.read({ path: "Observation/o", query: "" });
    if (!answer.ok) return answer;
    const isPermitted = book.of(row(patient), base).permit(honoured);
    const decided = { type: "Observation", id: `o${attempts}`, patients: new Set([patient]) };
    session.names.concerned.decide({ ...decided, unseen: new Set<string>(), room: 0, unnamed: false });
    return ok(isPermitted);
  };
  expect(await session.decided(() => read("a"))).toEqual(ok(true));
  expect([attempts, questions.length, calls]).toEqual([1, 1, [["a"]]]);
  expect(await session.decided(() => read("b"))).toEqual(ok(false));
  expect([attempts, questions.length, calls]).toEqual([3, 2, [["a"], ["b"]]]);
  expect(session.names.concerned.alone()?.counts).toEqual({});
  expect(session.names.concerned.alone()?.room.counts, "the first attempt left nothing").toEqual({
    Observation: 2,
  });
  expect(await session.decided(() => read("b")), "known").toEqual(ok(false));
  expect(calls.length).toBe(2);
});

test("no question to the origin follows from a decision that is not final", async ({ expect }) => {
  const { session, book, questions } = scene({ b: [denial] });
  const result = await session.decided(async () => {
    const first = await session.read({ path: "Observation/o", query: "" });
    if (!first.ok) return first;
    if (!book.of(row("b"), base).permit(honoured)) return ok("hidden");
    const next = await session.read({ path: "Patient/b", query: "" });
    return next.ok ? ok("shown") : next;
  });
  expect(result).toEqual(ok("hidden"));
  expect(questions).toEqual(["Observation/o"]);
});

test("Consents that cannot be read end a reading, and a changed Consent ends an answer", async ({
  expect,
}) => {
  const { session, book, state, known } = scene({});
  const read = async () => ok(book.of(row("a"), base).permit(honoured));
  state.isDown = true;
  expect(await session.decided(read)).toEqual(err({ reason: "consents_unavailable" }));
  expect(session.isDecided).toBe(false);
  state.isDown = false;
  expect(await session.decided(read)).toEqual(ok(true));
  expect(session.isDecided).toBe(true);
  expect(await session.consentsStand()).toBe(true);
  state.filed = { a: [denial] };
  expect(await known.stand()).toBe(false);
  state.filed = {};
  state.isDown = true;
  expect(await session.consentsStand()).toBe(false);
});

test("a Consent let nothing through of a row that a further patient's Consent hides", ({ expect }) => {
  const { book } = scene({});
  const permit = {
    ...denial,
    digest: "p",
    consent: "p",
    rules: readConsent(consent({ type: "permit" }), base),
  };
  book.learn(
    ["dana", "emma"],
    new Map([
      ["dana", [permit]],
      ["emma", [denial]],
    ]),
  );
  const both = Facts.of(
    {
      resourceType: "Observation",
      id: "o",
      subject: { reference: "Patient/dana" },
      performer: [{ reference: "Patient/emma" }],
    },
    [["resourceType"], ["subject"], ["performer"]],
  );
  expect([book.of(both, base).permit(honoured), book.of(both, base).denial(honoured)]).toEqual([
    false,
    expect.objectContaining({ digest: "d" }),
  ]);
  expect(book.permitting).toEqual([]);
  expect(book.of(row("dana"), base).permit(honoured)).toBe(true);
  expect(book.permitting).toEqual([expect.objectContaining({ digest: "p", patient: "dana" })]);
});

test("after a filing of the request itself rows are judged by the Consents that are read anew", async ({
  expect,
}) => {
  const { session, book, state, calls, rereads } = scene({});
  const read = async () => ok(book.of(row("a"), base).permit(honoured));
  expect(await session.decided(read)).toEqual(ok(true));
  state.filed = { a: [denial] };
  expect(await session.decided(read), "known").toEqual(ok(true));
  session.judgeAnew();
  expect([session.generation, session.isDecided, await session.consentsStand()]).toEqual([1, true, true]);
  expect(await session.decided(read)).toEqual(ok(false));
  const readOfB = async () => ok(book.of(row("b"), base).permit(honoured));
  expect(await session.decided(readOfB), "a patient whom the book did not know yet").toEqual(ok(true));
  expect(await session.decided(readOfB)).toEqual(ok(true));
  expect(rereads, "each patient is read anew, once").toEqual([["a"], ["b"]]);
  expect([calls.length, await session.consentsStand()]).toEqual([3, true]);
  state.filed = {};
  expect(await session.consentsStand(), "a later change ends the answer").toBe(false);
});
