import type { Resource } from "@medplum/fhirtypes";
import { test } from "vitest";
import { failForMarkedRows, faults } from "../support/faulty-rows.ts";
import { to } from "../support/fhir-parts.ts";
import { inLane } from "../support/lane.ts";
import { beyond, readsConsents, type Asking } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";

// Two worlds that differ only in a resource to which a visible row refers, and which the client may not see: the
// resource is as absent by each cause. Statuses, bodies, questions to the origin, waits and memories are alike.

const why = "45 CFR 164.506(c)(2): treatment.";
const example = (type: string) => [{ says: "It may be read.", request: `${type}/1`, is: "permitted" }];
const thp = "http://terminology.hl7.org/CodeSystem/";
const category = { system: `${thp}observation-category`, code: "vital-signs" };
const policy = {
  format: "phylax.policy.v1",
  name: "referring",
  title: "Rows and what they refer to",
  purposes: ["PATRQT"],
  operations: ["everything"],
  dataPeriod: { since: "2016-01-01" },
  labels: { fromCodes: true },
  rules: [
    {
      types: ["Patient", "DiagnosticReport"],
      interactions: ["read", "search", "create", "update", "delete"],
      show: "everything",
      why,
      examples: example("DiagnosticReport"),
    },
    {
      types: ["Observation"],
      interactions: ["read", "search"],
      where: [
        { path: "category", in: ["vital-signs", "imaging"].map((code) => `${category.system}|${code}`) },
      ],
      show: "everything",
      why,
      examples: example("Observation"),
    },
  ],
};
const worlds = worldsUnder(policy);

const act = (code: string) => ({ system: `${thp}v3-ActCode`, code });
const denial: Resource = {
  resourceType: "Consent",
  id: "wish",
  status: "active",
  scope: { coding: [{ system: `${thp}consentscope`, code: "patient-privacy" }] },
  category: [{ coding: [act("IDSCL")] }],
  patient: to("Patient/ann"),
  dateTime: "2026-01-01",
  policyRule: { coding: [act("OPTIN")] },
  provision: {
    type: "deny",
    data: [{ meaning: "instance", reference: to("Observation/denied") }],
  },
};
const observation = (id: string, more: object = {}): Resource => ({
  resourceType: "Observation",
  id,
  status: "final",
  category: [{ coding: [category] }],
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
  subject: to("Patient/ann"),
  effectiveDateTime: "2026-01-02",
  performer: [to("Practitioner/further")],
  ...more,
});
const report = (id: string, more: object): Resource => ({
  resourceType: "DiagnosticReport",
  id,
  status: "final",
  code: { text: "report" },
  subject: to("Patient/ann"),
  effectiveDateTime: "2026-01-02",
  performer: [to("Practitioner/further")],
  ...more,
});

/** By what hides it: the resource of one world alone. The row of both worlds refers to it. */
const hidden = {
  "no rule": {
    resourceType: "Encounter",
    id: "ruled-out",
    status: "finished",
    class: act("AMB"),
    subject: to("Patient/ann"),
    period: { start: "2026-01-02" },
  },
  "its patient": observation("strangers", { subject: to("Patient/zoe") }),
  "a Consent": observation("denied"),
  "a condition": observation("laboratory", { category: [{ coding: [{ ...category, code: "laboratory" }] }] }),
  "the period of the policy": observation("early", { effectiveDateTime: "2010-01-02" }),
  "a label": observation("labelled", {
    meta: { security: [{ system: `${thp}v3-Confidentiality`, code: "R" }] },
  }),
  "a label by a code": observation("coded", {
    code: { coding: [{ system: "http://loinc.org", code: "80203-3" }] },
  }),
  "a scope": observation("out-of-scope", { category: [{ coding: [{ ...category, code: "imaging" }] }] }),
  "a fault": observation("faulty", faults["whose reading throws"]),
  "an owner without a reference": observation("unnamed", { subject: { identifier: { value: "7" } } }),
} as const satisfies Readonly<Record<string, Resource>>;
failForMarkedRows();

const json = { "content-type": "application/fhir+json" };
/** A row that decides may show in the sealed record alone. */
const openly = {
  records: /\/event\/(?:withheld\/resources|unjudged|outcome\/reason|decision(?:\/|$)|consents$)/u,
};
const scopesOf = (context: string) =>
  `${context}/Patient.rs ${context}/DiagnosticReport.cruds ${context}/Encounter.rs ` +
  `${context}/Observation.rs?category=${category.system}|vital-signs`;

const all = Object.keys(hidden).flatMap((by) =>
  (["system", "patient"] as const).map((asker) => [by as keyof typeof hidden, asker] as const),
);
// The fast lane has a stranger's resource, and a denied one.
const cases = all.filter((_case, at) => inLane({ fast: at === 3 || at === 4, slow: true, long: true }));
test.for(cases)(
  "a resource that %s hides is as absent to a token of kind %s, wherever a row refers to it",
  async ([hiddenBy, asker], { expect }) => {
    const target = hidden[hiddenBy];
    const named = `${target.resourceType}/${target.id}`;
    const refers = target.resourceType === "Encounter" ? { encounter: to(named) } : { result: [to(named)] };
    const shown: readonly Resource[] = [
      { resourceType: "Patient", id: "ann" },
      { resourceType: "Patient", id: "zoe" },
      observation("seen"),
      report("plain", { result: [to("Observation/seen")] }),
      report("refers", { ...refers, conclusion: "about it" }),
      report("zoes", { ...refers, subject: to("Patient/zoe") }),
    ];
    const by = await worlds.by(asker, {
      jti: `${hiddenBy} ${asker}`,
      scope: scopesOf(asker),
      ...(asker === "patient" && { patient: "ann" }),
    });
    const [consents, registry] = [[denial], readsConsents(worlds.originBase)];
    const before = { origin: shown.slice(0, 2), consents, registry };
    const reads = ["ann", "zoe"].map((patient) => ({ by, path: `Patient/${patient}` }));
    await worlds.compare(before, before, reads);
    const ask = (path: string) => ({ by, path });
    const send = (method: string, path: string, body: object, headers: object = {}): Asking => ({
      by,
      path,
      method,
      headers: { ...json, ...headers },
      body: JSON.stringify(body),
    });
    const { id: _id, ...row } = report("new", refers);
    const bundle = (type: string) =>
      send("POST", "", {
        resourceType: "Bundle",
        type,
        entry: [
          { request: { method: "POST", url: "DiagnosticReport" }, resource: row },
          { request: { method: "PUT", url: "DiagnosticReport/plain" }, resource: report("plain", refers) },
          { request: { method: "GET", url: "DiagnosticReport/refers" } },
        ],
      });
    // A system sees what another patient owns by its own right, and not from a row of this patient.
    const mayAsk = hiddenBy !== "its patient" || asker !== "system";
    const include = target.resourceType === "Encounter" ? "encounter" : "result";
    const { differences, ...seen } = await worlds.compare(
      { origin: shown, consents },
      { origin: [...shown, target], consents },
      [
        ask("DiagnosticReport/refers"),
        ask("DiagnosticReport/refers"),
        ask("DiagnosticReport?patient=ann"),
        ask(`DiagnosticReport?patient=ann&_include=DiagnosticReport:${include}`),
        ask("DiagnosticReport/refers/_history"),
        ask("Patient/ann/$everything"),
        ask("Patient?_id=ann&_has:DiagnosticReport:patient:_id=refers"),
        ask("Observation?_id=seen&_revinclude=DiagnosticReport:result"),
        ...(mayAsk ? [ask(named), ask(`DiagnosticReport?${include}=${named}`)] : []),
        send("POST", "DiagnosticReport", row),
        send("POST", "DiagnosticReport", row),
        send("POST", "DiagnosticReport", row, { "if-none-exist": "_id=nothing" }),
        send("PUT", "DiagnosticReport/plain", report("plain", refers)),
        send("PUT", "DiagnosticReport?_id=plain", report("plain", refers)),
        send(
          "PATCH",
          "DiagnosticReport/plain",
          [{ op: "add", path: "/extension", value: [{ url: "urn:x", valueReference: to(named) }] }],
          { "content-type": "application/json-patch+json" },
        ),
        bundle("batch"),
        bundle("transaction"),
        { by, path: "DiagnosticReport/refers", method: "DELETE" },
        ask("DiagnosticReport?patient=ann&_sort=-date"),
      ],
    );
    expect(beyond(differences, openly)).toEqual([]);
    const [read, , search] = seen.one;
    expect([read?.status, search?.status]).toEqual([404, 200]);
    expect(search?.body.toString()).toContain("plain");
    expect(seen.one.at(-1)?.body.toString()).toContain("plain");
    expect(seen.one.some(({ status }) => status === 201)).toBe(false);
    expect(seen.one.filter(({ status }) => status === 403).length).toBeGreaterThan(4);
  },
);

test("a hidden row asks for nothing beside the resources that the origin includes for it; a visible row includes the same resource", async ({
  expect,
}) => {
  const inner = observation("inner", { hasMember: [to("Observation/deep")] });
  const shown: readonly Resource[] = [
    { resourceType: "Patient", id: "ann" },
    report("plain", { result: [to("Observation/seen")] }),
    observation("seen"),
    inner,
    observation("deep"),
  ];
  const hiding = report("hiding", {
    result: [to("Observation/inner")],
    meta: { security: [{ system: `${thp}v3-Confidentiality`, code: "R" }] },
  });
  const by = await worlds.by("patient", { jti: "included", patient: "ann", fhirUser: "RelatedPerson/kin" });
  const path = "DiagnosticReport?patient=ann&_include=DiagnosticReport:result";
  const back = "Observation?_id=inner,seen&_revinclude=DiagnosticReport:result";
  const asked = [path, back].map((each) => ({ by, path: each }));
  const hidden = await worlds.compare({ origin: shown }, { origin: [...shown, hiding] }, asked);
  expect(beyond(hidden.differences, openly)).toEqual([]);
  const visible = report("visible", { result: [to("Observation/inner")] });
  const { other } = await worlds.compare({ origin: shown }, { origin: [...shown, visible] }, asked);
  const idsIn = ({ body }: { readonly body: Buffer } = { body: Buffer.from("{}") }) =>
    (JSON.parse(body.toString()).entry ?? []).map((entry: { resource: { id: string } }) => entry.resource.id);
  expect(idsIn(hidden.one[0])).toEqual(["plain", "seen"]);
  expect(idsIn(other[0]).toSorted()).toEqual(["inner", "plain", "seen", "visible"]);
  expect(idsIn(other[1]).toSorted()).toEqual(["inner", "plain", "seen", "visible"]);
});

test("the harness sees a resource that nothing hides: the rows that refer to it are shown and stored", async ({
  expect,
}) => {
  const target = observation("nothing-hides");
  const refers = { result: [to("Observation/nothing-hides")] };
  const shown: readonly Resource[] = [{ resourceType: "Patient", id: "ann" }, report("refers", refers)];
  const by = await worlds.by("patient", { jti: "seen", patient: "ann" });
  const { id: _id, ...row } = report("new", refers);
  const { one, other } = await worlds.compare({ origin: shown }, { origin: [...shown, target] }, [
    { by, path: "DiagnosticReport/refers" },
    { by, path: "DiagnosticReport", method: "POST", headers: json, body: JSON.stringify(row) },
  ]);
  expect([one, other].map((world) => world.map(({ status }) => status))).toEqual([
    [404, 403],
    [200, 201],
  ]);
});
