import { RowBarrier } from "#fhir/row-barrier";
import { test } from "vitest";
import type { OriginCapabilities, OriginQuestion } from "#fhir/ports";
import { utf8 } from "#kernel/encoded";
import { err, ok } from "#kernel/result";
import { consentsAtOrigin } from "#gateway/facts/consents-at-origin";
import { HeldBytes } from "#gateway/origin/held-bytes";
import { nothingToResolve } from "#gateway/origin/asking";
import { unreadConsents } from "#policy/consent/unread-consents";
import { consent } from "../../policy/consent/scene.ts";

const base = "https://origin.example/fhir";
const of = (id: string, patient: object, more: object = {}) => ({
  ...consent({ type: "deny" }),
  id,
  patient,
  ...more,
});
const noTraits = async () => undefined;
const to = (patient: string) => ({ reference: `Patient/${patient}` });

/** An origin with these pages of rows, and the questions that it got. */
function origin(...pages: readonly (readonly object[] | "down")[]) {
  const questions: OriginQuestion[] = [];
  const ask = async (question: OriginQuestion) => {
    const page = questions.push(question) - 1;
    const rows = pages[page] ?? "down";
    if (rows === "down") return err({ reason: "origin_unreachable" } as const);
    const link = page + 1 < pages.length ? [{ relation: "next", url: `${base}?page=${page + 1}` }] : [];
    const entry = rows.map((resource) => ({ resource, search: { mode: "match" } }));
    const bundle = { resourceType: "Bundle", type: "searchset", link, entry };
    const body = (async function* () {
      yield ok(utf8(JSON.stringify(bundle)));
    })();
    return ok({ kind: "answered", body, base } as const);
  };
  return {
    asking: { ...nothingToResolve, ask, held: new HeldBytes(), barrier: new RowBarrier(), traits: noTraits },
    questions,
  };
}
/** An origin that answers by the patients of the question, on a single page. */
const having = (
  counts: Readonly<Record<string, number>>,
  patientOf: (patient: string) => object = to,
  /** A further row for a patient. */
  more: Readonly<Record<string, object>> = {},
) => {
  const questions: string[] = [];
  const ask = async (question: OriginQuestion) => {
    const query = "query" in question ? question.query : "";
    const asked = /patient=(?<patients>[^&]*)/u.exec(query)?.groups?.["patients"]?.split(",") ?? [];
    questions.push(asked.join());
    const rows = asked.flatMap((patient): readonly object[] => {
      const usual: object[] = Array.from({ length: counts[patient] ?? 0 }, (_, n) =>
        of(`${patient}-${n}`, patientOf(patient)),
      );
      return more[patient] === undefined ? usual : usual.concat(more[patient]);
    });
    const entry = rows.map((resource) => ({ resource, search: { mode: "match" } }));
    const link = [{ relation: "self", url: base }];
    const bundle = { resourceType: "Bundle", type: "searchset", link, entry };
    const body = (async function* () {
      yield ok(utf8(JSON.stringify(bundle)));
    })();
    return ok({ kind: "answered", body, base } as const);
  };
  return {
    asking: { ...nothingToResolve, ask, held: new HeldBytes(), barrier: new RowBarrier(), traits: noTraits },
    questions,
  };
};
const nested = (depth: number): object => {
  let value = {};
  for (let level = 0; level < depth; level++) value = { value };
  return value;
};
const idsAt = async (patients: readonly string[], ...pages: readonly (readonly object[] | "down")[]) =>
  (await consentsAtOrigin(patients, origin(...pages).asking))?.map(({ consent: id }) => id);

test("all pages of a single posted search are read, and Consents of further patients are left out", async ({
  expect,
}) => {
  const there = origin([of("1", to("a"))], [of("2", to("z")), of("3", { reference: `${base}/Patient/b` })]);
  const found = await consentsAtOrigin(["a", "b"], there.asking);
  expect(found).toMatchObject([
    { consent: "1", content: { patient: "a" }, mayPermit: false, filedBy: undefined },
    { consent: "3", content: { patient: "b" }, mayPermit: false, filedBy: undefined },
  ]);
  expect(there.questions[0]).toEqual({
    path: "Consent",
    query: "patient=a,b&_count=200",
    posted: true,
  });
});

test("an answer that is not whole is no answer", async ({ expect }) => {
  expect(await idsAt(["a"], "down")).toBeUndefined();
  expect(await idsAt(["a"], [of("1", to("a"))], "down"), "the second page").toBeUndefined();
});

test("a row that is not understood stands for a denial of everything of its own patient, and of nobody else", async ({
  expect,
}) => {
  const strange = {
    "a resource of another type": { resourceType: "Patient", id: "p" },
    "a Consent without an id": of("not an id", to("b")),
    "a row that cannot be read": nested(2_000),
  };
  for (const [what, row] of Object.entries(strange)) {
    const there = having({ a: 1, b: 1, c: 1 }, to, { b: row });
    const found = await consentsAtOrigin(["a", "b", "c"], there.asking, "origin");
    expect(found, what).toMatchObject([
      { consent: "a-0", mayPermit: true },
      { consent: "b/unread", mayPermit: false, content: { patient: "b", rules: unreadConsents } },
      { consent: "c-0", mayPermit: true },
    ]);
    expect(there.questions, what).toEqual(["a,b,c", "a,b", "c", "a", "b"]);
  }
});

test("a row that is not understood and that an origin sends whatever the criterion is no answer, after few searches", async ({
  expect,
}) => {
  const there = having({}, to, Object.fromEntries(hundred.map((id) => [id, { resourceType: "Patient" }])));
  expect(await consentsAtOrigin(hundred, there.asking)).toBeUndefined();
  expect(there.questions.length).toBe(33);
});

test("a Consent without a reference belongs to the only patient who was asked for; of several it is not known", async ({
  expect,
}) => {
  const unnamed = { identifier: { system: "urn:mrn", value: "1" } };
  expect(await idsAt(["a"], [of("1", unnamed)])).toEqual(["1"]);
  expect(await idsAt(["a", "b"], [of("1", unnamed)])).toBeUndefined();
  expect(await idsAt(["a", "b"], [of("1", unnamed, { status: "inactive" })]), "not in force").toEqual([]);
});

test("a Consent that names no patient of the origin never permits: it may be of a further patient", async ({
  expect,
}) => {
  const isVerified = { verification: [{ verified: true }] };
  const others = [
    of("mrn", { identifier: { system: "urn:mrn", value: "1" } }, isVerified),
    of("foreign", { reference: "https://elsewhere.example/fhir/Patient/a" }, isVerified),
    of("urn", { reference: "urn:uuid:6f3f7a52-6c0b-4a75-9a8e-0f1c43f43d36" }, isVerified),
    of("own", to("a"), isVerified),
  ];
  for (const verified of ["origin", "verification"] as const) {
    const found = await consentsAtOrigin(["a"], origin(others).asking, verified);
    expect(found?.map(({ consent: id, content, mayPermit }) => [id, content?.patient, mayPermit])).toEqual([
      ["mrn", "a", false],
      ["foreign", "a", false],
      ["urn", "a", false],
      ["own", "a", true],
    ]);
  }
});

test("a Consent permits as the entry of the origin says", async ({ expect }) => {
  const rows = [
    of("plain", to("a")),
    of("yes", to("a"), { verification: [{ verified: false }, { verified: true }] }),
    of("no", to("a"), { verification: [{ verified: "true" }] }),
  ];
  const permitting = async (verified?: "origin" | "verification") =>
    (await consentsAtOrigin(["a"], origin(rows).asking, verified))
      ?.filter(({ mayPermit }) => mayPermit)
      .map(({ consent: id }) => id);
  expect(await permitting()).toEqual([]);
  expect(await permitting("verification")).toEqual(["yes"]);
  expect(await permitting("origin")).toEqual(["plain", "yes", "no"]);
});

test("Consents that are too many for a search are read by a search for each half of the patients; the limit is that of a patient", async ({
  expect,
}) => {
  const several = having({ a: 500, b: 200, c: 800 });
  expect((await consentsAtOrigin(["a", "b", "c"], several.asking))?.length).toBe(1_500);
  expect(several.questions).toEqual(["a,b,c", "a,b", "c"]);
  const one = having({ a: 1, b: 1_001 });
  const found = await consentsAtOrigin(["a", "b"], one.asking);
  expect(found?.map(({ content }) => [content?.patient, content?.rules.standsForUnread])).toEqual([
    ["a", undefined],
    ["b", true],
  ]);
  expect(one.questions).toEqual(["a,b", "a", "b"]);
  const pages = Array.from({ length: 21 }, (_, page) => [of(`${page}`, to("a"))]);
  expect(await idsAt(["a"], ...pages), "more pages than are read").toEqual(["a/unread"]);
});

test("a Consent without a reference is found for its patient by a search for each half; none is taken for two patients", async ({
  expect,
}) => {
  const byIdentifier = (patient: string) =>
    patient === "b" ? { identifier: { system: "urn:mrn", value: patient } } : to(patient);
  const there = having({ a: 1, b: 1, c: 1 }, byIdentifier);
  const found = await consentsAtOrigin(["a", "b", "c"], there.asking, "origin");
  expect(found?.map(({ consent: id, content, mayPermit }) => [id, content?.patient, mayPermit])).toEqual([
    ["a-0", "a", true],
    ["b-0", "b", false],
    ["c-0", "c", true],
  ]);
  expect(there.questions).toEqual(["a,b,c", "a,b", "c", "a", "b"]);
});

const hundred = Array.from({ length: 100 }, (_, n) => `p${n}`);
const unnamedOf = (patient: string) => ({ identifier: { system: "urn:mrn", value: patient } });

test("a Consent without a reference is found among a hundred patients by few searches", async ({
  expect,
}) => {
  for (const whose of ["p0", "p61", "p99"]) {
    const counts = Object.fromEntries(hundred.map((patient) => [patient, 1]));
    const there = having(counts, (patient) => (patient === whose ? unnamedOf : to)(patient));
    const found = await consentsAtOrigin(hundred, there.asking);
    expect(found?.length).toBe(100);
    expect(found?.find(({ consent: id }) => id === `${whose}-0`)?.content?.patient).toBe(whose);
    expect(there.questions.length).toBeLessThanOrEqual(15);
  }
});

test("searches for Consents without a reference are limited", async ({ expect }) => {
  const there = having(Object.fromEntries(hundred.map((patient) => [patient, 1])), unnamedOf);
  expect(await consentsAtOrigin(hundred, there.asking)).toBeUndefined();
  expect(there.questions.length).toBe(33);
});

test("no further half is asked after a half that has no answer", async ({ expect }) => {
  const there = origin([of("1", unnamedOf("a"))], "down", [of("2", to("c"))]);
  expect(await consentsAtOrigin(["a", "b", "c"], there.asking)).toBeUndefined();
  expect(there.questions.length).toBe(2);
});

test("an origin that ignores the criterion is asked three times, however many the patients are", async ({
  expect,
}) => {
  const unnamed = of("1", unnamedOf("1"));
  let questions = 0;
  const ask = async () => {
    questions += 1;
    const entry = [{ resource: unnamed, search: { mode: "match" } }];
    const body = (async function* () {
      yield ok(utf8(JSON.stringify({ resourceType: "Bundle", type: "searchset", entry })));
    })();
    return ok({ kind: "answered", body, base } as const);
  };
  for (const patients of [["a", "b"], ["a", "b", "c"], hundred]) {
    questions = 0;
    expect(
      await consentsAtOrigin(patients, {
        ...nothingToResolve,
        ask,
        held: new HeldBytes(),
        barrier: new RowBarrier(),
        traits: noTraits,
      }),
    ).toBeUndefined();
    expect(questions).toBe(3);
  }
});

/** An origin without paging links that has these Consents of a patient, and sends so many of them at most. */
function cutting(
  count: number,
  max: number,
  frame: (rows: number) => object,
  capabilities: OriginCapabilities = {},
) {
  const all = Array.from({ length: count }, (_, n) => of(`c${n}`, to("a")));
  const ask = async (question: OriginQuestion) => {
    const asked = "query" in question ? Number(/_count=(\d+)/u.exec(question.query)?.[1]) : 0;
    const entry = all.slice(0, Math.min(asked, max)).map((resource) => ({ resource }));
    const bundle = { resourceType: "Bundle", type: "searchset", entry, ...frame(entry.length) };
    const body = (async function* () {
      yield ok(utf8(JSON.stringify(bundle)));
    })();
    return ok({ kind: "answered", body, base } as const);
  };
  const traits = async () => ({
    transactions: undefined,
    honoursIfMatchOnDelete: false,
    acceptsSearchInUrl: false,
    capabilities,
  });
  const asking = { ...nothingToResolve, ask, held: new HeldBytes(), barrier: new RowBarrier(), traits };
  return consentsAtOrigin(["a"], asking);
}

test("an origin that leaves Consents out without a paging link lets none through: by its entry, or by its total", async ({
  expect,
}) => {
  const link = [{ relation: "self", url: base }];
  const unread = [expect.objectContaining({ consent: "a/unread" })];
  const without = { pageLinks: false, pageMax: 200 };
  const stated = (total: number) => ({ total, link });
  expect(await cutting(230, 1_000, stated, without)).toEqual(unread);
  expect(await cutting(230, 100, () => ({ total: 230 }))).toEqual(unread);
  expect(await cutting(230, 100, () => ({ total: 230, link }))).toEqual(unread);
  for (const whole of [50, 99, 100, 199])
    expect(await cutting(whole, 1_000, stated, without), `${whole}`).toHaveLength(whole);
  expect(await cutting(200, 1_000, stated, without), "it may be a cut list").toEqual(unread);
  for (const cap of [50, 100, 200])
    for (const measured of [{ pageMax: cap }, {}])
      expect(await cutting(230, cap, stated, { pageLinks: false, ...measured }), `cap ${cap}`).toEqual(
        unread,
      );
  expect(await cutting(1, 1_000, stated, { pageLinks: false }), "its pages were not measured").toEqual(
    unread,
  );
});
