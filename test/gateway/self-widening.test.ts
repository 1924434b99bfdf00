import { RowBarrier } from "#fhir/row-barrier";
import * as fc from "fast-check";
import { test } from "vitest";
import { isObject, readJson, type JsonObject } from "#fhir/json/json";
import { isReading, readInteraction } from "#fhir/interaction";
import { parseScopes } from "#identity/scopes";
import { Discloser } from "#phi/disclose";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import type { PolicyDocument, RowCondition } from "#policy/schema";
import { policy, rule } from "../policy/granting.ts";
import { base, origin, plan, residences, to } from "./planning.ts";
import { inLane } from "../support/lane.ts";

const interactions = ["read", "search", "create", "update"] as const;

/** The outcome of the planned write. */
async function write(...asked: Parameters<typeof plan>): Promise<string> {
  const planned = await plan(...asked);
  return planned.ok ? planned.value.kind : planned.error.reason;
}

const category = (...codes: string[]) => codes.map((code) => ({ coding: [{ system: "urn:c", code }] }));
const observation = {
  resourceType: "Observation",
  id: "o",
  meta: { versionId: "1" },
  status: "final",
  category: category("lab"),
  code: { text: "a" },
  subject: to("Patient/amara"),
  note: [{ text: "hidden of labs" }],
};

test("a writer of the owner of a resource does not read its hidden part by that", async ({ expect }) => {
  const visible = ["status", "category", "code", "subject"];
  const rows = (code: string) => [{ path: "category", in: [`urn:c|${code}`] }];
  const uneven = policy(
    rule(["Observation"], visible, { interactions: [...interactions], where: rows("lab") }),
    rule(["Observation"], "everything", { interactions: [...interactions], where: rows("vital") }),
    rule(["Observation"], ["status", "category", "code"], {
      interactions: [...interactions],
      where: rows("plain"),
    }),
  );
  const { note: _note, ...shown } = observation;
  const become = (...codes: string[]) =>
    write(uneven, "system/*.cruds", observation, { ...shown, category: category(...codes) });
  expect(await become("lab")).toBe("send");
  expect(await become("vital")).toBe("result_widens_access");
  expect(await become("lab", "vital")).toBe("result_widens_access");
  expect(await become("lab", "plain")).toBe("send"); // it shows no more than before
});

const elements = ["category", "note", "value[x]", "method", "bodySite"] as const;
const condition: fc.Arbitrary<RowCondition[]> = fc.oneof(
  fc.constant<RowCondition[]>([]),
  fc
    .tuple(fc.constantFrom("in", "notIn"), fc.subarray(["urn:c|a", "urn:c|b", "urn:c|c"], { minLength: 1 }))
    .map(([how, codes]) => [
      how === "in" ? { path: "category", in: codes } : { path: "category", notIn: codes },
    ]),
);
const someRule = fc.tuple(fc.subarray([...elements]), condition, fc.boolean()).map(([show, where, isRead]) =>
  rule(["Observation"], ["status", "code", "subject", ...show], {
    interactions: isRead ? [...interactions] : ["search"],
    ...(where.length === 0 ? {} : { where }),
  }),
);
const someCategories = fc.subarray(["a", "b", "c", "d"], { minLength: 1 });

const scopes = ["system/*.cruds", "system/*.cru", "system/*.cru system/Observation.rs?category=urn:c|b"];

/** Ways to store an observation: as a row, or inside a row. */
const holders: Record<
  string,
  { readonly wrap: (row: JsonObject) => JsonObject; readonly paths: readonly string[]; readonly at: string }
> = {
  row: { wrap: (row) => row, paths: ["Observation/o", "Observation"], at: "" },
  contained: {
    wrap: (row) => ({
      resourceType: "DiagnosticReport",
      id: "o",
      meta: { versionId: "1" },
      status: "final",
      code: { text: "r" },
      result: [to("#o")],
      contained: [Object.fromEntries(Object.entries(row).filter(([name]) => name !== "meta"))],
    }),
    paths: ["DiagnosticReport/o", "DiagnosticReport"],
    at: "contained",
  },
};

test.for(Object.keys(holders))(
  "after any write that is permitted its writer sees no value that was hidden before: %s",
  async (name, { expect }) => {
    const { wrap, paths, at } = holders[name] ?? { wrap: (row: JsonObject) => row, paths: [], at: "" };
    let [sent, refused] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        fc.array(someRule, { minLength: 1, maxLength: 4 }),
        someCategories,
        someCategories,
        fc.constantFrom(...scopes),
        async (rules, before, after, scope) => {
          const document = policy(
            ...rules,
            rule(["DiagnosticReport"], "everything", { interactions: [...interactions] }),
          );
          const stored = wrap({
            ...observation,
            category: category(...before),
            note: [{ text: "canary-note" }],
            valueString: "canary-value",
            method: { text: "canary-method" },
            bodySite: { text: "canary-site" },
          });
          const shown = shownBy(document, stored, paths, scope);
          const { text } = shown;
          const change = (row: object) => ({
            ...row,
            status: "amended",
            ...(text.includes('"category"') ? { category: category(...after) } : {}),
          });
          const read = shown.read ?? stored;
          const [inside] = at === "" ? [read] : ((read[at] ?? []) as JsonObject[]);
          if (inside === undefined) return void (refused += 1);
          const body = at === "" ? change(inside) : { ...read, [at]: [change(inside)] };
          const planned = await plan(document, scope, stored, body);
          if (!planned.ok || planned.value.kind !== "send") return void (refused += 1);
          sent += 1;
          const next = shownBy(
            document,
            JSON.parse(planned.value.write.body ?? "{}") as JsonObject,
            paths,
            scope,
          ).text;
          for (const [canary] of next.matchAll(/canary-\w+/gu)) expect(text).toContain(canary);
        },
      ),
      { numRuns: inLane({ fast: 200, slow: 500, long: 500 }) },
    );
    expect(Math.min(sent, refused)).toBeGreaterThan(8);
  },
);

/** The visible parts of a resource in a read and in a search, and the outcome of the read. */
function shownBy(
  document: PolicyDocument,
  resource: object,
  paths: readonly string[],
  scope: string,
): { readonly text: string; readonly read: JsonObject | undefined } {
  const compiled = compilePolicy(document, "sha256:test");
  const scopes = parseScopes(scope);
  if (!scopes.ok) throw new Error("a test's own mistake");
  const bytes = new TextEncoder().encode(JSON.stringify(resource));
  const texts = paths.map((path) => {
    const asked = readInteraction("GET", path.split("/"), "");
    if (!asked.ok || !isReading(asked.value)) throw new Error("a test's own mistake");
    const grant = evaluate(compiled, { scopes: scopes.value, patient: undefined }, asked.value);
    if (!grant.ok) return "";
    const discloser = new Discloser(grant.value, {
      origin,
      public: base,
      name: "main",
      residences,
      barrier: new RowBarrier(),
    });
    const { type } = asked.value;
    if (asked.value.kind === "read") {
      const read = discloser.read(bytes, type, "o");
      return read.ok ? new TextDecoder().decode(read.value.windows[0]?.body) : "";
    }
    const row = readJson(bytes);
    const found = row.ok && isObject(row.value) ? discloser.row(row.value, type) : undefined;
    return found?.ok === true && found.value.kind === "match" ? JSON.stringify(found.value.shown) : "";
  });
  return {
    text: texts.join(" "),
    read: texts[0] === "" ? undefined : (JSON.parse(texts[0] ?? "") as JsonObject),
  };
}

test("a resource that is only found and never read counts as shown", async ({ expect }) => {
  const found = policy(
    rule(["Observation"], ["status", "category", "code", "subject"], { interactions: [...interactions] }),
    rule(["Observation"], "everything", {
      interactions: ["search"],
      where: [{ path: "category", in: ["urn:c|vital"] }],
    }),
  );
  const { note: _note, ...shown } = observation;
  expect(await write(found, "system/*.cruds", observation, { ...shown, category: category("vital") })).toBe(
    "result_widens_access",
  );
});

test("a user cannot write a relation to a patient if the policy grants by that relation", async ({
  expect,
}) => {
  const all = ["practitioner", "organization", "panel", "related-person"] as const;
  const types = ["Patient", "Group", "RelatedPerson", "PractitionerRole"] as const;
  const open = (users: readonly (typeof all)[number][]): PolicyDocument => ({
    ...policy(rule([...types], "everything", { interactions: [...interactions] })),
    users: [...users],
  });
  const patient = {
    resourceType: "Patient",
    id: "amara",
    meta: { versionId: "1" },
    generalPractitioner: [to("Practitioner/vera")],
  };
  const joined = { ...patient, generalPractitioner: [to("Practitioner/vera"), to("Practitioner/otto")] };
  const related = {
    resourceType: "RelatedPerson",
    id: "r",
    meta: { versionId: "1" },
    patient: to("Patient/amara"),
    period: { end: "2026" },
  };
  const group = {
    resourceType: "Group",
    type: "person",
    actual: true,
    member: [{ entity: to("Patient/amara") }],
  };
  const role = {
    resourceType: "PractitionerRole",
    practitioner: to("Practitioner/otto"),
    organization: to("Organization/clinic"),
  };

  expect(await write(open(all), "user/*.cruds", patient, { ...patient, birthDate: "1984-03-01" })).toBe(
    "send",
  );
  expect(await write(open(all), "user/*.cruds", patient, joined)).toBe("result_widens_access");
  // it gives no access to any patient
  expect(await write(open(["panel"]), "user/*.cruds", patient, joined)).toBe("send");
  expect(await write(open(all), "user/*.cruds", related, { ...related, period: { end: "2036" } })).toBe(
    "result_widens_access",
  );
  expect(await write(open(all), "user/*.cruds", related, { ...related, gender: "female" })).toBe("send");
  expect(
    await write(open(all), "user/*.cruds", undefined, { ...group, managingEntity: to("Practitioner/otto") }),
  ).toBe("result_widens_access");
  // A scope for all patients' rows in the same token gives wider access, and no further widening.
  expect(await write(open(all), "user/*.rs system/PractitionerRole.c", undefined, role)).toBe(
    "result_widens_access",
  );
  expect(await write(open([]), "user/*.rs system/PractitionerRole.c", undefined, role)).toBe("send");
});

test("a writer who may see a labelled resource takes no label away: of a document, of an element, of a Composition", async ({
  expect,
}) => {
  const thp = "http://terminology.hl7.org/CodeSystem";
  const act = (code: string) => ({ system: `${thp}/v3-ActCode`, code });
  const open: PolicyDocument = {
    ...policy(
      rule(["DocumentReference", "Composition", "Observation"], "everything", {
        interactions: [...interactions],
      }),
    ),
    labels: { leave: [{ labels: ["V"], why: "45 CFR 164.506(c), for a test." }] },
  };
  const become = (stored: JsonObject, change: object) =>
    write(open, "system/*.cruds", stored, { ...stored, ...change });
  const document = {
    resourceType: "DocumentReference",
    id: "o",
    meta: { versionId: "1" },
    status: "current",
    subject: to("Patient/amara"),
    content: [{ attachment: { title: "a" } }],
    securityLabel: [{ coding: [{ ...act("PSY"), display: "psychiatry" }] }, { coding: [act("HIV")] }],
  };
  const labels = (...codes: string[]) => ({ securityLabel: codes.map((code) => ({ coding: [act(code)] })) });
  expect(await become(document, { status: "superseded" })).toBe("send");
  expect(await become(document, labels("HIV", "PSY", "ETH"))).toBe("send");
  for (const less of [labels("PSY"), { securityLabel: undefined }, labels("PSY", "MH")])
    expect(await become(document, less), JSON.stringify(less)).toBe("result_widens_access");
  const composition = {
    resourceType: "Composition",
    id: "o",
    meta: { versionId: "1" },
    status: "final",
    type: { text: "a" },
    subject: to("Patient/amara"),
    date: "2026-01-01",
    author: [to("Practitioner/vera")],
    title: "a",
    confidentiality: "R",
  };
  expect(await become(composition, { confidentiality: "V" })).toBe("send");
  expect(await become(composition, { confidentiality: "N" })).toBe("result_widens_access");
  const url = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label";
  const labelled = {
    ...observation,
    note: [
      { text: "x", extension: [{ url, valueCoding: { system: `${thp}/v3-Confidentiality`, code: "R" } }] },
    ],
  };
  expect(await become(labelled, { status: "amended" })).toBe("send");
  expect(await become(labelled, { note: [{ text: "x" }] })).toBe("result_widens_access");
});
