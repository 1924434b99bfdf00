import type { Resource } from "@medplum/fhirtypes";
import * as fc from "fast-check";
import { test } from "vitest";
import { failForMarkedRows, faults } from "../support/faulty-rows.ts";
import { to } from "../support/fhir-parts.ts";
import { inLane, lane } from "../support/lane.ts";
import { beyond, readsConsents, type Asking, type Seen } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";

// Two worlds that differ only in rows that a Consent or a label withholds: same answers, questions and leaves.

const why = "45 CFR 164.506(c)(2): treatment.";
const policy = {
  format: "phylax.policy.v1",
  name: "consented",
  title: "Everything that Consents and labels leave",
  purposes: ["PATRQT"],
  operations: ["everything", "lastn"],
  rules: [
    {
      types: ["Patient", "Observation", "DiagnosticReport", "Provenance", "List"],
      interactions: ["read", "search", "create", "update", "delete"],
      show: "everything",
      why,
      examples: [{ says: "It may be read.", request: "Observation/1", is: "permitted" }],
    },
  ],
};
const worlds = worldsUnder(policy);

const thp = "http://terminology.hl7.org/CodeSystem/";
const act = (code: string) => ({ system: `${thp}v3-ActCode`, code });
const denial = (ann: string, provision: object): Resource => ({
  resourceType: "Consent",
  id: `wish-of-${ann}`,
  status: "active",
  scope: { coding: [{ system: `${thp}consentscope`, code: "patient-privacy" }] },
  category: [{ coding: [act("IDSCL")] }],
  patient: to(`Patient/${ann}`),
  dateTime: "2026-01-01",
  policyRule: { coding: [act("OPTIN")] },
  provision: { type: "deny", ...provision },
});
const [pulse, hivTest] = ["8867-4", "80203-3"].map((code) => ({
  coding: [{ system: "http://loinc.org", code }],
})) as [object, object];
const patient = (id: string): Resource => ({ resourceType: "Patient", id, name: [{ family: id }] });
const observation = (id: string, ann: string, more: object): Resource => ({
  resourceType: "Observation",
  id,
  status: "final",
  category: [{ coding: [{ system: `${thp}observation-category`, code: "vital-signs" }] }],
  code: pulse,
  subject: to(`Patient/${ann}`),
  effectiveDateTime: "2026-01-02",
  performer: [to("Practitioner/further")], // a row without an author may be of any author
  ...more,
});
const report = (ann: string): Resource => ({
  resourceType: "DiagnosticReport",
  id: "report",
  status: "final",
  code: pulse,
  subject: to(`Patient/${ann}`),
  result: [to("Observation/hidden"), to("Observation/shown1")],
});
const provenance = (of: string): Resource => ({
  resourceType: "Provenance",
  id: `of-${of}`,
  target: [to(`Observation/${of}`)],
  recorded: "2026-01-03T10:00:00Z",
  agent: [{ who: { display: "Dr. Doe" } }],
});
const shownOf = (ann: string): readonly Resource[] => [
  patient(ann),
  patient("ben"),
  ...[1, 3].map((n) => observation(`shown${n}`, ann, { effectiveDateTime: `2026-01-0${n}` })),
  observation("bens", "ben", {}),
  report(ann),
  provenance("shown1"),
];
const contained = { contained: [{ resourceType: "Observation", id: "c", status: "final", code: hivTest }] };
const labelled = { meta: { security: [{ system: `${thp}v3-Confidentiality`, code: "R" }, act("PSY")] } };

/** The rows that are withheld in one world and absent in the other, and the Consent of both worlds. */
const kinds = {
  "a code that a Consent denies": [{ code: hivTest }, { code: [hivTest] }],
  "a sensitivity by a code that a Consent denies": [{ code: hivTest }, { securityLabel: [act("HIV")] }],
  "a code inside, which a Consent denies": [
    { ...contained, hasMember: [to("#c")] },
    { securityLabel: [act("HIV")] },
  ],
  "a row that a Consent denies by its id": [
    {},
    { data: [{ meaning: "instance", reference: to("Observation/hidden") }] },
  ],
  "a label that no policy and no Consent lets leave": [
    labelled,
    { code: [{ text: "x", coding: [act("x")] }] },
  ],
  "a second patient by an identifier": [
    { performer: [{ type: "Patient", identifier: { value: "7" } }] },
    { code: [{ coding: [act("x")] }] },
  ],
} as const satisfies Readonly<Record<string, readonly [row: object, provision: object]>>;

/** It withholds the row by its id, whatever the row says. */
const byId = { data: [{ meaning: "instance", reference: to("Observation/hidden") }] };
failForMarkedRows();

/** Settings of the policy by which a row is withheld too. Labels through references are not alike yet. */
const settings = {
  "no label by a code": {},
  "labels by codes": { labels: { fromCodes: true, throughReferences: false } },
} as const satisfies Readonly<Record<string, object>>;

const json = { "content-type": "application/fhir+json" };
/**
 * A row that decides may show in the sealed record alone: its reason, its cause, the number of withheld rows. The
 * digest of the Consents is random here, since none permits.
 */
const openly = {
  records: /\/event\/(?:withheld\/resources|unjudged|outcome\/reason|decision(?:\/|$)|consents$)/u,
};

const questionsOf = (
  ann: string,
  by: Exclude<Asking, (before: readonly Seen[]) => unknown>["by"],
): readonly Asking[] => {
  const ask = (path: string, more: object = {}) => ({ by, path, ...more });
  const send = (method: string, path: string, body: object, headers: object = {}) =>
    ask(path, { method, headers: { ...json, ...headers }, body: JSON.stringify(body) });
  const batch = (type: string, ...requests: readonly object[]) =>
    send("POST", "", { resourceType: "Bundle", type, entry: requests });
  const change = observation("hidden", ann, { status: "amended" });
  return [
    ask("Observation/hidden"),
    ask("Observation/hidden", { method: "HEAD" }),
    ask("Observation/hidden", { headers: { "if-none-match": "*" } }),
    ask("Observation/hidden/_history/1"),
    ask("Observation/hidden/_history"),
    ask(`Observation?patient=${ann}`),
    ask(`Observation?patient=${ann}&_count=1`),
    ask(`Observation?patient=${ann}&_sort=-date`),
    ask(`Observation?patient=${ann}&code:missing=false`),
    ask(`Observation?patient=${ann}&_summary=count`),
    ask("Observation?_id=hidden"),
    ask("Observation?_id=shown1&_revinclude=DiagnosticReport:result"),
    ask(`DiagnosticReport?patient=${ann}&_include=DiagnosticReport:result`),
    ask("Observation?code=80203-3,c1&date=ge1850&performer=Practitioner/further"),
    ask("DiagnosticReport?result.code=80203-3"),
    ask(`Patient?_id=${ann}&_has:Observation:patient:_id=hidden`),
    ask(`Patient/${ann}/$everything`),
    ask(`Observation/$lastn?patient=${ann}&category=vital-signs`),
    batch(
      "batch",
      { request: { method: "GET", url: "Observation/hidden" } },
      { request: { method: "GET", url: `Observation?patient=${ann}` } },
      { request: { method: "DELETE", url: "Observation/hidden" } },
    ),
    send("PUT", "Observation/hidden", change),
    send("PUT", "Observation/hidden", change, { "if-match": 'W/"1"' }),
    send("PATCH", "Observation/hidden", [{ op: "replace", path: "/status", value: "amended" }], {
      "content-type": "application/json-patch+json",
    }),
    ask("Observation/hidden", { method: "DELETE" }),
    ask("Observation?_id=hidden", { method: "DELETE" }),
    batch("transaction", { request: { method: "PUT", url: "Observation/hidden" }, resource: change }),
    ask(`Observation?patient=${ann}`),
  ];
};

/** A row that each criterion of a generated Consent tells from the shown rows. */
const strange = {
  code: hivTest,
  effectiveDateTime: "2019-05-06",
  performer: [to("Practitioner/author")],
  encounter: to("Encounter/visit"),
  note: [{ text: "of the visit" }],
};
/** Criteria that select this row alone. */
const telling: readonly object[] = [
  { code: [hivTest] },
  { securityLabel: [act("HIV")] },
  { dataPeriod: { start: "2019-01-01", end: "2019-12-31" } },
  { data: [{ meaning: "instance", reference: to("Observation/hidden") }] },
  { data: [{ meaning: "authoredby", reference: to("Practitioner/author") }] },
  { data: [{ meaning: "related", reference: to("Encounter/visit") }] },
  { data: [{ meaning: "dependents", reference: to("Practitioner/author") }] },
];
/** Criteria that every read of these askers meets. */
const idle: readonly object[] = [
  {},
  { purpose: [{ system: `${thp}v3-ActReason`, code: "PATRQT" }] },
  { action: [{ coding: [{ system: `${thp}consentaction`, code: "access" }] }] },
  { class: [{ system: "http://hl7.org/fhir/resource-types", code: "Observation" }] },
  { period: { start: "2020-01-01" } },
];
/** A broken part may be a denial (docs/consent.md), so it denies as well. */
const broken: readonly object[] = [{}, { strangeMember: true }];
/** A Consent that denies the strange row: a denial, or an exception to a permit, two or three levels deep. */
const generated = fc
  .record({
    by: fc.constantFrom(...telling),
    further: fc.constantFrom(...telling),
    beside: fc.constantFrom(...idle),
    broken: fc.constantFrom(...broken),
    form: fc.constantFrom("root", "exception", "untyped", "deep", "closed"),
  })
  .map(({ by, further, beside, broken, form }): object => {
    // two criteria of one element are alternatives, so the second replaces the first
    const deny = Object.assign({ type: "deny" }, beside, by, further, broken);
    const none = { type: "deny", code: [{ coding: [act("x")] }] };
    switch (form) {
      case "exception":
        return { type: "permit", provision: [deny] };
      case "untyped":
        return { type: undefined, provision: [none, deny] };
      case "deep":
        // what is denied, permitted again inside, and denied again inside that
        return {
          type: "permit",
          provision: [{ type: "deny", provision: [{ type: "permit", provision: [deny] }] }],
        };
      case "closed":
        return { type: "permit", dataPeriod: { start: "2025-01-01", end: "2027-01-01" } };
      case "root":
        return deny;
    }
  });

type Asker = Parameters<typeof worlds.by>[0];
const askers: readonly Asker[] = ["system", "patient"];
const rows: readonly (readonly [kind: string, row: object, provision: object])[] = [
  ...Object.entries(kinds).map(([kind, [row, provision]]) => [kind, row, provision] as const),
  ...Object.entries(faults).map(([fault, row]) => [`a denied row ${fault}`, row, byId] as const),
];
// Each row meets both kinds of tokens under the first setting, and one of them under the next.
const cases = Object.entries(settings).flatMap(([setting, more], nth) =>
  rows.flatMap(([kind, row, provision], at) =>
    askers
      .filter((_asker, which) => nth === 0 || which === at % askers.length)
      .map((asker) => ({ kind, row, provision, asker, setting, more, ann: `ann-${asker}-${nth}-${at}` })),
  ),
);

// The fast lane has a share of the cases, with each kind of token.
const asked = [
  ...cases.filter((_case, at) => at % inLane({ fast: 13, slow: 1, long: 1 }) === 0),
  ...fc
    .sample(generated, {
      numRuns: inLane({ fast: 1, slow: 12, long: 60 }),
      // the fast lane asks the same in each run
      ...(lane === "fast" && { seed: 7 }),
    })
    .map((provision, at) => {
      const asker: Asker = at % 2 === 0 ? "system" : "patient";
      const [setting, more] = Object.entries(settings)[0] ?? ["", {}];
      const kind = JSON.stringify(provision);
      return { kind, row: strange, provision, asker, setting, more, ann: `ann-generated-${at}` };
    }),
];

test.for(asked)(
  "L53: $kind, for a token of kind $asker, under $setting",
  { timeout: 60_000 },
  async ({ asker, ann, ...of }, { expect }) => {
    const consents = [denial(ann, of.provision)];
    const by = await worlds.by(asker, { jti: ann, ...(asker === "patient" && { patient: ann }) });
    const registry = { ...readsConsents(worlds.originBase), ...worlds.under(of.more) };
    // the first request also records the configuration, and reads the Consents
    const empty = { origin: [patient(ann)], consents, registry };
    await worlds.compare(empty, empty, [{ by, path: `Patient/${ann}` }]);
    const shown = shownOf(ann);
    const one = { origin: shown, consents };
    const other = { origin: [...shown, observation("hidden", ann, of.row), provenance("hidden")], consents };
    const answers = await worlds.compare(one, other, questionsOf(ann, by));
    // A row of an unnamed patient is read, and then its Consents are asked for: a row that is absent asks for none.
    const unnamed = asker === "system" ? { ...openly, waits: /^/u } : openly;
    expect(beyond(answers.differences, unnamed)).toEqual([]);
    const { length } = answers.one.filter(({ status }) => status === 404);
    expect(
      answers.one.map(({ status }) => status).filter((status) => ![200, 204, 403, 404].includes(status)),
    ).toEqual([]);
    expect(length).toBeGreaterThan(8);
    expect(answers.one.at(-1)?.body.toString()).toContain("shown3");
    // The origin is asked for the target of each Provenance that it has: the client learns nothing of it.
    const traced = await worlds.compare(
      one,
      other,
      ["Provenance?target=Observation/hidden", "Provenance/of-hidden"].map((path) => ({ by, path })),
    );
    expect(beyond(traced.differences, { ...openly, questions: /^\/1(?:\/|$)/u, waits: /^/u })).toEqual([]);
    expect(traced.one.map(({ status }) => status)).toEqual([200, 404]);
  },
);

test("L53: the harness sees the row where the Consent is silent", { timeout: 60_000 }, async ({ expect }) => {
  const ann = "ann-silent";
  const consents = [denial(ann, { code: [{ coding: [act("x")] }] })];
  const by = await worlds.by("system", { jti: ann });
  const shown = shownOf(ann);
  const registry = { ...readsConsents(worlds.originBase), ...worlds.under({}) };
  const { differences } = await worlds.compare(
    { origin: shown, consents, registry },
    { origin: [...shown, observation("hidden", ann, {})], consents, registry },
    questionsOf(ann, by),
  );
  const seen = new Set(beyond(differences, openly).map(({ question }) => question));
  expect(seen.size).toBeGreaterThan(12);
});

test("a row that its owner or its type hides asks for no Consent, label or target: the questions and calls are those of an absent row", async ({
  expect,
}) => {
  const ann = "ann-alone";
  const by = await worlds.by("patient", { jti: ann, patient: ann });
  const registry = readsConsents(worlds.originBase);
  const empty = { origin: [patient(ann)], registry };
  await worlds.compare(empty, empty, [{ by, path: `Patient/${ann}` }]);
  const others: readonly Resource[] = [
    observation("hidden", "zoe", {}),
    observation("shared", "zoe", { performer: [to("Practitioner/further"), to("Patient/yan")] }),
    { resourceType: "Condition", id: "hidden", subject: to("Patient/zoe") },
  ];
  const send = (method: string, path: string, body: object) => ({
    by,
    path,
    method,
    headers: json,
    body: JSON.stringify(body),
  });
  const { one, differences } = await worlds.compare(
    { origin: shownOf(ann) },
    { origin: [...shownOf(ann), ...others] },
    [
      ...["Observation/hidden", "Observation/hidden/_history", "Observation?_id=hidden,shared,shown1"].map(
        (path) => ({
          by,
          path,
        }),
      ),
      { by, path: "Condition/hidden" },
      { by, path: "Observation/hidden", method: "DELETE" },
      send("PUT", "Observation/hidden", observation("hidden", ann, {})),
      send("PUT", "Observation/shared", observation("shared", "zoe", {})),
    ],
  );
  expect(beyond(differences, openly)).toEqual([]);
  expect(one.map(({ status }) => status)).toEqual([404, 404, 200, 403, 404, 404, 404]);
});
