import type { Resource, ResourceType } from "@medplum/fhirtypes";
import { test } from "vitest";
import { checkStructure } from "../../../sandbox/origin/validate.ts";
import { syntheticResources } from "../../../sandbox/synthetic/generate.ts";
import { firstPatient } from "../../../sandbox/synthetic/people.ts";

const resources = syntheticResources();
const json = JSON.stringify(resources);
const all = <T extends ResourceType>(type: T) =>
  resources.filter(
    (resource): resource is Extract<Resource, { resourceType: T }> => resource.resourceType === type,
  );
const place = ({ resourceType, id }: Resource) => `${resourceType}/${id}`;
const labels = ({ meta }: Resource) => meta?.security?.map(({ code }) => code) ?? [];

test("every resource is valid R4, for any seed", ({ expect }) => {
  for (const seed of [1, 2, 77])
    for (const resource of syntheticResources(seed))
      expect(() => checkStructure(resource), place(resource)).not.toThrow();
});

test("an equal seed gives equal bytes, a different seed gives different values of the same cast", ({
  expect,
}) => {
  expect(JSON.stringify(syntheticResources(1))).toBe(json);
  const other = syntheticResources(2);
  expect(JSON.stringify(other)).not.toBe(json);
  expect(other.filter(({ resourceType }) => resourceType === "Patient").map(place)).toEqual(
    all("Patient").map(place),
  );
});

test("every reference points at a resource that is there, and no two share a place", ({ expect }) => {
  const places = new Set(resources.map(place));
  expect(places.size).toBe(resources.length);
  const referred = [...json.matchAll(/"reference":"(?<place>[^"#]+)"/gu)].map(
    (match) => match.groups?.["place"] ?? "",
  );
  expect(referred.filter((reference) => !places.has(reference))).toEqual([]);
});

test("there are enough patients, and the README's patient has every kind of record", ({ expect }) => {
  expect(all("Patient").length).toBeGreaterThanOrEqual(12);
  const about = (type: ResourceType) =>
    resources.filter(
      (resource) =>
        resource.resourceType === type && JSON.stringify(resource).includes(`"Patient/${firstPatient}"`),
    ).length;
  for (const type of [
    "Encounter",
    "Condition",
    "Observation",
    "MedicationRequest",
    "Immunization",
    "Procedure",
    "Coverage",
    "Claim",
    "ExplanationOfBenefit",
    "DocumentReference",
    "DiagnosticReport",
    "AllergyIntolerance",
  ] as const)
    expect(about(type), type).toBeGreaterThan(0);
});

test("practitioners and organizations are shared, and one family contract covers several", ({ expect }) => {
  const charts = (reference: string) =>
    new Set(
      all("Encounter")
        .filter((encounter) => JSON.stringify(encounter).includes(`"${reference}"`))
        .map(({ subject }) => subject?.reference),
    ).size;
  for (const resource of [
    ...all("Practitioner"),
    ...all("Organization").filter(({ id }) => id !== "commonwealth-mutual"),
  ])
    expect(charts(place(resource)), place(resource)).toBeGreaterThan(1);
  const family = all("Coverage").filter(
    ({ subscriber }) => subscriber?.reference === `Patient/${firstPatient}`,
  );
  expect(new Set(family.map(({ beneficiary }) => beneficiary?.reference)).size).toBe(3);
  expect(new Set(family.map(({ subscriberId }) => subscriberId)).size).toBe(1);
});

test("decimals carry trailing zeros", ({ expect }) => {
  expect(json.match(/"value":\d+\.\d*0[,}]/gu)?.length ?? 0).toBeGreaterThan(100);
});

test("one patient has a long history", ({ expect }) => {
  expect(
    all("Observation").filter(({ subject }) => subject?.reference === "Patient/chen-wei").length,
  ).toBeGreaterThanOrEqual(300);
});

test("sensitive records carry restricted labels of each kind, and psychotherapy notes are among them", ({
  expect,
}) => {
  const labelled = resources.filter((resource) => labels(resource).length > 0);
  for (const resource of labelled) expect(labels(resource), place(resource)).toContain("R");
  for (const code of ["ETH", "PSY", "HIV", "SDV", "STD", "GDIS", "PSYTHPN", "ETHUD", "42CFRPart2"])
    expect(
      labelled.some((resource) => labels(resource).includes(code)),
      code,
    ).toBe(true);
  expect(all("DocumentReference").filter((note) => labels(note).includes("PSYTHPN"))).toHaveLength(1);
});

test("notes and narrative repeat in prose the content of coded fields", ({ expect }) => {
  for (const { content } of all("DocumentReference"))
    expect(Buffer.from(content?.[0]?.attachment?.data ?? "", "base64").toString()).toContain("born ");
  for (const { text, name } of all("Patient")) expect(text?.div).toContain(name?.[0]?.family);
});

test("there are restricted ZIP areas, ages over 89, the dead, and a record that another replaces", ({
  expect,
}) => {
  const zips = all("Patient").map(({ address }) => address?.[0]?.postalCode?.slice(0, 3));
  for (const zip of ["036", "059", "102", "203"]) expect(zips).toContain(zip);
  expect(
    all("Patient").filter(({ birthDate }) => (birthDate ?? "") < "1936-11").length,
  ).toBeGreaterThanOrEqual(2);
  expect([
    all("Patient").some(({ deceasedDateTime }) => deceasedDateTime !== undefined),
    all("Patient").some(({ deceasedBoolean }) => deceasedBoolean),
  ]).toEqual([true, true]);
  expect(
    all("Patient")
      .flatMap(({ link }) => link ?? [])
      .map(({ type }) => type)
      .toSorted(),
  ).toEqual(["replaced-by", "replaces"]);
});

test("there are modifier extensions, contained resources, and a child's record that its mother performed", ({
  expect,
}) => {
  expect(resources.filter((resource) => "modifierExtension" in resource)).toHaveLength(1);
  expect(resources.filter((resource) => "contained" in resource)).toHaveLength(1);
  const child = `Patient/${firstPatient}-newborn`;
  expect(
    all("Observation").some(
      ({ subject, performer }) =>
        subject?.reference === child && performer?.[0]?.reference === `Patient/${firstPatient}`,
    ),
  ).toBe(true);
  expect(
    all("Observation").some(
      ({ subject, focus }) =>
        subject?.reference === `Patient/${firstPatient}` && focus?.[0]?.reference === child,
    ),
  ).toBe(true);
});
