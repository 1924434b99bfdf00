import * as fc from "fast-check";
import { onTestFinished, test, vi } from "vitest";
import { utf8 } from "#kernel/encoded";
import type { JsonObject } from "#fhir/json/json";
import { Discloser } from "#phi/disclose";
import { rowCounts } from "#phi/bytes/row-counts";
import { coding, consent, level, observation, sensitivity } from "../../policy/consent/scene.ts";
import { policy, rule } from "../../policy/granting.ts";
import { inLane } from "../../support/lane.ts";
import { bases, grantOf, grantUnder } from "../consented.ts";

const loinc = (code: string) => ({ coding: [{ system: "http://loinc.org", code }] });
const [pulse, hiv] = [loinc("8867-4"), loinc("80203-3")];
const own = { subject: { reference: "Patient/a" } };
const rows: readonly object[] = [
  { code: pulse },
  { code: pulse },
  { code: hiv },
  { code: hiv },
  { code: pulse, component: [{ code: hiv }] },
  { code: pulse, note: [{ text: '"code":"80203-3"' }] },
  { code: pulse, extension: [{ url: "urn:x", valueCoding: hiv.coding[0] }] },
  { code: pulse, contained: [{ resourceType: "Patient", id: "p" }] },
  { code: pulse, meta: { security: [level("R")] } },
  { code: pulse, meta: { security: [level("R"), sensitivity("HIV")] } },
  { code: { coding: [{ system: "http://hl7.org/fhir/sid/icd-10-cm", code: "F11.20" }] } },
  { code: pulse, effectiveDateTime: "2019-01-01" },
];
const permits = (...codes: readonly object[]) => consent({ type: "permit", securityLabel: codes });
const consents: readonly JsonObject[] = [
  consent({ type: "deny", securityLabel: [sensitivity("HIV")] }),
  permits(level("N")),
  permits(level("R")),
  permits(level("N"), sensitivity("HIV")),
  consent({ type: "deny", class: [{ system: "http://hl7.org/fhir/resource-types", code: "Patient" }] }),
  consent({ type: "deny", code: [{ coding: [hiv.coding[0]] }] }),
  consent({ type: "deny", dataPeriod: { start: "2018", end: "2020" } }),
  consent({
    type: "deny",
    data: [{ meaning: "authoredby", reference: { reference: "Practitioner/author" } }],
  }),
  consent({ type: "deny", purpose: [coding("HRESCH", "v3-ActReason")] }),
];

test("with Consents and labels by codes each entry has the outcome of the plain engine, and is cut in its bytes unless it has a contained resource", ({
  expect,
}) => {
  for (const fromCodes of [false, true]) {
    for (const document of [...consents, undefined]) {
      const labelled = {
        ...policy(
          rule(["Observation", "Patient"], ["code", "subject", "effectiveDateTime", "meta.security"]),
        ),
        labels: { fromCodes, throughReferences: false },
      };
      const scene = { policy: labelled, consents: document === undefined ? [] : [document] };
      const grant = grantUnder(scene, "Observation?status=final");
      const [fast, plain] = [new Discloser(grant, bases), new Discloser(grant, bases, [], "plain")];
      const reader = new Discloser(grant, bases).ahead("Observation", () => "row");
      for (const [index, more] of rows.entries()) {
        const row = observation({ id: `o${index}`, status: "final", ...own, ...more });
        const bytes = utf8(JSON.stringify({ resource: row, search: { mode: "match" } }));
        const what = `${JSON.stringify(document)} ${JSON.stringify(more)} ${fromCodes}`;
        expect(described(fast.entry(bytes, "Observation")), what).toBe(
          described(plain.entry(bytes, "Observation")),
        );
        reader.begin(bytes);
        expect(reader.entryAt(0) !== undefined, what).toBe(!Object.hasOwn(more, "contained"));
      }
    }
  }
});

const described = (entry: ReturnType<Discloser["entry"]>): string => {
  if (!entry.ok) return JSON.stringify(entry.error);
  if (entry.value.kind !== "match") return entry.value.kind;
  const { text, patients, unseen, room, unnamed, withheld, records } = entry.value.released;
  const shown = [new TextDecoder().decode(text), [...patients], [...unseen]];
  return JSON.stringify([shown, room, unnamed, withheld, records]);
};

const codings = ["8867-4", "F11.20", "f1120", "F11.20+", "F11.20†", "a|b", "|b"].flatMap(
  (code): readonly object[] => [
    { system: "http://loinc.org", code },
    { system: "http://hl7.org/fhir/sid/icd-10-cm", code },
    { code },
  ],
);
const sought = ["Practitioner/x", "Encounter/x", "EpisodeOfCare/x", "CarePlan/x", "Observation/o1"];
const references = [
  ...sought,
  "PractitionerRole/y",
  "Encounter/y",
  "Organization/y",
  "Practitioner/y",
  `${bases.origin}/Practitioner/x/_history/1`,
  "https://elsewhere.example/fhir/Practitioner/x",
  "#x",
].map((reference) => ({ reference }));
const times = ["2019", "2020-06", "2020-12-31", "2021-01-01T00:30:00+14:00", "2021-06-01T10:00:00Z", "never"];
const periods = [{ start: "2019" }, { start: "2019", end: "2020" }, { end: "2020-06-01" }, {}];
/** Elements of R4 and others, at the top and inside, each of which a Consent may read. */
const members: readonly object[] = [
  {},
  ...times.flatMap((time) => [{ effectiveDateTime: time }, { issued: time }, { authoredOn: time }]),
  ...periods.flatMap((period) => [{ effectivePeriod: period }, { period }]),
  { _effectiveDateTime: { extension: [{ url: "urn:absent", valueCode: "unknown" }] } },
  ...references.flatMap((reference) => [
    { performer: [reference] },
    { performer: [{ reference: "Practitioner/y" }, reference] },
    { author: reference },
    { sender: reference },
    { encounter: reference },
    { basedOn: [reference] },
    { derivedFrom: [reference] },
    { note: [{ authorReference: reference, text: "x" }] },
    { extension: [{ url: "urn:x", valueReference: reference }] },
  ]),
  ...codings.flatMap((coded) => [
    { code: { coding: [coded] } },
    { component: [{ code: { coding: [coded] } }] },
    { extension: [{ url: "urn:x", valueCoding: coded }] },
  ]),
  { code: hiv },
  { meta: { security: [level("R")] } },
  { meta: { security: [sensitivity("HIV")] } },
];
const byAuthor = [undefined, "Practitioner/x", "Practitioner/y"].map((author) =>
  author === undefined ? {} : { performer: [{ reference: author }] },
);
/** Provisions of one criterion. */
const criteria: readonly object[] = [
  ...codings.map((coded) => ({ code: [{ coding: [coded] }] })),
  ...periods.slice(0, 3).map((dataPeriod) => ({ dataPeriod })),
  ...["authoredby", "instance", "related", "dependents"].flatMap((meaning) =>
    sought.map((reference) => ({ data: [{ meaning, reference: { reference } }] })),
  ),
  ...[level("N"), sensitivity("HIV"), sensitivity("SUD")].map((label) => ({ securityLabel: [label] })),
];

const labelled = (fromCodes: boolean, base: "honoured" | "required") => ({
  ...policy(rule(["Observation"], ["code", "subject", "performer", "note"])),
  labels: { fromCodes, throughReferences: false },
  consent: { base },
});
const entryOf = (row: object, isSpelled = false): Uint8Array => {
  const resource = { resourceType: "Observation", status: "final", ...row };
  const text = JSON.stringify({ resource, search: { mode: "match" } });
  return utf8(isSpelled ? text.replaceAll('/x"', String.raw`/\u0078"`) : text);
};

test("each row is judged by each criterion of a Consent as the plain engine judges it, also a row whose values repeat", ({
  expect,
}) => {
  let [kept, hidden] = [0, 0];
  const rows = members.flatMap((more) => byAuthor.map((author) => ({ ...author, ...more })));
  const share = inLane({ fast: 20, slow: 3, long: 1 });
  for (const [turn, criterion] of criteria.entries()) {
    const entries = rows
      .filter((_, index) => index % share === turn % share)
      .flatMap((more, index) =>
        ["o1", "o2", "o2"].map((id, copy) => entryOf({ id, ...own, ...more }, copy === 2 && index % 5 === 0)),
      );
    const denial = consent({ type: "permit", provision: [{ type: "deny", ...criterion }] });
    for (const document of [denial, consent({ type: "permit", ...criterion })]) {
      const scene = { policy: labelled(false, "honoured"), consents: [document] };
      const grant = grantUnder(scene, "Observation?status=final");
      const [fast, plain] = [new Discloser(grant, bases), new Discloser(grant, bases, [], "plain")];
      const ahead = fast.ahead("Observation", () => "row");
      // Rows of one text share what repeats in them.
      const page = utf8(entries.map((entry) => new TextDecoder().decode(entry)).join(","));
      ahead.begin(page);
      let at = 0;
      for (const bytes of entries) {
        const expected = described(plain.entry(bytes, "Observation"));
        const cut = ahead.entryAt(at);
        const what = `${JSON.stringify(document)}\n${new TextDecoder().decode(bytes)}`;
        if (cut === undefined) throw new Error(what);
        if (described(fast.entry(cut, "Observation")) !== expected) expect(cut, what).toBe(expected);
        if (expected === "hidden") hidden += 1;
        else kept += 1;
        at += bytes.length + 1;
      }
    }
  }
  expect(Math.min(kept, hidden)).toBeGreaterThan(inLane({ fast: 200, slow: 1_000, long: 1_000 }));
});

const type = fc.constantFrom("permit", "deny");
const provision = fc
  .tuple(
    type,
    fc.array(fc.constantFrom(...criteria), { maxLength: 2 }),
    fc.constantFrom({}, ...["TREAT", "HRESCH"].map((code) => ({ purpose: [coding(code, "v3-ActReason")] }))),
  )
  .map(([effect, some, purpose]): object => Object.assign({ type: effect, ...purpose }, ...some));
const asking = fc
  .tuple(provision, fc.array(provision, { maxLength: 3 }))
  .map(([root, exceptions]) => consent({ ...root, provision: exceptions }));

test("under generated Consents each row of a page has the outcome of the plain engine, whether its Consents are known before it is read, after, or those of another patient before", ({
  expect,
}) => {
  let [kept, late] = [0, 0];
  fc.assert(
    fc.property(
      fc.array(asking, { minLength: 1, maxLength: 3 }),
      fc.array(fc.tuple(fc.constantFrom(...members), fc.constantFrom(...byAuthor)), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.array(fc.tuple(fc.nat(3), fc.constantFrom("a", "b"), fc.boolean()), { minLength: 6, maxLength: 12 }),
      fc.constantFrom("honoured" as const, "required" as const),
      fc.boolean(),
      (documents, some, generated, base, fromCodes) => {
        const patients = ["a", "b"];
        const scene = { policy: labelled(fromCodes, base), consents: documents, patients, hasConsents: true };
        // Each row is like others before it.
        const entries = generated.map(([which, patient, isSpelled], index) => {
          const subject = { reference: `Patient/${patient}` };
          return entryOf(
            Object.assign({ id: `o${index % 5}`, subject }, ...(some[which % some.length] ?? [])),
            isSpelled,
          );
        });
        const known = grantOf(scene, "Observation?status=final");
        known.learn();
        const [fast, plain] = [
          new Discloser(known.grant, bases),
          new Discloser(known.grant, bases, [], "plain"),
        ];
        const lates = [[], ["a"]].map((before) => {
          const later = grantOf(scene, "Observation?status=final");
          if (before.length > 0) later.learn(before);
          const waiting = new Discloser(later.grant, bases);
          const ahead = waiting.ahead("Observation", () => "row");
          const read = entries.map((bytes) => {
            ahead.begin(bytes);
            return ahead.entryAt(0) ?? bytes;
          });
          for (const [index, entry] of read.entries()) {
            const patient = generated[index]?.[1] ?? "";
            const needs = waiting.needsOfEntry(entry, "Observation")?.patients;
            expect(needs ?? []).toEqual(before.includes(patient) ? [] : [patient]);
          }
          later.learn();
          return { waiting, read };
        });
        for (const [index, bytes] of entries.entries()) {
          const expected = described(plain.entry(bytes, "Observation"));
          const what = `${new TextDecoder().decode(bytes)}\n${JSON.stringify(documents)}`;
          expect(described(fast.entry(bytes, "Observation")), what).toBe(expected);
          for (const { waiting, read } of lates) {
            expect(described(waiting.entry(read[index] ?? bytes, "Observation")), what).toBe(expected);
            if (read[index] !== bytes) late += 1;
          }
          if (expected !== "hidden") kept += 1;
        }
      },
    ),
    { numRuns: inLane({ fast: 40, slow: 2_000, long: 20_000 }) },
  );
  expect(kept).toBeGreaterThan(30);
  expect(late).toBeGreaterThan(30);
});

test("rows that wait for the Consents of their patient share no judgement that asks for their time or their authors", ({
  expect,
}) => {
  const plainly = { effectiveDateTime: "2024", performer: [{ reference: "Practitioner/y" }] };
  const differing = [
    [
      { ...plainly, effectiveDateTime: "2024" },
      { ...plainly, effectiveDateTime: "2020-02" },
    ],
    [plainly, { ...plainly, performer: [{ reference: "Practitioner/x" }] }],
  ] as const;
  const exceptions = [
    { type: "deny", dataPeriod: { start: "2020", end: "2020" } },
    {
      type: "deny",
      data: [{ meaning: "authoredby", reference: { reference: "Practitioner/x" } }],
    },
  ];
  for (const pair of differing)
    for (const rows of [pair, [...pair].toReversed()]) {
      const documents = [consent({ type: "permit", provision: exceptions })];
      const patients = ["a", "b"];
      const scene = {
        policy: labelled(false, "honoured"),
        consents: documents,
        patients,
        hasConsents: true,
      };
      const subject = { reference: "Patient/b" };
      const entries = rows.map((more, index) => entryOf({ id: `o${index}`, subject, ...more }));
      const { grant, learn } = grantOf(scene, "Observation?status=final");
      learn(["a"]);
      const fast = new Discloser(grant, bases);
      const ahead = fast.ahead("Observation", () => "row");
      // A row of the known patient is shown first: its view is tried for the next rows.
      const shown = entryOf({ id: "o9", ...own, ...plainly });
      ahead.begin(utf8([shown, ...entries].map((entry) => new TextDecoder().decode(entry)).join(",")));
      let at = 0;
      const cut = [shown, ...entries].map((bytes) => {
        const entry = ahead.entryAt(at);
        at += bytes.length + 1;
        return entry;
      });
      learn();
      const plain = new Discloser(grant, bases, [], "plain");
      for (const [index, bytes] of [shown, ...entries].entries())
        expect(described(fast.entry(cut[index] ?? bytes, "Observation")), JSON.stringify(rows)).toBe(
          described(plain.entry(bytes, "Observation")),
        );
    }
});

test("rows that waited for Consents that ask are cut in their bytes once these are known, and a row that waited keeps its own judgement", ({
  expect,
}) => {
  const hidden = { code: { coding: [{ system: "urn:s", code: "hidden" }] } };
  const documents = [
    consent({ type: "permit", provision: [{ type: "deny", code: [hidden.code] }] }),
    consent({ type: "permit", provision: [{ type: "deny", dataPeriod: { start: "1950", end: "1951" } }] }),
  ];
  const scene = { policy: labelled(false, "honoured"), consents: documents, hasConsents: true };
  const { grant, learn } = grantOf(scene, "Observation?status=final");
  const engine = new Discloser(grant, bases);
  const rows = [hidden, {}, {}, hidden, {}].map((more, index) =>
    entryOf({ id: `o${index}`, ...own, effectiveDateTime: `2024-0${index + 1}-01`, ...more }),
  );
  const [early, later] = [rows.slice(0, 3), rows.slice(3)];
  const waiting = early.map((bytes) => engine.needsOfEntry(bytes, "Observation")?.patients);
  expect(waiting).toEqual([["a"], ["a"], ["a"]]);
  learn();
  const ways = vi.spyOn(rowCounts, "count");
  onTestFinished(() => ways.mockRestore());
  // the later rows are read first, before any of the early rows is judged
  const kindOf = (bytes: Uint8Array) => {
    const found = engine.entry(bytes, "Observation");
    return found.ok ? found.value.kind : found.error.reason;
  };
  expect([...later, ...early].map(kindOf)).toEqual(["hidden", "match", "hidden", "match", "match"]);
  expect(ways.mock.calls.flat(), "no row is left to the plain engine").toEqual(rows.map(() => "bytes"));
});

test("where Consents are on file, a row leaves without a subject only if it has no encounter, whatever the rows before had", ({
  expect,
}) => {
  const scene = {
    policy: policy(rule(["Observation"], ["code", "subject", "encounter"])),
    consents: [],
    hasConsents: true,
  };
  const grant = grantUnder(scene, "Observation?status=final");
  const [fast, plain] = [new Discloser(grant, bases), new Discloser(grant, bases, [], "plain")];
  const forms = [
    undefined,
    { reference: "Encounter/e1" },
    { reference: "Encounter/e2" },
    {},
    null,
    [],
    [null],
    [{ reference: "Encounter/e1" }],
    "text",
    1,
  ].map((encounter) => (encounter === undefined ? {} : { encounter }));
  const kinds = new Map<string, number>();
  // Each form after each, with the same and with another owner.
  for (const before of forms)
    for (const after of forms)
      for (const owner of [own, {}])
        for (const more of [
          { ...before, ...owner },
          { ...after, ...owner },
        ]) {
          const row = { resourceType: "Observation", id: "o", status: "final", code: pulse, ...more };
          const bytes = utf8(JSON.stringify({ resource: row, search: { mode: "match" } }));
          const [a, b] = [fast.entry(bytes, "Observation"), plain.entry(bytes, "Observation")];
          if (!a.ok || !b.ok) throw new Error(JSON.stringify(row));
          expect(a.value.kind, JSON.stringify(row)).toBe(b.value.kind);
          kinds.set(a.value.kind, (kinds.get(a.value.kind) ?? 0) + 1);
        }
  expect([...kinds.keys()].toSorted()).toEqual(["hidden", "match"]);
});
