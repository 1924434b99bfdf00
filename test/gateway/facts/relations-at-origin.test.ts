import { test } from "vitest";
import type { OriginQuestion, OriginTraits } from "#fhir/ports";
import { RelationsAtOrigin, RememberedRelations } from "#gateway/facts/relations-at-origin";
import { parseScopes } from "#identity/scopes";
import { instant } from "#kernel/clock";
import { ok } from "#kernel/result";
import type { UserRelation } from "#policy/schema";
import { sessionOf } from "../../support/origin-session.ts";

const base = "https://api.example/v1/fhir/main";
const origin = "https://origin.internal/fhir";
const noon = Date.parse("2026-11-24T12:00:00Z");
const to = (reference: string) => ({ reference });

/** An origin that answers every search with all rows of the type. */
const world: Readonly<Record<string, readonly object[]>> = {
  PractitionerRole: [
    {
      id: "cardio",
      active: true,
      practitioner: to("Practitioner/vera"),
      organization: to("Organization/clinic"),
    },
    {
      id: "left",
      active: false,
      practitioner: to("Practitioner/vera"),
      organization: to("Organization/former"),
    },
    {
      id: "ended",
      practitioner: to("Practitioner/vera"),
      organization: to("Organization/former"),
      period: { end: "2026-11-23" },
    },
    {
      id: "odd",
      active: "yes",
      practitioner: to("Practitioner/vera"),
      organization: to("Organization/former"),
    },
    { id: "others", practitioner: to("Practitioner/otto"), organization: to("Organization/other") },
  ],
  Patient: [
    { id: "own", generalPractitioner: [to("Practitioner/vera")], address: [{ state: "Maine" }] },
    { id: "by-role", generalPractitioner: [to("PractitionerRole/cardio")] },
    {
      id: "by-former-role",
      generalPractitioner: [
        to("PractitionerRole/left"),
        to("PractitionerRole/ended"),
        to("PractitionerRole/odd"),
      ],
    },
    { id: "managed", managingOrganization: to("Organization/clinic") },
    { id: "clinics", generalPractitioner: [to(`${origin}/Organization/clinic`)] },
    { id: "former", managingOrganization: to("Organization/former") },
    { id: "elsewhere", managingOrganization: to("https://elsewhere.example/Organization/clinic") },
    { id: "others", generalPractitioner: [to("Practitioner/otto")] },
  ],
  Group: [
    {
      id: "panel",
      type: "person",
      actual: true,
      managingEntity: to("Practitioner/vera"),
      member: [
        { entity: to("Patient/member") },
        { entity: to("Patient/gone"), inactive: true },
        { entity: to("Patient/ended"), period: { start: "2020", end: "2025" } },
        { entity: to("Patient/to-come"), period: { start: "2027" } },
        { entity: to("Device/d") },
      ],
    },
    {
      id: "planned",
      type: "person",
      actual: false,
      managingEntity: to("Practitioner/vera"),
      member: [{ entity: to("Patient/planned") }],
    },
    {
      id: "not-hers",
      type: "person",
      actual: true,
      managingEntity: to("Practitioner/otto"),
      member: [{ entity: to("Patient/x") }],
    },
  ],
  RelatedPerson: [
    { id: "mother", active: true, patient: to("Patient/child") },
    { id: "former", active: false, patient: to("Patient/child") },
    { id: "ended", active: true, patient: to("Patient/child"), period: { end: "2026-11-24T11:59:00Z" } },
    { id: "current", patient: to("Patient/child"), period: { start: "2020-01-01", end: "2026-11-24" } },
  ],
};

async function* body(text: string) {
  yield ok(new TextEncoder().encode(text));
}

const noWrites = { transactions: undefined, honoursIfMatchOnDelete: false, acceptsSearchInUrl: false };
const any: ReadonlySet<string> = new Set(["any"]);
const none: ReadonlySet<string> = new Set();

interface Case {
  readonly scope?: string;
  readonly rows?: Readonly<Record<string, readonly object[]>>;
  readonly capabilities?: OriginTraits["capabilities"];
  readonly at?: number;
  readonly remembered?: RememberedRelations;
  /** The origin searches by id; by default it answers each question with all rows of the type. */
  readonly isStrict?: boolean;
}

/** A request of the user, and the questions that the origin got. */
function requestOf(
  user: string | undefined,
  relations: readonly UserRelation[],
  {
    scope = "user/*.rs",
    rows = world,
    capabilities = {},
    at = noon,
    remembered = new RememberedRelations(),
    isStrict = false,
  }: Case = {},
) {
  const scopes = parseScopes(scope);
  if (!scopes.ok) throw new Error(scopes.error.reason);
  const asked: string[] = [];
  const ask = async (question: OriginQuestion) => {
    const type = "path" in question ? question.path : "";
    asked.push("path" in question ? `${type}?${decodeURIComponent(question.query)}` : "link");
    const [, ids] =
      /_id=(?<ids>[^&]*)/u.exec("path" in question ? decodeURIComponent(question.query) : "") ?? [];
    const found = (rows[type] ?? []).filter(
      (row) => !isStrict || ids?.split(",").includes((row as { id: string }).id) !== false,
    );
    const entry = found.map((row) => ({ resource: { resourceType: type, ...row } }));
    const link = [{ relation: "self", url: origin }];
    return ok({
      kind: "answered" as const,
      base: origin,
      body: body(JSON.stringify({ resourceType: "Bundle", type: "searchset", link, entry })),
    });
  };
  const traits = { ...noWrites, capabilities };
  const session = sessionOf(ask, { at: instant(at), base, traits });
  const who = { scopes: scopes.value, patient: undefined, user };
  const found = RelationsAtOrigin.of(who, new Set(relations), session, instant(at), remembered);
  const relate = async (named: readonly string[], unnamed: ReadonlySet<string> = none) => {
    const related = await found?.relate(named, unnamed, session);
    return related?.ok === false ? related.error.reason : undefined;
  };
  return { asked, session, relations: found, relate, residences: session.names.residences };
}

/** All patients of the user. */
async function patientsOf(user: string | undefined, relations: readonly UserRelation[], more: Case = {}) {
  const { asked, relations: found, relate, residences } = requestOf(user, relations, more);
  const refusal = await relate([], any);
  if (refusal !== undefined) throw new Error(refusal);
  return { patients: found && [...found.patients].sort(), asked, residences };
}

test("a practitioner may access patients who name her or her active role as general practitioner, and no patient whom the origin only sent along", async ({
  expect,
}) => {
  expect((await patientsOf("Practitioner/vera", ["practitioner"])).patients).toEqual(["by-role", "own"]);
  expect((await patientsOf(`${base}/Practitioner/vera`, ["practitioner"])).patients).toEqual([
    "by-role",
    "own",
  ]);
  expect((await patientsOf("PractitionerRole/cardio", ["practitioner"])).patients).toEqual(["by-role"]);
  for (const role of ["left", "ended", "odd"])
    expect((await patientsOf(`PractitionerRole/${role}`, ["practitioner"])).patients, role).toEqual([]);
});

test("the request knows the states of the patients whose records were read for the relation", async ({
  expect,
}) => {
  const { residences } = await patientsOf("Practitioner/vera", ["practitioner"]);
  expect([residences.of("own"), residences.of("by-role")]).toEqual(["ME", undefined]);
});

test("an organization's patients are those of her active roles' organizations", async ({ expect }) => {
  expect((await patientsOf("Practitioner/vera", ["organization"])).patients).toEqual(["clinics", "managed"]);
  expect((await patientsOf("PractitionerRole/cardio", ["organization"])).patients).toEqual([
    "clinics",
    "managed",
  ]);
  expect((await patientsOf("PractitionerRole/left", ["organization"])).patients).toEqual([]);
});

test("a panel is an actual group of persons that she manages, of its active members", async ({ expect }) => {
  expect((await patientsOf("Practitioner/vera", ["panel"])).patients).toEqual(["member"]);
});

test("a related person may access the patient while the relation is active, a patient may access herself, and no further user may access any patient", async ({
  expect,
}) => {
  expect((await patientsOf("RelatedPerson/mother", ["related-person"])).patients).toEqual(["child"]);
  expect((await patientsOf("RelatedPerson/former", ["related-person"])).patients).toEqual([]);
  expect((await patientsOf("RelatedPerson/ended", ["related-person"])).patients).toEqual([]);
  expect((await patientsOf("RelatedPerson/current", ["related-person"])).patients).toEqual(["child"]);
  expect((await patientsOf("RelatedPerson/mother", ["practitioner"])).patients).toEqual([]);
  expect((await patientsOf("Patient/amara", [])).patients).toEqual(["amara"]);
  expect((await patientsOf("Organization/clinic", ["organization"])).patients).toEqual([]);
  expect((await patientsOf("Practitioner/vera", [])).patients).toMatchObject([]);
});

test("a user unknown to this origin may access no patient, and the origin is not asked", async ({
  expect,
}) => {
  for (const user of [
    undefined,
    "vera",
    "https://elsewhere.example/Practitioner/vera",
    "Practitioner/../vera",
    "#vera",
  ]) {
    expect(await patientsOf(user, ["practitioner", "panel"]), user).toMatchObject({
      patients: undefined,
      asked: [],
    });
  }
  expect(await patientsOf("Practitioner/vera", ["practitioner"], { scope: "system/*.rs" })).toMatchObject({
    patients: undefined,
    asked: [],
  });
});

test("the questions are the same whatever is found, and follow only the relations of the policy", async ({
  expect,
}) => {
  expect((await patientsOf("Practitioner/vera", ["practitioner"])).asked).toMatchObject([
    "PractitionerRole?practitioner=Practitioner/vera&active=true&_count=1000",
    "Patient?general-practitioner=Practitioner/vera,PractitionerRole/cardio&_count=1000",
  ]);
  expect((await patientsOf("Practitioner/nobody", ["practitioner"])).asked).toEqual([
    "PractitionerRole?practitioner=Practitioner/nobody&active=true&_count=1000",
    "Patient?general-practitioner=Practitioner/nobody&_count=1000",
  ]);
});

const vera = (more: Case = {}) => requestOf("Practitioner/vera", ["practitioner"], more);

test("the relation to a named patient costs one question, is judged again on the answer, and is remembered for ten seconds", async ({
  expect,
}) => {
  const remembered = new RememberedRelations();
  const first = vera({ remembered });
  await first.relate(["own", "others", "absent"]);
  expect([...(first.relations?.patients ?? [])]).toEqual(["own"]);
  expect(first.asked.slice(1)).toEqual([
    "Patient?_id=own,others,absent&general-practitioner=Practitioner/vera,PractitionerRole/cardio&_count=1000",
  ]);
  const soon = vera({ remembered, at: noon + 9_000, rows: {} });
  await soon.relate(["others", "own"]);
  expect([[...(soon.relations?.patients ?? [])], soon.asked]).toEqual([["own"], []]);
  const later = vera({ remembered, at: noon + 11_000, rows: {} });
  await later.relate(["own"]);
  expect([[...(later.relations?.patients ?? [])], later.asked.length]).toEqual([[], 2]);
});

test("the relation to a patient whom a row names is asked for in each request, and not remembered", async ({
  expect,
}) => {
  const remembered = new RememberedRelations();
  for (const _time of [1, 2]) {
    const { relations, session, asked } = vera({ remembered });
    await relations?.learn(["own", "others"], session);
    expect([...(relations?.patients ?? [])]).toEqual(["own"]);
    expect(asked.at(-1)).toMatch(/^Patient\?_id=own,others&/u);
    await relations?.learn(["own"], session);
    expect(asked.at(-1), "what is known is asked about nobody").toMatch(/^Patient\?_id=-&/u);
  }
  const named = vera({ remembered });
  await named.relate(["own"]);
  expect(named.asked.at(-1)).toMatch(/^Patient\?_id=own&/u);
});

test("a question about a stranger and one about nobody have the same form", async ({ expect }) => {
  const [of, about] = [vera(), vera()];
  await of.relations?.learn(["others"], of.session);
  await about.relations?.learn([], about.session);
  expect(of.asked.map((each) => each.replace("others", "-"))).toEqual(about.asked);
});

test("a search that names no patient takes a list of 1,000 patients, or an origin that takes the chain", async ({
  expect,
}) => {
  const listOf = (count: number) => ({
    ...world,
    Patient: Array.from({ length: count }, (_, n) => ({
      id: `p${n}`,
      generalPractitioner: [to("Practitioner/vera")],
    })),
  });
  const some = vera({ rows: listOf(1_000) });
  expect(await some.relate([], new Set(["Observation"]))).toBeUndefined();
  expect(some.relations?.patients).toMatchObject({ size: 1_000, isWhole: true });
  const many = vera({ rows: listOf(1_001), isStrict: true });
  expect(await many.relate([], new Set(["Observation"]))).toBe("patient_not_named");
  expect(await many.relate(["p7"]), "a named patient needs no list").toBeUndefined();
  expect(many.relations?.patients.has("p7")).toBe(true);
  // Patients are found by their general practitioner, without a chain
  expect(await many.relate([], new Set(["Patient"]))).toBeUndefined();
  expect(many.relations?.patients.practitionersFor("Patient")).toEqual([
    "Practitioner/vera",
    "PractitionerRole/cardio",
  ]);
  const chained = vera({ rows: listOf(1_001), capabilities: { chains: true } });
  expect(await chained.relate([], new Set(["Observation"]))).toBeUndefined();
  expect(chained.asked.length, "no list is read").toBe(1);
  expect(chained.relations?.patients.practitionersFor("Observation")).toHaveLength(2);
  const several = requestOf("Practitioner/vera", ["practitioner", "panel"], {
    rows: listOf(1_001),
    capabilities: { chains: true },
  });
  expect(await several.relate([], any), "several relations are no single chain").toBe("patient_not_named");
});
