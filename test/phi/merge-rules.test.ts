import { test } from "vitest";
import type { Json, JsonObject } from "#fhir/json/json";
import { patchShown } from "#phi/merge/merge-body";
import { readPatch } from "#fhir/json/patch";
import type { ResourceView } from "#policy/compile";
import { asRead, bases, isRefused, look, merge, viewOf } from "./merging.ts";

/** The stored resource after its writer changed the shown one; or the place and reason of a refusal. */
function written(
  stored: JsonObject,
  view: ResourceView,
  change: (body: Record<string, Json>) => void,
  beside?: Parameters<typeof look>[2],
) {
  const seen = look(stored, view, beside);
  if (seen === undefined) throw new Error("it does not leave");
  const body = asRead(seen.shown) as Record<string, Json>; // an object, as before
  change(body);
  const merged = merge(seen, body);
  return isRefused(merged) ? merged.map(({ expression }) => expression) : merged;
}

function patched(
  stored: JsonObject,
  view: ResourceView,
  operations: readonly JsonObject[],
  beside?: Parameters<typeof look>[2],
) {
  const seen = look(stored, view, beside);
  const patch = readPatch(operations);
  if (seen === undefined || !patch.ok) throw new Error("it does not leave, or is no patch");
  const body = patchShown(seen.shown, patch.value, seen.sources);
  if (!body.ok) return body.error.reason;
  const merged = merge(seen, body.value, true);
  return isRefused(merged) ? merged.map(({ expression }) => expression) : merged;
}

const patient = (more: Record<string, Json>): JsonObject => ({ resourceType: "Patient", id: "p", ...more });

test("hidden items of a list stay in place when the visible ones around them change, go and come", ({
  expect,
}) => {
  const stored = patient({
    identifier: [
      { system: "urn:ssn", value: "1" },
      { system: "urn:mrn", value: "2" },
      { system: "urn:ssn", value: "3" },
      { system: "urn:mrn", value: "4" },
    ],
  });
  const view = viewOf("Patient", ["identifier[system=urn:mrn]"], "all");
  const values = (resource: unknown) =>
    ((resource as JsonObject)["identifier"] as readonly JsonObject[]).map(({ value }) => value);
  const set = (...mrns: readonly string[]) =>
    values(
      written(
        stored,
        view,
        (body) => void (body["identifier"] = mrns.map((value) => ({ system: "urn:mrn", value }))),
      ),
    );
  expect(set("2", "5")).toEqual(["1", "2", "3", "5"]);
  expect(set("4", "2")).toEqual(["1", "4", "2", "3"]);
  expect(set("0", "2", "4", "6")).toEqual(["1", "0", "2", "3", "4", "6"]);
  expect(values(written(stored, view, (body) => void delete body["identifier"]))).toEqual(["1", "3"]);
  expect(
    written(stored, view, (body) => void (body["identifier"] = [{ system: "urn:ssn", value: "9" }])),
  ).toEqual(["Patient.identifier[0]"]);
});

test("items that are hidden in part are known by their id, or by what PATCH names; else they are neither changed nor lost", ({
  expect,
}) => {
  const stored = patient({
    name: [
      { id: "a", family: "Okafor", given: ["Amara"] },
      { family: "Eze", given: ["Chidi"] },
    ],
  });
  const view = viewOf("Patient", ["name.id", "name.family"], "all");
  const names = (change: (list: Record<string, Json>[]) => void) =>
    written(stored, view, (body) => change(body["name"] as Record<string, Json>[])); // the list that was read
  expect(names((list) => Object.assign(list[0] ?? {}, { family: "Nagy" }))).toMatchObject({
    name: [
      { family: "Nagy", given: ["Amara"] },
      { family: "Eze", given: ["Chidi"] },
    ],
  });
  expect(names((list) => list.reverse())).toMatchObject({
    name: [{ given: ["Chidi"] }, { given: ["Amara"] }],
  });
  expect(names((list) => list.push({ family: "New" }))).toMatchObject({
    name: [{ given: ["Amara"] }, { given: ["Chidi"] }, { family: "New" }],
  });
  expect(names((list) => Object.assign(list[1] ?? {}, { family: "Nagy" }))).toEqual(["Patient.name"]);
  expect(names((list) => list.pop())).toEqual(["Patient.name"]);

  expect(patched(stored, view, [{ op: "replace", path: "/name/1/family", value: "Nagy" }])).toMatchObject({
    name: [{}, { family: "Nagy", given: ["Chidi"] }],
  });
  expect(
    patched(stored, view, [{ op: "replace", path: "/name/1", value: { family: "Nagy" } }]),
  ).toMatchObject({
    name: [{}, { family: "Nagy", given: ["Chidi"] }],
  });
  expect(patched(stored, view, [{ op: "move", from: "/name/1", path: "/name/0" }])).toMatchObject({
    name: [{ given: ["Chidi"] }, { given: ["Amara"] }],
  });
  expect(patched(stored, view, [{ op: "remove", path: "/name/1" }])).toEqual(["Patient.name"]);
  expect(
    patched(stored, view, [{ op: "copy", from: "/name/1", path: "/name/-" }]),
    "what is hidden of an item is not copied",
  ).toMatchObject({
    name: [{ given: ["Amara"] }, { given: ["Chidi"] }, { family: "Eze" }],
  });
  expect(
    JSON.stringify(patched(stored, view, [{ op: "copy", from: "/name/1", path: "/name/-" }])).match(
      /Chidi/gu,
    ),
  ).toHaveLength(1);
});

test("a moved object keeps its source, along any path of moves", ({ expect }) => {
  const stored = patient({
    extension: [{ url: "urn:a", valueString: "a" }],
    maritalStatus: { extension: [{ url: "urn:b", valueString: "b" }], text: "m" },
  });
  const moved = patched(stored, viewOf("Patient", ["maritalStatus"], "all"), [
    { op: "move", from: "/extension/0", path: "/maritalStatus" },
    { op: "remove", path: "/maritalStatus" },
  ]);
  expect(moved).toEqual(patient({}));
});

test("the positions of a patch count the shown items", ({ expect }) => {
  const stored = patient({
    identifier: [
      { system: "urn:ssn", value: "1" },
      { system: "urn:mrn", value: "2" },
    ],
  });
  const view = viewOf("Patient", ["identifier[system=urn:mrn]"], "all");
  expect(patched(stored, view, [{ op: "replace", path: "/identifier/0/value", value: "9" }])).toMatchObject({
    identifier: [{ value: "1" }, { value: "9" }],
  });
  expect(patched(stored, view, [{ op: "replace", path: "/identifier/1/value", value: "9" }])).toBe(
    "patch_not_applicable",
  );
  expect(patched(stored, view, [{ op: "remove", path: "/identifier/0" }])).toMatchObject({
    identifier: [{ value: "1" }],
  });
});

test("a choice is one path: a form that is hidden is never overwritten by one that is shown", ({
  expect,
}) => {
  const whole = viewOf("Observation", ["status", "code", "value[x]"], "all");
  const part = viewOf("Observation", ["status", "code", "valueString"], "all");
  const observation = (more: Record<string, Json>): JsonObject => ({
    resourceType: "Observation",
    id: "o",
    status: "final",
    code: { text: "x" },
    ...more,
  });
  const set = (value: Json) => (body: Record<string, Json>) => {
    delete body["valueQuantity"];
    body["valueString"] = value;
  };
  const [quantity, nothing] = [observation({ valueQuantity: { unit: "mg" } }), observation({})];
  expect(written(quantity, whole, set("high"))).toEqual(observation({ valueString: "high" }));
  for (const stored of [quantity, nothing])
    expect(written(stored, part, set("high")), "whether another form is there does not show").toEqual([
      "Observation.value",
    ]);
  expect(written(observation({ valueString: "low" }), part, set("high"))).toMatchObject({
    valueString: "high",
  });
});

test("a generalised or masked element stays as it is stored: sent back it is kept, changed it is refused", ({
  expect,
}) => {
  const dead = patient({ birthDate: "1980-01-01", deceasedDateTime: "2020-01-01" });
  const view = viewOf("Patient", ["birthDate"], "all");
  expect(written(dead, view, (body) => void (body["birthDate"] = "1980-01-02"))).toEqual({
    ...dead,
    birthDate: "1980-01-02",
  });
  expect(written(dead, view, (body) => void (body["deceasedBoolean"] = false))).toEqual(["Patient.deceased"]);
  expect(written(dead, view, (body) => void delete body["deceasedBoolean"])).toEqual(["Patient.deceased"]);

  const claim: JsonObject = {
    resourceType: "Observation",
    id: "o",
    status: "final",
    code: { text: "secret" },
    issued: "2020-01-01T00:00:00Z",
  };
  const narrow = viewOf("Observation", ["issued"], "all");
  expect(written(claim, narrow, (body) => void (body["issued"] = "2021-01-01T00:00:00Z"))).toEqual({
    ...claim,
    issued: "2021-01-01T00:00:00Z",
  });
  expect(written(claim, narrow, (body) => void delete body["code"])).toEqual(claim);
  expect(written(claim, narrow, (body) => void (body["code"] = { text: "other" }))).toEqual([
    "Observation.code",
  ]);
});

test("labels and profiles are the stored ones; a label that is asked for is refused, not forgotten", ({
  expect,
}) => {
  const meta = {
    versionId: "3",
    profile: ["urn:p"],
    security: [{ system: "urn:s", code: "N" }],
    tag: [{ system: "urn:t", code: "kept" }],
  };
  const stored = patient({ meta, birthDate: "1980-01-01" });
  const [open, closed] = [
    viewOf("Patient", ["meta", "birthDate"], "all"),
    viewOf("Patient", ["birthDate"], "all"),
  ];
  const change = (more: Record<string, Json> | undefined) => (body: Record<string, Json>) => {
    body["birthDate"] = "1980-01-02";
    if (more === undefined) delete body["meta"];
    else body["meta"] = more;
  };
  for (const view of [open, closed]) {
    expect(written(stored, view, change(undefined))).toEqual({ ...stored, birthDate: "1980-01-02" });
    expect(written(stored, view, change({ versionId: "9", profile: ["urn:other"] }))).toMatchObject({
      meta: { versionId: "3", profile: ["urn:p"], security: meta.security },
    });
    expect(written(stored, view, change({ security: [{ system: "urn:s", code: "R" }] }))).toContain(
      "Patient.meta.security",
    );
  }
  expect(written(stored, open, change({ tag: [{ system: "urn:t", code: "new" }] }))).toMatchObject({
    meta: { tag: [{ code: "new" }] },
  });
  expect(written(stored, closed, change({ tag: [{ system: "urn:t", code: "new" }] }))).toEqual([
    "Patient.meta",
  ]);
});

test("a patch takes tags away, and neither labels nor profiles", ({ expect }) => {
  const meta = {
    profile: ["urn:p"],
    security: [{ system: "urn:s", code: "N" }],
    tag: [{ system: "urn:t", code: "one" }],
  };
  const stored = patient({ meta, birthDate: "1980-01-01" });
  const view = viewOf("Patient", ["meta", "birthDate"], "all");
  expect(patched(stored, view, [{ op: "remove", path: "/meta/tag/0" }])).toEqual(
    patient({ meta: { profile: meta.profile, security: meta.security }, birthDate: "1980-01-01" }),
  );
  expect(patched(stored, view, [{ op: "remove", path: "/meta/security" }])).toEqual([
    "Patient.meta.security",
  ]);
  expect(patched(stored, view, [{ op: "add", path: "/meta/profile/-", value: "urn:q" }])).toEqual([
    "Patient.meta.profile",
  ]);
});

test("a hidden narrative goes when what it was generated from changes; one that says more forbids the change", ({
  expect,
}) => {
  const view = viewOf("Patient", ["birthDate"], "all");
  const of = (status: string) => patient({ text: { status, div: "<div/>" }, birthDate: "1980-01-01" });
  const change = (body: Record<string, Json>) => void (body["birthDate"] = "1980-01-02");
  for (const status of ["generated", "extensions"])
    expect(written(of(status), view, change)).toEqual(patient({ birthDate: "1980-01-02" }));
  expect(written(of("empty"), view, change)).toMatchObject({ text: { status: "empty" } });
  expect(written(of("additional"), view, change)).toEqual(["Patient.text"]);
  expect(written(of("generated"), view, () => {})).toEqual(of("generated"));
});

test("extensions are written by their URL: hidden ones stay where they are, of an element that is gone too", ({
  expect,
}) => {
  const hidden = { url: "urn:hidden", valueString: "h" };
  const stored = patient({
    extension: [hidden, { url: "urn:open", valueString: "o" }],
    birthDate: "1980-01-01",
    _birthDate: { extension: [hidden] },
  });
  const view = viewOf("Patient", ["birthDate"], ["urn:open"]);
  const open = (value: string) => ({ url: "urn:open", valueString: value });
  expect(written(stored, view, (body) => void (body["extension"] = [open("2"), open("3")]))).toMatchObject({
    extension: [hidden, open("2"), open("3")],
  });
  expect(written(stored, view, (body) => void (body["extension"] = [hidden]))).toEqual([
    "Patient.extension[0]",
  ]);
  expect(written(stored, view, (body) => void delete body["birthDate"])).toEqual(
    patient({ extension: stored["extension"] ?? null, _birthDate: { extension: [hidden] } }),
  );
  const names = patient({ name: [{ given: ["A", "B"], _given: [null, { extension: [hidden] }] }] });
  expect(
    written(names, viewOf("Patient", ["name"]), (body) => void (body["name"] = [{ given: ["C"] }])),
  ).toEqual(patient({ name: [{ _given: [{ extension: [hidden] }] }, { given: ["C"] }] }));
});

test("an extension of the URL of a statement is neither written nor lost, at any depth", ({ expect }) => {
  const statement = (valueString: string) => ({
    url: "urn:phylax:statement",
    extension: [{ url: "summary", valueString }],
  });
  const own = { url: "https://example.org/own", valueString: "own" };
  const stored = {
    resourceType: "Patient",
    id: "a",
    extension: [own, statement("of the origin")],
    name: [{ family: "Rossi", extension: [statement("inside")] }],
  };
  const seen = look(stored, viewOf("Patient", ["id", "name", "gender"], "all"));
  if (seen === undefined) throw new Error("unseen");
  const sent = [
    { ...seen.shown, gender: "female" },
    { ...seen.shown, gender: "female", extension: [own, statement("of the gateway"), statement("two")] },
    { resourceType: "Patient", id: "a", gender: "female", name: [{ family: "Rossi" }], extension: [own] },
  ];
  for (const body of sent) expect(merge(seen, body)).toEqual({ ...stored, gender: "female" });
  const { extension: _extension, ...without } = sent[2] ?? {};
  expect(merge(seen, without)).toEqual({
    ...stored,
    gender: "female",
    extension: [statement("of the origin")],
  });
});

test("a link of the URL of a statement is data, and a modifier extension of it is refused by name", ({
  expect,
}) => {
  const url = "urn:phylax:statement";
  const [link, modifierExtension] = [[{ relation: "self", url }], [{ url, valueString: "data" }]];
  const bundle = { resourceType: "Bundle", id: "b", type: "collection" };
  expect(
    written(bundle, viewOf("Bundle", ["type", "link"], "all"), (body) => void Object.assign(body, { link })),
  ).toEqual({ ...bundle, link });
  expect(
    written(
      patient({}),
      viewOf("Patient", ["gender"], "all"),
      (body) => void Object.assign(body, { modifierExtension }),
    ),
  ).toEqual(["Patient.modifierExtension[0]"]);
});

test("contained resources are changed by their id and their own rule, and a hidden one stays", ({
  expect,
}) => {
  const stored: JsonObject = {
    resourceType: "MedicationRequest",
    id: "m",
    contained: [
      { resourceType: "Medication", id: "med", code: { text: "old" }, status: "active" },
      { resourceType: "Patient", id: "pat", name: [{ family: "hidden" }] },
    ],
    medicationReference: { reference: "#med" },
    subject: { reference: "#pat" },
  };
  const view = { ...viewOf("MedicationRequest", ["contained", "medication[x]"], "all"), subsetted: false };
  const inside = (one: JsonObject) =>
    one["resourceType"] === "Medication" ? viewOf("Medication", ["code"], "all") : undefined;
  const contained = (change: (list: Record<string, Json>[]) => void) =>
    written(stored, view, (body) => change(body["contained"] as Record<string, Json>[]), {
      viewInside: inside,
    }); // the list that was read
  expect(contained((list) => Object.assign(list[0] ?? {}, { code: { text: "new" } }))).toEqual({
    ...stored,
    contained: [
      { resourceType: "Medication", id: "med", code: { text: "new" }, status: "active" },
      (stored["contained"] as readonly Json[])[1],
    ],
  });
  expect(contained((list) => Object.assign(list[0] ?? {}, { ingredient: [] }))).toContain(
    "MedicationRequest.contained[0].ingredient",
  );
  for (const id of ["pat", "new"])
    expect(
      contained((list) => list.push({ resourceType: "Medication", id })),
      "a taken id looks like a free one",
    ).toEqual(["MedicationRequest.contained"]);
  expect(contained((list) => list.pop())).toEqual(["MedicationRequest.contained"]);
});

test("a reference below the gateway's address is stored as one of the origin, and one that was read is stored as it was", ({
  expect,
}) => {
  const stored: JsonObject = {
    resourceType: "Observation",
    id: "o",
    subject: { reference: `${bases.origin}/Patient/1` },
    performer: [{ reference: "Practitioner/1" }],
  };
  const view = viewOf("Observation", ["subject", "performer", "instantiatesCanonical"], "all");
  expect(
    written(
      stored,
      view,
      (body) => void (body["performer"] = [{ reference: `${bases.public}/Practitioner/2` }]),
    ),
  ).toEqual({
    ...stored,
    performer: [{ reference: "Practitioner/2" }],
  });
});

test("an object with a hidden required element can be changed around it, and cannot be created", ({
  expect,
}) => {
  const view = viewOf("Patient", ["communication.preferred"], "all");
  const one = patient({ communication: [{ language: { text: "hidden" }, preferred: true }] });
  expect(
    patched(one, view, [{ op: "replace", path: "/communication/0/preferred", value: false }]),
  ).toMatchObject({
    communication: [{ language: { text: "hidden" }, preferred: false }],
  });
  expect(written(patient({}), view, (body) => void (body["communication"] = [{ preferred: true }]))).toEqual([
    "Patient.communication[0]",
  ]);
});

// Possible values of Patient.link.other: the law must not depend on the value that a writer without access
// cannot see.
const hiddenOthers: readonly JsonObject[] = [
  { reference: "Patient/hidden" },
  { reference: "Patient/hidden", display: "hidden" },
  { identifier: { value: "hidden" } },
  { display: "hidden" },
];

test("the other Patient of a link that is shown as masked is never set, and whether it has a reference or a name does not show", ({
  expect,
}) => {
  const view = viewOf("Patient", ["link", "managingOrganization"], "all");
  const organization = { display: "Clinic" };
  for (const other of hiddenOthers) {
    const stored = patient({ managingOrganization: organization, link: [{ type: "seealso", other }] });
    const refused = ["Patient.link[0].other"];
    const copy = { op: "copy", from: "/managingOrganization", path: "/link/0/other" };
    expect(patched(stored, view, [copy]), JSON.stringify(other)).toEqual(refused);
    for (const value of [
      { reference: "Patient/own" },
      { display: "own" },
      { identifier: { value: "own" } },
    ]) {
      expect(
        patched(stored, view, [{ op: "replace", path: "/link/0/other", value }]),
        JSON.stringify(other),
      ).toEqual(refused);
      expect(
        written(stored, view, (body) => void (body["link"] = [{ id: "x", type: "seealso", other: value }])),
        "a link that is not known again is one taken away and one added",
      ).toEqual(expect.arrayContaining([expect.stringMatching(/^Patient\.link/u)]));
    }
    expect(patched(stored, view, [{ op: "replace", path: "/link/0/type", value: "refer" }])).toMatchObject({
      link: [{ type: "refer", other }],
    });
    expect(written(stored, view, () => {})).toEqual(stored);
  }
});

test("a link is added, and one that is seen changed, only where its other Patient may be seen", ({
  expect,
}) => {
  const view = viewOf("Patient", ["link"], "all");
  const mayLinkTo = (other: JsonObject) => other["reference"] === "Patient/own";
  const link = (reference: string) => ({ type: "seealso", other: { reference } });
  const none = patient({});
  const add = (reference: string) =>
    written(none, view, (body) => void (body["link"] = [link(reference)]), { mayLinkTo });
  expect(add("Patient/own")).toEqual(patient({ link: [link("Patient/own")] }));
  expect(add(`${bases.public}/Patient/own`)).toEqual(patient({ link: [link("Patient/own")] }));
  expect(add("Patient/other")).toEqual(["Patient.link[0].other"]);
  expect(add(`${bases.public}/Patient/other`)).toEqual(["Patient.link[0].other"]);

  const stored = patient({ link: [link("Patient/own")] });
  const change = (value: Json) =>
    patched(stored, view, [{ op: "replace", path: "/link/0/other", value }], { mayLinkTo });
  expect(change({ reference: "Patient/own", display: "o" })).toMatchObject({
    link: [{ other: { display: "o" } }],
  });
  expect(change({ reference: "Patient/other" })).toEqual(["Patient.link[0].other"]);
  expect(change({ display: "o" })).toEqual(["Patient.link[0].other"]);
});
