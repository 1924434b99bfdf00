import { test } from "vitest";
import { Facts } from "#fhir/json/facts";
import type { OriginQuestion } from "#fhir/ports";
import { utf8 } from "#kernel/encoded";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import type { Scopes } from "#identity/scopes";
import type { UserRelation } from "#policy/schema";
import { RememberedRelations } from "#gateway/facts/relations-at-origin";
import { ResolvedFacts } from "#gateway/facts/resolved-facts";
import { ConsentsUnknown } from "#policy/consent/consent-book";
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
const nameOf = (question: OriginQuestion) =>
  "path" in question ? `${question.path}?${question.query}` : question.link;

/** A session whose rows are judged by facts, the questions that it asked, and the calls for Consents. */
function scene(
  filed: Record<string, readonly FiledConsent[]> = {},
  {
    hasConsents = true,
    expected = undefined as string | undefined,
    ...relating
  }: {
    readonly hasConsents?: boolean;
    readonly expected?: string;
    readonly scopes?: Scopes;
    readonly user?: string;
    readonly users?: ReadonlySet<UserRelation>;
  } = {},
) {
  const [questions, calls, rereads]: [string[], (readonly string[])[], (readonly string[])[]] = [[], [], []];
  const state = { filed, isDown: false, mayHave: hasConsents };
  const consents: Consents = {
    mayHave: () => state.mayHave,
    consentsOf: async (_origin, patients) => {
      calls.push(patients);
      await Promise.resolve();
      if (state.isDown) return "unavailable";
      return new Map(patients.map((patient) => [patient, state.filed[patient] ?? []]));
    },
    applyFiled: () => {},
    reread: (_origin, patients) => void rereads.push(patients),
  };
  const session = sessionOf(async (question) => {
    questions.push(nameOf(question));
    const body = (async function* () {
      yield ok(utf8('{"resourceType":"Bundle","type":"searchset"}'));
    })();
    return ok({ kind: "answered", body, base });
  });
  const facts = new ResolvedFacts(
    {
      policy: { users: relating.users ?? new Set(), labels: { throughReferences: true } },
      who: {
        scopes: relating.scopes ?? [],
        purpose: "TREAT",
        patient: expected,
        user: relating.user,
        patientIsUser: false,
        client: { id: "client" },
      },
      interaction: { kind: "capabilities" },
      origin: { name: "main", base: session.base, apart: () => session.apart() },
      traits: undefined,
      at: instant(0),
    },
    {
      consents,
      consentReadings: { bringUpToDate: async () => true },
      relations: new RememberedRelations(),
    },
    () => err({ reason: "outside_patient_compartment", type: "Task" }),
    () => [],
  );
  const book = facts.books.consents;
  session.judgeBy(facts);
  /** Answers whether Consents permit the row, once its facts are known. */
  const judged = async (patient: string) => {
    const needs = () => {
      const patients = book.lacking(row(patient), base);
      return patients.length === 0 ? undefined : { patients, referred: [], targets: [] };
    };
    const known = await session.know(needs);
    return known.ok ? book.of(row(patient), base).permit(honoured) : known.error.reason;
  };
  return { session, facts, book, judged, questions, calls, rereads, state };
}

test("a row is judged once the Consents of its patient are known, and each patient is asked for once", async ({
  expect,
}) => {
  const { judged, calls, book } = scene({ b: [denial] });
  expect(() => book.of(row("b"), base)).toThrow(ConsentsUnknown);
  expect([await judged("a"), await judged("b"), await judged("b")]).toEqual([true, false, false]);
  expect(calls).toEqual([["a"], ["b"]]);
});

test("rows that are read side by side ask for each patient once", async ({ expect }) => {
  const { judged, calls } = scene({ b: [denial] });
  expect(await Promise.all([judged("b"), judged("b"), judged("a")])).toEqual([false, false, true]);
  expect(calls).toEqual([["b"], ["a"]]);
});

test("an origin without Consents is asked for none, and every row counts as permitted", async ({
  expect,
}) => {
  const { judged, calls, facts, state } = scene({}, { hasConsents: false, expected: "a" });
  expect([await judged("a"), await judged("b"), await facts.stand()]).toEqual([true, true, true]);
  expect(calls).toEqual([]);
  state.mayHave = true;
  expect(await facts.stand(), "the first Consent of the origin ends the answer").toBe(false);
});

test("the Consents of the patients in the question are asked for beside the first question", async ({
  expect,
}) => {
  const { session, judged, calls, questions, state } = scene({ b: [denial] }, { expected: "b" });
  state.isDown = true;
  const question = { path: "Observation/o", query: "" };
  expect(await session.read(question)).toEqual(err({ reason: "consents_unavailable" }));
  state.isDown = false;
  await Promise.all([session.ask(question), session.ask(question)]);
  expect([await judged("b"), questions.length, calls]).toEqual([false, 3, [["b"], ["b"]]]);
});

test("Consents that cannot be read end a reading, and a changed Consent ends an answer", async ({
  expect,
}) => {
  const { judged, facts, state } = scene();
  state.isDown = true;
  expect(await judged("a")).toBe("consents_unavailable");
  state.isDown = false;
  expect([await judged("a"), await facts.stand()]).toEqual([true, true]);
  state.filed = { a: [denial] };
  expect(await facts.stand()).toBe(false);
  state.filed = {};
  state.isDown = true;
  expect(await facts.stand()).toBe(false);
});

test("a Consent let nothing through of a row that a further patient's Consent hides", ({ expect }) => {
  const { book } = scene();
  const rules = readConsent(consent({ type: "permit" }), base);
  book.learn(
    ["dana", "emma"],
    new Map([
      ["dana", [{ ...denial, digest: "p", consent: "p", rules }]],
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

test("a record names the statements about its own patients, and of no patient beside them", ({ expect }) => {
  const { book } = scene();
  const statement = { kind: "disagreement", rows: ["Observation/o"], messages: [] } as const;
  const stating = (active: boolean) => ({
    ...denial,
    digest: "s",
    rules: { isActive: active, readings: [], statement },
  });
  book.learn(
    ["dana", "emma", "fay"],
    new Map([
      ["dana", [stating(true)]],
      ["emma", [denial]],
      ["fay", [stating(false)]],
    ]),
  );
  const digests = (patient: string) => book.statingOf(patient).map(({ digest }) => digest);
  expect(["dana", "emma", "fay", "nobody"].map(digests)).toEqual([["s"], [], [], []]);
  expect(book.permitting, "a statement permits nothing").toEqual([]);
});

test("after a filing of the request itself rows are judged by the Consents that are read anew", async ({
  expect,
}) => {
  const { facts, judged, state, calls, rereads } = scene();
  expect(await judged("a")).toBe(true);
  state.filed = { a: [denial] };
  expect(await judged("a"), "known").toBe(true);
  facts.judgeAnew();
  expect([facts.generation, await facts.stand()]).toEqual([1, true]);
  expect(await judged("a")).toBe(false);
  expect([await judged("b"), await judged("b")], "a patient whom the book did not know yet").toEqual([
    true,
    true,
  ]);
  expect(rereads, "each patient is read anew, once").toEqual([["a"], ["b"]]);
  expect([calls.length, await facts.stand()]).toEqual([3, true]);
  state.filed = {};
  expect(await facts.stand(), "a later change ends the answer").toBe(false);
});

test("a request follows 5,000 resources of its rows in their order, and names the rows that refer to more", async ({
  expect,
}) => {
  const { session, questions } = scene({}, { hasConsents: false });
  const lacking = (from: number, count: number) => {
    const referred = Array.from({ length: count }, (_, index) => `Encounter/${from + index}`);
    const needs = { patients: [], referred, targets: [] };
    return { needs, again: () => needs };
  };
  const rows = Array.from({ length: 10 }, (_, index) => lacking(index * 500, 500));
  const beyond = [lacking(4_999, 2), lacking(0, 1)];
  expect(await session.resolve([...rows, ...beyond])).toEqual(ok(new Set([10])));
  expect(questions.length, "fifty ids each").toBe(100);
  expect(await session.resolve([lacking(6_000, 1)]), "for the rest of the request").toEqual(ok(new Set([0])));
});

test("a request asks for the relation to 5,000 patients of its rows, and names the rows beyond", async ({
  expect,
}) => {
  const scopes = [{ context: "user", type: "*", permissions: ["r"], filters: [] }] as const;
  const { session, questions } = scene(
    {},
    { hasConsents: false, scopes, user: "Practitioner/vera", users: new Set(["practitioner"]) },
  );
  const lacking = (from: number) => {
    const related = Array.from({ length: 50 }, (_, index) => `p${from + index}`);
    return { needs: { related, patients: [], referred: [], targets: [] }, again: () => undefined };
  };
  const rows = Array.from({ length: 101 }, (_, index) => lacking(index * 50));
  expect(await session.resolve(rows)).toEqual(ok(new Set([100])));
  expect(questions.filter((question) => question.startsWith("Patient?")).length, "a hundred ids each").toBe(
    50,
  );
});

test("a row whose targets name a patient is judged by the relation to this patient, and then by the patient's Consents", async ({
  expect,
}) => {
  const scopes = [{ context: "user", type: "*", permissions: ["r"], filters: [] }] as const;
  const user = { scopes, user: "Practitioner/vera", users: new Set(["practitioner"] as const) };
  const { session, questions, calls } = scene({}, user);
  const none = { patients: [], referred: [], targets: [] };
  const lacking = [
    { ...none, targets: ["Observation/o"] },
    { ...none, related: ["ann"] },
    { ...none, patients: ["ann"] },
    undefined,
  ];
  await session.resolve([{ needs: lacking.shift(), again: () => lacking.shift() }]);
  expect(questions.filter((question) => question.startsWith("Patient?_id=ann&"))).toHaveLength(1);
  expect([calls, lacking]).toEqual([[["ann"]], []]);
});
