import * as fc from "fast-check";
import { test } from "vitest";
import { Discloser } from "#phi/disclose";
import type { DisclosedWindow, Disclosure } from "#phi/disclosure";
import { Page } from "#phi/page";
import type { PolicyDocument } from "#policy/schema";
import { decide, policy, rule } from "../policy/granting.ts";
import { basesOfAnswer, disclose } from "./disclosing.ts";

const bases = basesOfAnswer();
const lab = { coding: [{ system: "urn:c", code: "lab" }] };
const open = policy(
  rule(["Observation"], ["category", "code", "subject", "valueQuantity", "performer", "note"], {
    where: [{ path: "category", in: ["urn:c|lab"] }],
  }),
  rule(["Patient"], ["name", "identifier", "photo", "meta.lastUpdated"]),
);

function answer(request: string, body: unknown, document: PolicyDocument = open) {
  const bytes =
    body instanceof Uint8Array
      ? body
      : new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
  return disclose(bytes, document, request, bases);
}
type Released = DisclosedWindow & Pick<Disclosure, "withheldPaths"> & { readonly text: string };
function released(request: string, body: unknown, document?: PolicyDocument): Released {
  const result = answer(request, body, document);
  if (!result.ok) throw new Error(result.error.reason);
  return { ...result.value, text: new TextDecoder().decode(result.value.body) };
}
const reason = (request: string, body: unknown, document?: PolicyDocument) => {
  const result = answer(request, body, document);
  return result.ok ? "released" : result.error.reason;
};
const observation = (id: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  category: [lab],
  code: { text: "x" },
  subject: { reference: "Patient/1" },
  ...more,
});
const bundle = (resources: readonly object[], more: object = {}) => ({
  resourceType: "Bundle",
  type: "searchset",
  entry: resources.map((resource) => ({
    fullUrl: "https://origin.internal/fhir/x",
    resource,
    search: { mode: "match", score: 0.5 },
  })),
  ...more,
});

test("a read answers with the resource that was asked for and nothing else", ({ expect }) => {
  const patient = { resourceType: "Patient", id: "1", name: [{ family: "X" }] };
  expect(reason("Patient/1", patient)).toBe("released");
  expect(reason("Patient/1", { ...patient, id: "12" })).toBe("answer_mismatch");
  expect(reason("Patient/1", { ...patient, id: 1 })).toBe("answer_mismatch");
  expect(reason("Patient/1", { ...patient, resourceType: "Observation" })).toBe("answer_mismatch");
  expect(reason("Patient/1", { resourceType: "OperationOutcome", issue: [] })).toBe("answer_mismatch");
  expect(reason("Patient/1", bundle([patient]))).toBe("answer_mismatch");
  expect(reason("Patient/1", [patient])).toBe("answer_mismatch");
  expect(reason("Patient/1", "null")).toBe("answer_mismatch");
});

test("bad UTF-8, duplicate keys, no JSON, too deep, too large: nothing leaves, and a resource that cannot be read is as good as hidden", ({
  expect,
}) => {
  expect(reason("Patient/1", new Uint8Array([0x7b, 0xff, 0x7d]))).toBe("answer_not_utf8");
  expect(reason("Patient/1", '{"resourceType":"Patient","id":"1","id":"2"}')).toBe("resource_withheld");
  expect(
    reason("Patient/1", '{"resourceType":"Patient","id":"1","name":[{"family":"a","f\\u0061mily":"b"}]}'),
  ).toBe("resource_withheld");
  expect(reason("Patient/1", "<html>origin.internal</html>")).toBe("answer_not_json");
  expect(reason("Patient/1", "")).toBe("answer_not_json");
  expect(reason("Patient/1", '{"resourceType":"Patient","id":"1"} x')).toBe("answer_not_json");
  expect(reason("Patient/1", "[".repeat(200))).toBe("answer_not_json");
  expect(reason("Patient/1", "[".repeat(200) + "]".repeat(200))).toBe("resource_withheld");
  expect(
    reason(
      "Patient/1",
      JSON.stringify({ resourceType: "Patient", id: "1", name: [{ family: "x".repeat(8_388_608) }] }),
    ),
  ).toBe("resource_withheld");
  expect(
    reason(
      "Patient/1",
      JSON.stringify({ resourceType: "Patient", id: "1", name: [{ family: "x".repeat(3_000_000) }] }),
    ),
  ).toBe("released");
});

test("masks that make an answer longer than it came do not make it longer than an answer may be", ({
  expect,
}) => {
  const claims = policy(rule(["Claim"], ["item.sequence", "id"]));
  const claim = (items: number) => ({
    resourceType: "Claim",
    id: "1",
    item: Array.from({ length: items }, (_, index) => ({ sequence: index + 1 })),
  });
  expect(JSON.stringify(claim(120_000)).length).toBeLessThan(8_388_608);
  expect(reason("Claim/1", claim(120_000), claims)).toBe("resource_withheld");
  expect(released("Claim", bundle([claim(120_000)]), claims)).toMatchObject({
    counts: {},
    withheldResources: 1,
  });
  expect(reason("Claim/1", claim(100), claims)).toBe("released");
});

test("a row out of reach is not there: a read says so, a search drops it, an origin that ignores the narrowing changes nothing", ({
  expect,
}) => {
  const vital = observation("2", {
    category: [{ coding: [{ system: "urn:c", code: "vital" }] }],
    note: [{ text: "secret" }],
  });
  expect(reason("Observation/2", vital)).toBe("row_outside_access");
  const { text, counts, withheldResources, patients } = released(
    "Observation?patient=1",
    bundle([observation("1"), { ...vital, subject: { reference: "Patient/hidden" } }]),
  );
  expect(JSON.parse(text)).toMatchObject({ entry: [{ resource: { id: "1" } }] });
  expect(text).not.toMatch(/secret|vital|hidden/u);
  expect({ counts, withheldResources, patients }).toEqual({
    counts: { Observation: 1 },
    withheldResources: 1,
    patients: [{ patient: "main/Patient/1", counts: { Observation: 1 } }],
  });
});

test("a Bundle tells nothing of the origin's beside its entries: no total, score, id, time, signature or foreign link", ({
  expect,
}) => {
  const { text } = released(
    "Observation?patient=1&_count=9",
    bundle([observation("1")], {
      id: "search-77",
      total: 7,
      timestamp: "2026-01-01",
      meta: { lastUpdated: "2026-01-01" },
      signature: { data: "x" },
      link: [
        { relation: "self", url: "https://origin.internal/fhir/Observation?_count=1000" },
        { relation: "first", url: "https://origin.internal/page1" },
      ],
    }),
  );
  const { entry: _entry, ...rest } = JSON.parse(text) as { entry: unknown }; // the bundle just made
  expect(rest).toEqual({
    resourceType: "Bundle",
    type: "searchset",
    total: 1,
    link: [{ relation: "self", url: "https://api.example/v1/fhir/main/Observation?patient=1&_count=9" }],
  });
  expect(text).not.toMatch(/origin\.internal|score|1000/u);
  expect(text).toContain('"fullUrl":"https://api.example/v1/fhir/main/Observation/1"');
  expect(JSON.parse(released("Observation", bundle([])).text)).not.toHaveProperty("entry");
});

test("rows of a different patient stay back when an origin ignores the patient of the search", ({
  expect,
}) => {
  const rows = [
    observation("1"),
    observation("2", { subject: { reference: "Patient/2", display: "secret" } }),
    observation("3", { subject: { reference: "https://origin.internal/fhir/Patient/3" } }),
    observation("4", { subject: { reference: "Group/1" } }),
    observation("5", { subject: { reference: "https://elsewhere.example/fhir/Patient/1" } }),
    observation("6", { subject: undefined }),
  ];
  const { text, withheldResources, counts } = released("Observation?subject=Patient/1", bundle(rows));
  expect({ withheldResources, counts }).toEqual({ withheldResources: 4, counts: { Observation: 2 } });
  expect(text).not.toMatch(/secret|Patient\/3|Group/u);
  expect(released("Observation?subject=1", bundle(rows)).counts).toEqual({ Observation: 3 });
  expect(released("Observation?_id=1,6", bundle(rows)).counts).toEqual({ Observation: 2 });
});

test("an origin that says it did not search as asked is believed", ({ expect }) => {
  const said = (issue: object) => ({
    ...bundle([observation("1")]),
    entry: [
      { resource: observation("1") },
      { resource: { resourceType: "OperationOutcome", issue: [issue] }, search: { mode: "outcome" } },
    ],
  });
  expect(reason("Observation", said({ severity: "information", code: "informational" }))).toBe("released");
  expect(reason("Observation", said({ severity: "error", code: "processing" }))).toBe(
    "answer_not_a_searchset",
  );
  expect(reason("Observation", said({ severity: "fatal", code: "exception" }))).toBe(
    "answer_not_a_searchset",
  );
  expect(reason("Observation", said({ severity: "warning", code: "not-supported" }))).toBe(
    "answer_not_a_searchset",
  );
});

test("_count takes the first visible rows, and only what leaves is on record", ({ expect }) => {
  const rows = [
    observation("0", { category: [] }),
    observation("1"),
    observation("2", { subject: { reference: "Patient/2" } }),
    observation("3", { subject: { reference: "Patient/3" }, note: [{ text: "secret" }] }),
  ];
  const { text, counts, patients, withheldResources } = released(
    "Observation?_sort=-code&_count=2",
    bundle(rows),
  );
  expect(JSON.parse(text)).toMatchObject({ entry: [{ resource: { id: "1" } }, { resource: { id: "2" } }] });
  expect(JSON.parse(text)).not.toHaveProperty("total");
  expect(text).not.toMatch(/secret|Patient\/3/u);
  expect({ counts, withheldResources, patients: patients.map(({ patient }) => patient) }).toEqual({
    counts: { Observation: 2 },
    withheldResources: 1,
    patients: ["main/Patient/1", "main/Patient/2"],
  });
  expect(JSON.parse(released("Observation?_count=3", bundle(rows)).text)).toMatchObject({ total: 3 });
});

test("an odd row that is hidden or cannot be read is dropped and counted: it does not decide the status", ({
  expect,
}) => {
  const hidden = { category: [], note: [{ text: "secret" }] };
  for (const odd of [
    observation("../2", hidden),
    { ...observation("2", hidden), id: 7 },
    { ...observation("2", hidden), resourceType: "Patient" },
    { ...observation("2", hidden), resourceType: ["Observation"] },
    observation("../2", { note: [{ text: "secret" }] }),
    {},
  ]) {
    const { text, counts, withheldResources } = released("Observation", bundle([observation("1"), odd]));
    expect({ counts, withheldResources }, JSON.stringify(odd)).toEqual({
      counts: { Observation: 1 },
      withheldResources: 1,
    });
    expect(text).not.toContain("secret");
  }
});

test("hidden rows do not decide whether a page is full, nor whether more is said to follow", ({ expect }) => {
  const hidden = [2, 3, 4].map((id) => observation(String(id), { category: [] }));
  expect(
    JSON.parse(released("Observation?_count=1", bundle([observation("1"), ...hidden])).text),
  ).toMatchObject({
    total: 1,
    link: [{ relation: "self" }],
  });
});

test("a contained patient has no address and is recorded as a person; the patients it refers to are on record by name", ({
  expect,
}) => {
  const document = policy(
    rule(["Observation"], ["contained", "performer", "subject"]),
    rule(["Patient"], ["link.other", "link.type"]),
  );
  const link = [{ type: "seealso", other: { reference: "Patient/2" } }];
  const contained = [{ resourceType: "Patient", id: "in", link }];
  const { text, patients, unnamed } = released(
    "Observation/1",
    observation("1", { contained, performer: [{ reference: "#in" }] }),
    document,
  );
  expect(text).toContain("Patient/2");
  expect(patients.map(({ patient }) => patient).sort()).toEqual(["main/Patient/1", "main/Patient/2"]);
  expect(unnamed).toEqual(["Observation/1"]);
});

test("a version leaves only by a rule that reaches the resource as it is now too", ({ expect }) => {
  const version = (old: object, now: object, document = open) => {
    const grant = decide(document, "Observation/1/_history/3");
    if ("reason" in grant) throw new Error(grant.reason);
    const bytes = (resource: object) => new TextEncoder().encode(JSON.stringify(resource));
    const result = new Discloser(grant, bases).version(bytes(old), bytes(now), {
      type: "Observation",
      id: "1",
      version: "3",
    });
    return result.ok ? new TextDecoder().decode(result.value.windows[0]?.body) : result.error.reason;
  };
  const old = observation("1", { meta: { versionId: "3" }, note: [{ text: "then" }] });
  const now = observation("1", { meta: { versionId: "4" }, note: [{ text: "now" }] });
  expect(version(old, now)).toContain("then");
  expect(version(old, now)).not.toContain("now");
  expect(version(old, observation("1", { category: [] }))).toBe("row_outside_access");
  expect(version(observation("1", { category: [], meta: { versionId: "3" } }), now)).toBe(
    "row_outside_access",
  );
  expect(
    version(old, observation("1", { modifierExtension: [{ url: "urn:not", valueBoolean: true }] })),
  ).toBe("resource_withheld");
  expect(version({ ...old, modifierExtension: [{ url: "urn:not", valueBoolean: true }] }, now)).toBe(
    "resource_withheld",
  );
  for (const wrong of [
    { ...old, id: "2" },
    { ...old, meta: { versionId: "4" } },
    { ...old, meta: undefined },
    { ...old, resourceType: "Patient" },
  ])
    expect(version(wrong, now)).toBe("answer_mismatch");
  expect(version(old, { ...now, id: "2" })).toBe("answer_mismatch");
  // A hidden row under a different id or version looks like any hidden row.
  const hidden = observation("1", { category: [] });
  for (const wrong of [
    { ...old, id: "2" },
    { ...old, meta: undefined },
    { ...old, ...hidden },
  ])
    expect(version(wrong, hidden)).toBe("row_outside_access");
  expect(version(old, { ...hidden, id: "2" })).toBe("row_outside_access");
  expect(reason("Observation/1", { ...hidden, id: "2" })).toBe("row_outside_access");

  // Two rules of the same type: a row that only the narrow rule covers now never shows by the wide rule.
  const code = (value: string) => ({ category: [{ coding: [{ system: "urn:c", code: value }] }] });
  const two = policy(
    rule(["Observation"], ["category", "note"], { where: [{ path: "category", in: ["urn:c|lab"] }] }),
    rule(["Observation"], ["category"], { where: [{ path: "category", in: ["urn:c|lab", "urn:c|vital"] }] }),
  );
  expect(version({ ...old, ...code("lab") }, { ...now, ...code("lab") }, two)).toContain("then");
  expect(version({ ...old, ...code("lab") }, { ...now, ...code("vital") }, two)).not.toContain("then");
});

function windowsOf(page: Page): readonly DisclosedWindow[] {
  const finished = page.finish(undefined, true);
  if (!finished.ok) throw new Error(finished.error.reason);
  return finished.value.windows;
}

test("resources included for hidden rows do not make an answer too large; only released resources do", ({
  expect,
}) => {
  const grant = decide(
    policy(rule(["Observation", "Encounter"], "everything")),
    "Observation?_include=Observation:encounter",
  );
  if ("reason" in grant || grant.expects.kind !== "search") throw new Error("refused");
  const { expects } = grant;
  const bring = (sizeOf: (n: number) => number, led: (n: number) => boolean) => {
    const page = new Page(grant, expects, bases);
    const ids = Array.from({ length: 40 }, (_, n) => n);
    for (const n of ids.filter(led)) {
      const row = observation(`o${n}`, { encounter: { reference: `Encounter/e${n}` } });
      page.offer(new TextEncoder().encode(JSON.stringify({ resource: row })));
    }
    for (const n of ids) {
      const resource = {
        resourceType: "Encounter",
        id: `e${n}`,
        text: { status: "generated", div: "x".repeat(sizeOf(n)) },
      };
      const offered = page.offer(
        new TextEncoder().encode(JSON.stringify({ resource, search: { mode: "include" } })),
      );
      if (!offered.ok) return offered.error.reason;
    }
    const finished = page.finish(undefined, true);
    if (!finished.ok) return finished.error.reason;
    return finished.value.windows
      .flatMap(({ counts }) => counts["Encounter"] ?? [])
      .reduce((sum, some) => sum + some, 0);
  };
  // 40 MB, of which 4 MB leave; the same without the rest.
  expect(
    bring(
      () => 1_000_000,
      (n) => n % 10 === 0,
    ),
  ).toBe(4);
  expect(
    bring(
      (n) => (n % 10 === 0 ? 1_000_000 : 1),
      (n) => n % 10 === 0,
    ),
  ).toBe(4);
  // 10 MB leave, with 30 MB of further data and without it.
  expect(
    bring(
      () => 1_000_000,
      (n) => n % 4 === 0,
    ),
  ).toBe("answer_too_large");
  expect(
    bring(
      (n) => (n % 4 === 0 ? 1_000_000 : 1),
      (n) => n % 4 === 0,
    ),
  ).toBe("answer_too_large");
});

test("an answer over 1 MiB is windows of whole entries, each with its own patients and counts, that join to the whole", ({
  expect,
}) => {
  const rows = Array.from({ length: 100 }, (_, n) =>
    observation(String(n), { subject: { reference: `Patient/${n}` }, note: [{ text: "x".repeat(40_000) }] }),
  );
  const grant = decide(open, "Observation?_count=100");
  if ("reason" in grant || grant.expects.kind !== "search") throw new Error("refused");
  const page = new Page(grant, grant.expects, bases);
  for (const resource of rows)
    expect(page.offer(new TextEncoder().encode(JSON.stringify({ resource }))).ok).toBe(true);
  const windows = windowsOf(page);
  expect(windows.length).toBe(4);
  const texts = windows.map(({ body }) => new TextDecoder().decode(body));
  expect(JSON.parse(texts.join(""))).toMatchObject({
    total: 100,
    entry: rows.map(({ id }) => ({ resource: { id } })),
  });
  for (const [index, { body, counts, patients }] of windows.entries()) {
    if (index < 3) expect(body.length).toBeGreaterThanOrEqual(1_048_576);
    expect(body.length).toBeLessThan(1_048_576 + 41_000);
    const ids = [...(texts[index] ?? "").matchAll(/"id":"(\d+)"/gu)].map(([, id]) => `main/Patient/${id}`);
    expect(patients.map(({ patient }) => patient)).toEqual(ids);
    expect(counts).toEqual({ Observation: ids.length });
  }
});

test("a window concerns 5,000 patients at most, so that it fits one append; a resource that alone concerns more does not leave", ({
  expect,
}) => {
  const crowd = (id: string, size: number) =>
    observation(id, {
      performer: Array.from({ length: size }, (_, n) => ({ reference: `Patient/${id}-${n}` })),
    });
  const grant = decide(open, "Observation");
  if ("reason" in grant || grant.expects.kind !== "search") throw new Error("refused");
  const page = new Page(grant, grant.expects, bases);
  for (const id of ["a", "b", "c"])
    expect(page.offer(new TextEncoder().encode(JSON.stringify({ resource: crowd(id, 2_400) })))).toEqual({
      ok: true,
      value: "shown",
    });
  expect(windowsOf(page).map(({ patients }) => patients.length)).toEqual([4_801, 2_401]);
  expect(reason("Observation/a", crowd("a", 4_999))).toBe("released");
  expect(reason("Observation/a", crowd("a", 5_000))).toBe("resource_withheld");
  expect(released("Observation", bundle([crowd("a", 5_000), crowd("b", 1)]))).toMatchObject({
    counts: { Observation: 1 },
    withheldResources: 1,
  });
});

test("a page ends early before its entries are over 8 MiB", ({ expect }) => {
  const grant = decide(open, "Observation");
  if ("reason" in grant || grant.expects.kind !== "search") throw new Error("refused");
  const page = new Page(grant, grant.expects, bases);
  const entry = (id: number) =>
    new TextEncoder().encode(
      JSON.stringify({ resource: observation(String(id), { note: [{ text: "x".repeat(3_000_000) }] }) }),
    );
  const offered = [1, 2, 3].map((id) => page.offer(entry(id)));
  expect(offered.map((one) => one.ok && one.value)).toEqual(["shown", "shown", "beyond"]);
});

test("only matches of the asked type leave: includes and outcomes are dropped, anything else refuses the answer", ({
  expect,
}) => {
  const extra = (resource: object, mode: string) => ({
    resourceType: "Bundle",
    type: "searchset",
    entry: [{ resource: observation("1") }, { resource, search: { mode } }],
  });
  expect(
    released(
      "Observation",
      extra({ resourceType: "Patient", id: "9", name: [{ family: "secret" }] }, "include"),
    ).text,
  ).not.toContain("secret");
  expect(
    released(
      "Observation",
      extra({ resourceType: "OperationOutcome", issue: [{ diagnostics: "origin.internal" }] }, "outcome"),
    ).text,
  ).not.toContain("origin");
  expect(reason("Observation", extra({ resourceType: "Patient", id: "9", category: [lab] }, "match"))).toBe(
    "answer_mismatch",
  );
  expect(reason("Observation", extra({ resourceType: "Patient", id: "9" }, "surprise"))).toBe(
    "answer_not_a_searchset",
  );
  const anyRow = policy(rule(["Observation"], ["code"]));
  expect(reason("Observation", bundle([bundle([observation("1")])]), anyRow)).toBe("answer_mismatch");
  for (const body of [
    observation("1"),
    { resourceType: "Bundle", type: "batch-response", entry: [] },
    { resourceType: "Bundle", type: "searchset", entry: {} },
    { resourceType: "Bundle", type: "searchset", entry: [{}] },
    { resourceType: "Bundle", type: "searchset", link: "next" },
    ...["1", true, null, [9], {}, -1, 1.5].map((total) => bundle([observation("1")], { total })),
  ]) {
    expect(reason("Observation", body), JSON.stringify(body)).toBe("answer_not_a_searchset");
  }
  expect(reason("Observation", { resourceType: "Bundle", type: "searchset", entry: [null] })).toBe(
    "answer_not_json",
  );
});

test("the origin's address leaves in no string, escaped slashes included", ({ expect }) => {
  const { text } = released(
    "Patient/1",
    String.raw`{"resourceType":"Patient","id":"1","name":[{"text":"see https:\/\/origin.internal\/fhir\/Patient\/1"}],"photo":[{"url":"https://origin.internal/files/1.jpg"}],"identifier":[{"system":"https://origin.internal/fhir/sid","value":"1"}]}`,
  );
  expect(text).not.toContain("origin.internal");
  expect(text).toContain("https://api.example/v1/fhir/main/Patient/1");
});

test("each kind of element keeps what it means: names stay apart, addresses lead to the gateway or nowhere, texts tell nothing", ({
  expect,
}) => {
  const everything = policy(
    rule(["Patient"], ["identifier", "photo", "generalPractitioner", "meta.source", "meta.profile", "name"]),
  );
  const { text } = released(
    "Patient/1",
    {
      resourceType: "Patient",
      id: "1",
      meta: {
        source: "https://origin.internal/feed#1",
        profile: ["https://origin.internal/fhir/StructureDefinition/x"],
      },
      identifier: [
        { system: "https://origin.internal/mrn", value: "1" },
        { system: "https://origin.internal/visit", value: "1" },
      ],
      photo: [{ url: "https://origin.internal/files/1.jpg", title: "x" }],
      generalPractitioner: [{ reference: "https://origin.internal/x/Practitioner/1", display: "Dr" }],
      name: [{ text: "https://origin.internal/x" }],
    },
    everything,
  );
  expect(JSON.parse(text)).toMatchObject({
    identifier: [
      { system: "https://origin.internal/mrn", value: "1" },
      { system: "https://origin.internal/visit", value: "1" },
    ],
    photo: [{ title: "x" }],
    generalPractitioner: [{ display: "Dr" }],
    meta: { profile: [`${bases.public}/StructureDefinition/x`] },
    name: [{ text: bases.public }],
  });
  expect(text).not.toMatch(/feed|files|Practitioner\/1/u);
});

test("every owner of a released row is named, and every patient that released elements name, each with its counts; patients that only hidden elements name are not", ({
  expect,
}) => {
  const hiding = policy(rule(["Observation"], ["code"]), rule(["Encounter"], ["participant.individual"]));
  const { patients, unnamed, text } = released(
    "Observation",
    bundle([
      observation("1", { performer: [{ reference: "Patient/mother" }] }),
      observation("2", { subject: { reference: "https://origin.internal/fhir/Patient/1" } }),
      observation("3", { subject: { reference: "Group/g" } }),
      observation("4", { subject: { reference: "https://elsewhere.example/Patient/1" } }),
    ]),
    hiding,
  );
  expect(text).not.toContain("mother");
  expect(patients).toEqual([{ patient: "main/Patient/1", counts: { Observation: 2 } }]);
  expect(unnamed).toEqual(["Observation/3", "Observation/4"]);
  const mention = released(
    "Encounter/1",
    {
      resourceType: "Encounter",
      id: "1",
      status: "finished",
      class: { code: "AMB" },
      subject: { reference: "Patient/1" },
      participant: [{ individual: { reference: "Patient/relative" } }],
    },
    hiding,
  );
  expect(mention.patients.map(({ patient }) => patient)).toEqual(["main/Patient/1", "main/Patient/relative"]);
});

test("a patient named by a released element is on record, in any form of the reference", ({ expect }) => {
  const encounters = policy(
    rule(["Encounter"], ["participant.individual", "length"], { extensions: ["urn:e"] }),
  );
  const written = [
    "HTTPS://ORIGIN.internal/fhir/Patient/a",
    "http://origin.internal/fhir/Patient/b",
    "//origin.internal/fhir/Patient/c",
    "https://origin.internal/fhir//Patient/d",
    "https://api.example/v1/fhir/main/Patient/e",
    "Patient/f#a",
    "Patient/g?x",
    "/Patient/h",
    " Patient/i ",
  ];
  const encounter = (participant: readonly object[], more: object = {}) => ({
    resourceType: "Encounter",
    id: "1",
    status: "finished",
    class: { code: "AMB" },
    subject: { reference: "Patient/1" },
    participant: participant.map((individual) => ({ individual })),
    ...more,
  });
  const { patients, unnamed } = released(
    "Encounter/1",
    encounter(written.map((reference) => ({ reference }))),
    encounters,
  );
  expect(patients.map(({ patient }) => patient)).toEqual(
    "1abcdefghi".split("").map((id) => `main/Patient/${id}`),
  );
  expect(unnamed).toEqual([]);
  const somebody = [
    { reference: "Patient?identifier=7" },
    { reference: "https://e.example/Patient/7" },
    { type: "Patient", display: "A" },
  ];
  for (const one of somebody)
    expect(released("Encounter/1", encounter([one]), encounters).unnamed, JSON.stringify(one)).toEqual([
      "Encounter/1",
    ]);
  const inExtension = { extension: [{ url: "urn:e", valueUrl: "HTTPS://ORIGIN.internal/fhir/Patient/z" }] };
  expect(
    released("Encounter/1", encounter([], { participant: undefined, ...inExtension }), encounters).patients,
  ).toHaveLength(2);
  const hidden = policy(rule(["Encounter"], ["class"]));
  expect(
    released("Encounter/1", encounter(written.map((reference) => ({ reference }))), hidden).patients,
  ).toHaveLength(1);
});

test("a resource that cannot be understood is withheld: 404 for a read, missing from a list", ({
  expect,
}) => {
  const odd = observation("1", { modifierExtension: [{ url: "urn:not", valueBoolean: true }] });
  expect(answer("Observation/1", odd)).toEqual({
    ok: false,
    error: { reason: "resource_withheld", because: "modifier_extension" },
  });
  expect(released("Observation", bundle([odd, observation("2")]))).toMatchObject({
    counts: { Observation: 1 },
    withheldResources: 1,
  });
});

test("the withheld paths come from the view and are equal for every instance", ({ expect }) => {
  const paths = (body: object) =>
    released("Patient/1", { resourceType: "Patient", id: "1", ...body }).withheldPaths;
  expect(paths({})).toEqual(paths({ birthDate: "2000", telecom: [{ value: "x" }] }));
  expect(paths({})).toEqual(
    expect.arrayContaining([
      "birthDate",
      "telecom",
      "address",
      "extension",
      "text",
      "meta.versionId",
      "link.other",
      "deceasedDateTime",
    ]),
  );
  expect(paths({})).not.toContain("name");
});

test("numbers keep their text on the way through", ({ expect }) => {
  const { text } = released(
    "Observation/1",
    '{"resourceType":"Observation","id":"1","status":"final","category":[{"coding":[{"system":"urn:c","code":"lab"}]}],"code":{"text":"x"},"valueQuantity":{"value":1.10,"code":"m","system":"u"}}',
  );
  expect(text).toContain('"value":1.10,');
});

test("no bytes and no JSON make the disclosure throw, and a refusal has no part of the body", ({
  expect,
}) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.jsonValue().map((value) => new TextEncoder().encode(JSON.stringify(value))),
      ),
      (bytes) => {
        for (const request of ["Patient/1", "Observation"])
          expect(disclose(bytes, open, request, bases).ok).toBe(false);
      },
    ),
    { numRuns: 200 },
  );
  const member = fc.constantFrom("entry", "link", "total", "type", "resourceType", "resource", "search");
  fc.assert(
    fc.property(fc.dictionary(member, fc.jsonValue({ maxDepth: 3 })), (odd) => {
      const result = answer("Observation", {
        ...bundle([observation("1", { note: [{ text: "secret" }] })]),
        ...odd,
      });
      if (!result.ok) expect(JSON.stringify(result)).not.toContain("secret");
    }),
  );
});
