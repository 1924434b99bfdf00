import { test } from "vitest";
import type { OriginQuestion } from "#fhir/ports";
import { isReading, readInteraction } from "#fhir/interaction";
import { gather } from "#gateway/read/gather";
import { parseScopes } from "#identity/scopes";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import type { PolicyDocument } from "#policy/schema";
import { err, ok } from "#kernel/result";
import { policy, rule } from "../policy/granting.ts";
import { sessionOf } from "../support/origin-session.ts";
import { restricted } from "../support/fhir-parts.ts";

const base = "https://api.example/v1/fhir/main";
const origin = "https://origin.internal/fhir";
const to = (reference: string) => ({ reference });

/** A world of two patients, each called x. Its origin ignores every parameter and includes every row in every answer. */
const world: readonly {
  readonly resourceType: string;
  readonly id: string;
  readonly [name: string]: unknown;
}[] = [
  {
    resourceType: "Patient",
    id: "amara",
    name: [{ family: "Okafor", given: ["x"] }],
    generalPractitioner: [to("Practitioner/vera")],
  },
  { resourceType: "Patient", id: "bela", name: [{ family: "Nagy", given: ["x"] }] },
  {
    resourceType: "Encounter",
    id: "e1",
    status: "finished",
    subject: to("Patient/amara"),
    participant: [{ individual: to("Practitioner/vera") }],
  },
  {
    resourceType: "Encounter",
    id: "e2",
    status: "finished",
    subject: to("Patient/bela"),
    participant: [{ individual: to("Practitioner/otto") }],
  },
  {
    resourceType: "Observation",
    id: "o1",
    status: "final",
    code: { text: "a", coding: [{ code: "a" }] },
    subject: to("Patient/amara"),
    encounter: to("Encounter/e1"),
  },
  {
    resourceType: "Observation",
    id: "o2",
    status: "final",
    code: { text: "b", coding: [{ code: "a" }] },
    subject: to("Patient/bela"),
    encounter: to("Encounter/e2"),
  },
  {
    resourceType: "Observation",
    id: "o3",
    status: "final",
    code: { text: "c", coding: [{ code: "a" }] },
    subject: to("Patient/amara"),
    encounter: to("Encounter/e2"),
  },
  {
    resourceType: "Observation",
    id: "o4",
    status: "final",
    code: { text: "d", coding: [{ code: "a" }, { code: "d" }] },
    subject: to("Patient/amara"),
    meta: restricted,
    performer: [to("Practitioner/secret")],
  },
  {
    resourceType: "Practitioner",
    id: "vera",
    name: [{ family: "Vera" }],
    telecom: [{ system: "phone", value: "1" }],
  },
  { resourceType: "Practitioner", id: "otto", name: [{ family: "Otto" }] },
  { resourceType: "Practitioner", id: "secret", name: [{ family: "Secret" }] },
];

async function* body(text: string) {
  yield ok(new TextEncoder().encode(text));
}

/**
 * Asks the world through policy and scopes. Returns the disclosed rows as `Type/id` or the refusal, and the
 * questions to the origin.
 */
async function ask(document: PolicyDocument, request: string, scope: string, patient?: string, rows = world) {
  const [path = "", query = ""] = request.split("?", 2);
  const interaction = readInteraction("GET", path.split("/"), query, base);
  if (!interaction.ok) return { refused: interaction.error.reason, asked: [] };
  const scopes = parseScopes(scope);
  if (!scopes.ok || !isReading(interaction.value)) throw new Error("a test's own mistake");
  const grant = evaluate(
    compilePolicy(document, "sha256:test"),
    { scopes: scopes.value, patient },
    interaction.value,
  );
  if (!grant.ok) return { refused: grant.error.reason, asked: [] };
  const asked: string[] = [];
  const answer = (question: OriginQuestion) => {
    if ("link" in question) throw new Error("there is one page");
    asked.push(`${question.path}?${decodeURIComponent(question.query)}`);
    const [type = "", id] = question.path.split("/");
    if (id !== undefined) return rows.find((row) => row.resourceType === type && row.id === id);
    const entry = rows.map((resource) => ({
      resource,
      search: { mode: resource.resourceType === type ? "match" : "include" },
    }));
    return { resourceType: "Bundle", type: "searchset", link: [{ relation: "self", url: path }], entry };
  };
  const disclosed = await gather(
    grant.value,
    undefined,
    sessionOf(
      async (question) => {
        const found = answer(question);
        return found === undefined
          ? err({ reason: "absent" })
          : ok({ kind: "answered", base: origin, body: body(JSON.stringify(found)) });
      },
      { base },
    ),
    { to: async () => ok(undefined) },
  );
  if (!disclosed.ok) return { refused: disclosed.error.reason, asked };
  const text = disclosed.value.windows.map((window) => new TextDecoder().decode(window.body)).join("");
  const bundle = JSON.parse(text) as {
    entry?: { resource: { resourceType: string; id: string }; search: { mode: string } }[];
  };
  const leaves = (bundle.entry ?? []).map(
    ({ resource, search }) =>
      `${search.mode === "include" ? "+" : ""}${resource.resourceType}/${resource.id}`,
  );
  return {
    leaves: leaves.length === 0 && !("entry" in bundle) && !text.includes("searchset") ? [path] : leaves,
    asked,
    text,
  };
}

const all = ["Patient", "Encounter", "Observation", "Practitioner"] as const;
const open = policy(rule([...all], "everything"));
const everybody = "system/*.rs";

test("a chain is resolved by searches that its reader may make, hop by hop, and the rows are checked against the result", async ({
  expect,
}) => {
  const chained = await ask(
    open,
    "Observation?encounter:Encounter.participant:Practitioner.name=Vera",
    everybody,
  );
  expect(chained.asked).toEqual([
    "Practitioner?name=Vera&_count=1000",
    "Encounter?participant=Practitioner/vera&_count=1000",
    "Observation?encounter=Encounter/e1&_count=100",
  ]);
  // The origin ignored the name: its further rows do not match. Only rows that refer to the found rows leave.
  expect(chained.leaves).toEqual(["Observation/o1"]);
});

test("under a patient's scope a chain passes and finds only rows of that patient", async ({ expect }) => {
  const chained = await ask(open, "Observation?encounter:Encounter.status=finished", "patient/*.rs", "amara");
  expect(chained.asked).toEqual([
    "Encounter?status=finished&patient=Patient/amara&_count=1000",
    "Observation?patient=Patient/amara&encounter=Encounter/e1&_count=100",
    "Observation?performer=Patient/amara&encounter=Encounter/e1&_count=100",
  ]);
  // o3 is Amara's row, and its encounter is Bela's: Amara must not find out anything about it.
  expect(chained.leaves).toEqual(["Observation/o1"]);
});

test("a chain through a hidden element, or to a type without a grant or a scope, is refused before the origin is asked", async ({
  expect,
}) => {
  const named = policy(rule(["Patient"], ["name"]), rule(["Observation"], ["status", "subject", "code"]));
  expect(await ask(named, "Observation?patient.birthdate=1984", everybody)).toEqual({
    refused: "parameter_hidden",
    asked: [],
  });
  expect(await ask(named, "Observation?encounter:Encounter.status=finished", everybody)).toEqual({
    refused: "parameter_hidden",
    asked: [],
  });
  expect(await ask(named, "Observation?patient.name=x", "system/Observation.rs")).toEqual({
    refused: "scope_insufficient",
    asked: [],
  });
  expect(
    await ask(named, "Observation?patient.name=x", "system/Observation.rs system/Patient.r"),
  ).toMatchObject({
    refused: "scope_insufficient",
  });
  expect(
    await ask(policy(rule(["Observation"], "everything")), "Observation?patient.name=x", everybody),
  ).toEqual({
    refused: "rule_missing",
    asked: [],
  });
  expect((await ask(named, "Observation?patient.name=x", everybody)).leaves).toEqual([
    "Observation/o1",
    "Observation/o2",
    "Observation/o3",
  ]);
});

test("_has finds the resources to which visible rows refer: it cannot search for a hidden value", async ({
  expect,
}) => {
  const found = await ask(open, "Patient?_has:Observation:patient:code=a", everybody);
  expect(found.asked).toEqual(["Observation?code=a&_count=1000", "Patient?_id=amara,bela&_count=100"]);
  expect(found.leaves).toEqual(["Patient/amara", "Patient/bela"]);
  const patientOnly = policy(rule(["Patient"], "everything"));
  expect(await ask(patientOnly, "Patient?_has:Observation:patient:code=a", everybody)).toEqual({
    refused: "rule_missing",
    asked: [],
  });
  const withoutSubject = policy(rule(["Patient"], "everything"), rule(["Observation"], ["status", "code"]));
  expect(await ask(withoutSubject, "Patient?_has:Observation:patient:code=a", everybody)).toEqual({
    refused: "parameter_hidden",
    asked: [],
  });
  const withoutCode = policy(rule(["Patient"], "everything"), rule(["Observation"], ["status", "subject"]));
  expect(await ask(withoutCode, "Patient?_has:Observation:patient:code=a", everybody)).toEqual({
    refused: "parameter_hidden",
    asked: [],
  });
  expect((await ask(open, "Patient?_has:Observation:patient:code=a", "patient/*.rs", "bela")).leaves).toEqual(
    ["Patient/bela"],
  );
});

test("a labelled row is no way to anybody: hop, reverse hop or witness", async ({ expect }) => {
  const found = await ask(open, "Practitioner?_has:Observation:performer:code=d", everybody);
  expect(found.leaves).toEqual([]);
  expect(found.asked).toEqual(["Observation?code=d&_count=1000"]);
});

test("an include adds only resources to which a disclosed row refers by it, whatever the origin sends", async ({
  expect,
}) => {
  const found = await ask(open, "Encounter?_include=Encounter:participant", everybody);
  expect(found.asked).toEqual(["Encounter?_include=Encounter:participant&_count=100"]);
  expect(found.leaves).toEqual(["Encounter/e1", "Encounter/e2", "+Practitioner/otto", "+Practitioner/vera"]);
  const amaras = await ask(open, "Encounter?_include=Encounter:participant", "patient/*.rs", "amara");
  expect(amaras.leaves).toEqual(["Encounter/e1"]); // her scopes reach no practitioner
  expect(
    (await ask(open, "Observation?_include=Observation:subject", "patient/*.rs", "bela")).leaves,
  ).toEqual(["Observation/o2", "+Patient/bela"]);
  // A row of Amara may refer to a row of Bela: Bela's row is not included.
  expect(
    (await ask(open, "Observation?_include=Observation:encounter", "patient/*.rs", "amara")).leaves,
  ).toEqual(["Observation/o1", "Observation/o3", "+Encounter/e1"]);
});

test("Condition has the subject of its definition, not that of HL7's example: it is searched by and includes its patients", async ({
  expect,
}) => {
  const conditions = ["amara", "bela"].map((id) => ({
    resourceType: "Condition",
    id,
    code: { text: id, coding: [{ code: "x" }] },
    subject: to(`Patient/${id}`),
  }));
  const clinical = policy(rule(["Patient", "Condition"], "everything"));
  const about = (request: string) => ask(clinical, request, everybody, undefined, [...world, ...conditions]);
  const searched = await about("Condition?subject=Patient/amara");
  expect(searched).toMatchObject({ asked: ["Condition?subject=Patient/amara&_count=100"] });
  expect((await about("Condition?_include=Condition:subject")).leaves).toEqual([
    "Condition/amara",
    "Condition/bela",
    "+Patient/amara",
    "+Patient/bela",
  ]);
  expect((await about("Patient?_has:Condition:subject:code=x")).asked.at(-1)).toBe(
    "Patient?_id=amara,bela&_count=100",
  );
});

test("_revinclude adds the rows that refer to a disclosed row, and :iterate goes on; each row comes once", async ({
  expect,
}) => {
  expect(
    (await ask(open, "Encounter?_revinclude=Observation:encounter", "patient/*.rs", "amara")).leaves,
  ).toEqual(["Encounter/e1", "+Observation/o1"]);
  const on =
    "Observation?_include=Observation:encounter&_include:iterate=Encounter:participant&_include:iterate=Encounter:subject";
  expect((await ask(open, on, everybody)).leaves).toEqual([
    "Observation/o1",
    "Observation/o2",
    "Observation/o3",
    "+Encounter/e1",
    "+Encounter/e2",
    "+Patient/amara",
    "+Patient/bela",
    "+Practitioner/otto",
    "+Practitioner/vera",
  ]);
});

test("an include through a hidden reference or of a type without a rule is refused; an include of a type without a scope adds nothing; a reference with several types includes only readable types", async ({
  expect,
}) => {
  const narrow = policy(rule(["Patient"], ["name"]), rule(["Observation"], ["status", "subject", "code"]));
  expect(await ask(narrow, "Observation?_include=Observation:encounter", everybody)).toEqual({
    refused: "include_hidden",
    asked: [],
  });
  expect(await ask(narrow, "Observation?_revinclude=Provenance:target", everybody)).toEqual({
    refused: "include_hidden",
    asked: [],
  });
  const unscoped = await ask(narrow, "Observation?_include=Observation:subject", "system/Observation.rs");
  expect(unscoped.leaves?.filter((one) => !one.startsWith("Observation/"))).toEqual([]);
  const all = await ask(narrow, "Observation?_include=*", everybody);
  expect(all.leaves?.filter((one) => one.startsWith("+"))).toEqual(["+Patient/amara", "+Patient/bela"]);
  expect(all.text).not.toContain("generalPractitioner");
});

const directory = policy(
  rule(["Patient", "Encounter", "Observation"], "everything"),
  rule(["Practitioner"], ["name"], { referredBy: ["Encounter:participant", "Observation:performer"] }),
);

test("a resource outside all compartments is read when a visible row refers to it; otherwise it counts as absent, with the same questions and the same face", async ({
  expect,
}) => {
  const read = (id: string) => ask(directory, `Practitioner/${id}`, "patient/*.rs", "amara");
  const seen = await read("vera");
  expect(seen.text).toContain("Vera");
  expect(seen.text).not.toContain("telecom");
  for (const id of ["otto", "secret", "nobody"]) {
    const hidden = await read(id);
    expect(["row_outside_access", "absent"], id).toContain(hidden.refused);
    expect(
      hidden.asked.map((question) => question.replaceAll(id, "vera")),
      id,
    ).toEqual(seen.asked);
  }
  const closed = await ask(directory, "Location", "patient/*.rs", "amara");
  expect(closed).toEqual({ refused: "rule_missing", asked: [] });
  expect(await ask(open, "Practitioner/vera", "patient/*.rs", "amara")).toEqual({
    refused: "outside_patient_compartment",
    asked: [],
  });
  expect((await ask(directory, "Practitioner/secret", everybody)).text).toContain("Secret");
});

test("a resource outside all compartments is included by a reference that its rule lists, and by no further reference", async ({
  expect,
}) => {
  expect(
    (await ask(directory, "Encounter?_include=Encounter:participant", "patient/*.rs", "amara")).leaves,
  ).toEqual(["Encounter/e1", "+Practitioner/vera"]);
  expect(
    (await ask(directory, "Patient?_include=Patient:general-practitioner", "patient/*.rs", "amara")).leaves,
  ).toEqual(["Patient/amara"]);
});

test("several rules for a resource outside all compartments: each shows its part to readers who come by its own references", async ({
  expect,
}) => {
  const both = policy(
    rule(["Patient", "Encounter", "Observation"], "everything"),
    rule(["Practitioner"], ["name"], { referredBy: ["Encounter:participant"] }),
    rule(["Practitioner"], ["telecom"], { referredBy: ["Observation:performer"] }),
  );
  const byEncounter = await ask(both, "Practitioner/vera", "patient/*.rs", "amara");
  expect(byEncounter.text).toContain("Vera");
  expect(byEncounter.text).not.toContain("telecom");
  const rows = [
    ...world,
    {
      resourceType: "Observation",
      id: "o5",
      subject: to("Patient/amara"),
      performer: [to("Practitioner/vera")],
    },
  ];
  const byBoth = await ask(both, "Practitioner/vera", "patient/*.rs", "amara", rows);
  expect(byBoth.text).toContain("Vera");
  expect(byBoth.text).toContain("telecom");
});

test("a resource outside all compartments that tells of a patient is not accessible by a different patient's reference, which any writer can make", async ({
  expect,
}) => {
  const devices = policy(
    rule(["Patient", "Observation"], "everything"),
    rule(["Device"], "everything", { referredBy: ["Observation:device"] }),
  );
  const pump = { resourceType: "Device", id: "pump", serialNumber: "canary" };
  const rows = [
    { resourceType: "Observation", id: "o", subject: to("Patient/amara"), device: to("Device/pump") },
  ];
  const read = (device: object) =>
    Promise.all(
      ["Device/pump", "Observation?_include=Observation:device"].map(
        async (request) =>
          (
            await ask(devices, request, "patient/*.rs", "amara", [...rows, { ...pump, ...device }])
          ).text?.includes("canary") === true,
      ),
    );
  expect(await read({})).toEqual([true, true]);
  expect(await read({ patient: to("Patient/amara") })).toEqual([true, true]);
  for (const other of ["Patient/bela", "https://elsewhere.example/Patient/amara", "Group/all", "#somebody"])
    expect(await read({ patient: to(other) }), other).toEqual([false, false]);
  expect(await read({ patient: { identifier: { value: "bela" } } })).toEqual([false, false]);
});

test("each reference includes the part that its own rule shows, and several references together include all these parts", async ({
  expect,
}) => {
  const both = policy(
    rule(["Patient", "Encounter", "Observation"], "everything"),
    rule(["Practitioner"], ["name"], { referredBy: ["Encounter:participant"] }),
    rule(["Practitioner"], ["telecom"], { referredBy: ["Patient:general-practitioner"] }),
  );
  const along = async (query: string) => {
    const { text = "" } = await ask(both, `Encounter?${query}`, "patient/*.rs", "amara");
    return [text.includes('"Vera"'), text.includes('"telecom"')];
  };
  const [participant, subject, gp] = [
    "_include=Encounter:participant",
    "_include=Encounter:subject",
    "_include:iterate=Patient:general-practitioner",
  ];
  expect(await along(participant)).toEqual([true, false]);
  expect(await along(`${subject}&${gp}`)).toEqual([false, true]);
  expect(await along(`${participant}&${subject}&${gp}`)).toEqual([true, true]);
  // The include that could add rows finds none here.
  expect(await along(`${participant}&${gp}`)).toEqual([true, false]);
});

test("a scope with categories also limits resources outside all compartments, read or included", async ({
  expect,
}) => {
  const substances = policy(
    rule(["MedicationAdministration", "Observation", "Specimen"], "everything"),
    rule(["Substance"], "everything", { referredBy: ["Specimen:subject"] }),
  );
  const category = (code: string) => [{ coding: [{ system: "urn:c", code }] }];
  const rows = [
    {
      resourceType: "Specimen",
      id: "s",
      subject: to("Substance/x"),
      collection: { collector: to("Practitioner/vera") },
    },
    { resourceType: "Substance", id: "x", code: { text: "x" }, category: category("drug") },
  ];
  const read = (scope: string) => ask(substances, "Substance/x", scope, "amara", rows);
  expect((await read("system/Specimen.rs patient/Substance.r")).leaves).toEqual(["Substance/x"]);
  expect((await read("system/Specimen.rs patient/Substance.r?category=drug")).leaves).toEqual([
    "Substance/x",
  ]);
  expect((await read("system/Specimen.rs patient/Substance.r?category=chemical")).refused).toBe(
    "row_outside_access",
  );
  const include = (scope: string) =>
    ask(substances, "Specimen?_include=Specimen:subject", scope, "amara", rows);
  expect((await include("system/Specimen.rs patient/Substance.r?category=drug")).leaves).toEqual([
    "Specimen/s",
    "+Substance/x",
  ]);
  expect((await include("system/Specimen.rs patient/Substance.r?category=chemical")).leaves).toEqual([
    "Specimen/s",
  ]);
});

test("a resource inside an included resource is judged by the possible patients of the included resource, not of the rows", async ({
  expect,
}) => {
  const inside = [{ resourceType: "Condition", id: "c", code: { text: "canary" } }];
  const encounter = {
    resourceType: "Encounter",
    id: "e",
    status: "finished",
    contained: inside,
    diagnosis: [{ condition: to("#c") }],
  };
  const rows = [
    { resourceType: "Observation", id: "o", subject: to("Patient/amara"), encounter: to("Encounter/e") },
  ];
  const along = (scope: string, of: string) =>
    ask(
      policy(rule(["Observation", "Encounter", "Condition"], "everything")),
      "Observation?_include=Observation:encounter",
      scope,
      "amara",
      [...rows, { ...encounter, subject: to(`Patient/${of}`) }],
    );
  const hers = await along("patient/*.rs", "amara");
  expect(hers.leaves).toEqual(["Observation/o", "+Encounter/e"]);
  expect(hers.text).toContain("canary");
  // Every Encounter may be included; a Condition without a subject has no known patient.
  const anybodys = await along("patient/Observation.rs patient/Condition.r system/Encounter.r", "bela");
  expect(anybodys.leaves).toEqual(["Observation/o", "+Encounter/e"]);
  expect(anybodys.text).not.toContain("canary");
});

test("a fault of a resource without referrers does not tell that it exists", async ({ expect }) => {
  let deep: unknown = "no JSON that is taken is as deep";
  for (let level = 0; level < 150; level += 1) deep = [deep];
  const plain = { resourceType: "Practitioner", id: "odd" };
  // it is deep only when it is read by itself
  const odd = { ...plain, toJSON: (key: string) => (key === "resource" ? plain : { ...plain, deep }) };
  const read = async (scope: string) =>
    (await ask(directory, "Practitioner/odd", scope, "amara", [...world, odd])).refused;
  expect(await read("patient/*.rs")).toBe("row_outside_access");
  expect(await read(everybody)).toBe("resource_withheld");
});

test("a Binary with a securityContext is readable only for a reader who may see that resource", async ({
  expect,
}) => {
  const binaries = policy(
    rule(["Binary"], "everything"),
    rule(["DocumentReference"], "everything", { where: [{ path: "status", in: ["current"] }] }),
  );
  const letter = {
    resourceType: "DocumentReference",
    id: "d",
    status: "current",
    subject: to("Patient/amara"),
  };
  const read = async (context: object | undefined, document: object, request = "Binary/b") => {
    const file = {
      resourceType: "Binary",
      id: "b",
      contentType: "text/plain",
      data: "Y2FuYXJ5",
      ...(context && { securityContext: context }),
    };
    return (
      (await ask(binaries, request, everybody, undefined, [file, { ...letter, ...document }])).text?.includes(
        "Y2FuYXJ5",
      ) === true
    );
  };
  expect(await read(undefined, {})).toBe(true);
  expect(await read(to("DocumentReference/d"), {})).toBe(true);
  expect(await read(to("DocumentReference/d"), { meta: restricted })).toBe(false);
  expect(await read(to("DocumentReference/d"), { status: "entered-in-error" })).toBe(false);
  for (const context of [
    "DocumentReference/gone",
    "Encounter/e",
    "https://elsewhere.example/DocumentReference/d",
    "#d",
  ])
    expect(await read(to(context), {}), context).toBe(false);
  expect(await read({ display: "a letter" }, {})).toBe(false);
  expect(await read(undefined, {}, "Binary?_count=5")).toBe(true);
  expect(await read(to("DocumentReference/d"), {}, "Binary?_count=5")).toBe(false);
});

test("a row is not found by its hidden part, however its origin reads system|code", async ({ expect }) => {
  const sliced = policy(
    rule(["Patient"], ["identifier[system=urn:a]", "name"]),
    rule(["Observation"], "everything"),
  );
  const rows = [
    {
      resourceType: "Patient",
      id: "amara",
      identifier: [
        { system: "urn:a", value: "1" },
        { system: "urn:hidden", value: "2" },
      ],
    },
    { resourceType: "Observation", id: "o", subject: to("Patient/amara") },
  ];
  const leaves = async (request: string) => (await ask(sliced, request, everybody, undefined, rows)).leaves;
  expect(await leaves("Patient?identifier=urn:a|1")).toEqual(["Patient/amara"]);
  expect(await leaves("Patient?identifier=urn:a|1&_elements=name")).toEqual(["Patient/amara"]);
  expect(await leaves("Observation?patient.identifier=urn:a|1")).toEqual(["Observation/o"]);
  // This origin treats every row as a match; a different origin may split this value at its comma.
  for (const value of ["urn:a|2", "urn:a|1%5C,2"]) {
    expect(await leaves(`Patient?identifier=${value}`), value).toEqual([]);
    expect(await leaves(`Observation?patient.identifier=${value}`), value).toEqual([]);
  }
});

test("the linked record of a Patient is shown to a reader who may access it, and is masked otherwise", async ({
  expect,
}) => {
  const linked = (reference: object) => [
    {
      resourceType: "Patient",
      id: "amara",
      link: [{ other: { display: "canary", ...reference }, type: "seealso" }],
    },
  ];
  const read = (scope: string, reference: object) =>
    ask(open, "Patient/amara", scope, "amara", linked(reference));
  expect((await read(everybody, to("Patient/bela"))).text).toContain("canary");
  expect((await read("patient/*.rs", to("Patient/amara"))).text).toContain("canary");
  for (const other of [
    to("Patient/bela"),
    to("RelatedPerson/r"),
    to("https://elsewhere.example/Patient/amara"),
    { identifier: { value: "b" } },
  ]) {
    const { text = "" } = await read("patient/*.rs", other);
    expect(text).not.toMatch(/canary|bela|elsewhere|RelatedPerson|"b"/u);
    expect(JSON.parse(text)).toMatchObject({
      link: [{ type: "seealso", other: { extension: [{ valueCode: "masked" }] } }],
    });
  }
  expect(
    (await ask(open, "Patient?_count=5", "patient/*.rs", "amara", linked(to("Patient/bela")))).text,
  ).not.toContain("bela");
  for (const query of [
    "link=Patient/bela",
    "link:Patient.name=Nagy",
    "_has:Patient:link:_id=amara",
    "_sort=link",
  ]) {
    expect((await ask(open, `Patient?${query}`, "patient/*.rs", "amara")).refused, query).toMatch(
      /_hidden$/u,
    );
    expect((await ask(open, `Patient?${query}`, everybody)).refused, query).toBeUndefined();
  }
});

test("a modifier turns no narrowing round, and a sliced element is not searched by one", async ({
  expect,
}) => {
  const sliced = policy(rule(["Patient"], ["identifier[system=urn:a]", "name"]));
  expect((await ask(sliced, "Patient?identifier=urn:a%7C1", everybody)).refused).toBeUndefined();
  expect((await ask(sliced, "Patient?identifier:not=urn:a%7C1", everybody)).refused).toBe(
    "parameter_needs_system",
  );
  expect((await ask(sliced, "Patient?identifier:missing=true", everybody)).refused).toBe(
    "parameter_needs_system",
  );
  expect((await ask(sliced, "Patient?name:exact=Okafor", everybody)).asked).toEqual([
    "Patient?name:exact=Okafor&_count=100",
  ]);
  for (const query of ["patient:missing=true", "subject:not=Patient/bela", "_id:not=o1"]) {
    expect((await ask(open, `Observation?${query}`, everybody)).refused, query).toBe(
      "modifier_not_supported",
    );
  }
  // The rows decide about an absent participant: the origin is not asked for it.
  expect((await ask(open, "Observation?performer:missing=true", everybody)).asked).toEqual([
    "Observation?_count=100",
  ]);
});

test("a hop by a negation asks the origin for the rows that are left, where no label can cut the element", async ({
  expect,
}) => {
  const asked = async (query: string) => (await ask(open, query, everybody)).asked[0];
  expect(await asked("Observation?encounter:Encounter.status:not=finished")).toBe(
    "Encounter?status:not=finished&_count=1000",
  );
  expect(await asked("Patient?_has:Observation:patient:status:not=final")).toBe(
    "Observation?status:not=final&_count=1000",
  );
  expect(await asked("Observation?encounter:Encounter.class:not=AMB")).toBe("Encounter?_count=1000");
});

test("a join that leads to too many rows is asked for the rows of the page, and hidden rows do not decide it", async ({
  expect,
}) => {
  const many = Array.from({ length: 600 }, (_, at) => ({
    resourceType: "Encounter",
    id: `n${at}`,
    status: "finished",
    subject: to("Patient/amara"),
    ...(at < 300 ? {} : { meta: restricted }),
  }));
  const asked = (rows: typeof world) =>
    ask(open, "Observation?encounter:Encounter.status=finished", "patient/*.rs", "amara", rows);
  expect((await asked([...world, ...many])).leaves).toEqual(["Observation/o1"]);
  const list = {
    resourceType: "List",
    id: "l",
    entry: many.map(({ id }) => ({ item: to(`Encounter/${id}`) })),
  };
  const listed = await ask(
    policy(rule(["Encounter", "List"], "everything")),
    "Encounter?_has:List:item:_id=l",
    everybody,
    undefined,
    [list],
  );
  // a single row, whose six hundred references do not go into the next question
  expect(listed).toMatchObject({ leaves: [], asked: ["List?_id=l&_count=1000", "Encounter?_count=100"] });
  const visible = many.map(({ resourceType, id, status, subject }) => ({
    resourceType,
    id,
    status,
    subject,
  }));
  const byPage = await asked([...world, ...visible]);
  expect(byPage.leaves).toEqual(["Observation/o1"]);
  expect(byPage.asked).toEqual([
    "Encounter?status=finished&patient=Patient/amara&_count=1000",
    "Observation?patient=Patient/amara&_count=100",
    "Encounter?status=finished&patient=Patient/amara&_id=e1&_count=200",
    "Encounter?status=finished&patient=Patient/amara&_id=e2&_count=200",
  ]); // the rows in which the patient only took part begin a page of their own
});

test("a search for resources outside all compartments finds the resources to which visible rows refer, by the rules that their references open", async ({
  expect,
}) => {
  const search = (query: string, document = directory, more = world) =>
    ask(document, `Practitioner${query}`, "patient/*.rs", "amara", more);
  const found = await search("?name=Vera");
  expect(found.leaves).toEqual(["Practitioner/vera"]);
  expect(found.text).not.toContain("telecom");
  // The origin learns only the ids that visible rows show.
  expect(found.asked).toEqual([
    "Encounter?patient=Patient/amara&_count=1000",
    "Observation?patient=Patient/amara&_count=1000",
    "Practitioner?name=Vera&_id=vera&_count=100",
  ]);
  expect((await search("")).leaves).toEqual(["Practitioner/vera"]);
  expect((await search("?_id=vera,otto,secret")).leaves).toEqual(["Practitioner/vera"]);
  expect((await search("?_id=secret")).leaves).toEqual([]);
  expect((await search("?name=Secret")).leaves).toEqual([]); // only a hidden row refers to this practitioner
  expect((await search("?telecom=1")).refused).toBe("parameter_hidden");
  // A rule shows a resource only through its own references.
  const apart = policy(
    rule(["Patient", "Encounter", "Observation"], "everything"),
    rule(["Practitioner"], ["name"], { referredBy: ["Encounter:participant"] }),
    rule(["Practitioner"], ["telecom"], { referredBy: ["Observation:performer"] }),
  );
  expect((await search("?name=Vera", apart)).leaves).toEqual(["Practitioner/vera"]);
  expect((await search("", apart)).text).not.toContain("telecom");
  expect((await search("?telecom=1", apart)).leaves).toEqual([]);
  // A rule without references opens nothing, and a hidden reference leads nowhere.
  expect((await search("", open)).refused).toBe("outside_patient_compartment");
  const masked = policy(
    rule(["Patient", "Encounter"], ["id"]),
    rule(["Practitioner"], ["name"], { referredBy: ["Encounter:participant"] }),
  );
  expect((await search("", masked)).refused).toBe("outside_patient_compartment");
  // A chain through such a type is the same search.
  expect(
    (await ask(directory, "Encounter?participant:Practitioner.name=Vera", "patient/*.rs", "amara")).leaves,
  ).toEqual(["Encounter/e1"]);
  expect(
    (await ask(directory, "Observation?performer:Practitioner.name=Secret", "patient/*.rs", "amara")).leaves,
  ).toEqual([]);
});

test("references that start at one type are asked for by one question, and each still opens its own part alone", async ({
  expect,
}) => {
  const both = policy(
    rule(["Patient", "ServiceRequest"], "everything"),
    rule(["Practitioner"], ["name"], { referredBy: ["ServiceRequest:requester"] }),
    rule(["Practitioner"], ["telecom"], { referredBy: ["ServiceRequest:performer"] }),
  );
  const request = {
    resourceType: "ServiceRequest",
    id: "s1",
    status: "active",
    intent: "order",
    subject: to("Patient/amara"),
    requester: to("Practitioner/otto"),
    performer: [to("Practitioner/vera")],
  };
  const found = await ask(both, "Practitioner", "patient/*.rs", "amara", [...world, request]);
  expect(found.leaves).toEqual(["Practitioner/vera", "Practitioner/otto"]);
  expect(found.asked).toEqual([
    "ServiceRequest?patient=Patient/amara&_count=1000",
    "Practitioner?_id=otto,vera&_count=100",
  ]);
  expect(found.text).toContain('"Otto"');
  expect(found.text).toContain('"phone"');
  expect(found.text, "vera is no requester").not.toContain('"Vera"');
  // Questions that name a resource differ by their reference.
  const named = await ask(both, "Practitioner?_id=vera", "patient/*.rs", "amara", [...world, request]);
  expect([named.leaves, named.asked.length]).toEqual([["Practitioner/vera"], 3]);
});
