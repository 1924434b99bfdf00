import { test } from "vitest";
import { readInteraction } from "#fhir/interaction";
import { patientsNamed } from "#fhir/patients-named";

function named(request: string, method = "GET"): readonly string[] {
  const [path = "", query = ""] = request.split("?", 2);
  const read = readInteraction(method, path.split("/"), query);
  if (!read.ok) throw new Error(read.error.reason);
  return patientsNamed(read.value).map(({ patient, type }) => `${type}: ${patient}`);
}

test("a request names the patient in its URL", ({ expect }) => {
  for (const path of ["Patient/7", "Patient/7/_history/1", "Patient/7/_history", "Patient/7/$everything"])
    expect(named(path), path).toEqual(["Patient: 7"]);
  for (const method of ["PUT", "PATCH", "DELETE"])
    expect(named("Patient/7", method), method).toEqual(["Patient: 7"]);
  for (const path of ["Observation/7", "Observation/7/_history/1", "Patient", "metadata"])
    expect(named(path), path).toEqual([]);
});

test("a request names the patients in its criteria: by reference anywhere, by a bare id if only a patient can be meant", ({
  expect,
}) => {
  expect(named("Observation?patient=7")).toEqual(["Observation: 7"]);
  expect(named("Observation?subject=Patient/7,8,Group/9")).toEqual(["Observation: 7", "Observation: 8"]);
  expect(named("Observation?performer=Patient/7,8")).toEqual(["Observation: 7"]);
  expect(named("Observation?focus=Patient/7")).toEqual(["Observation: 7"]);
  expect(named("Patient?_id=7")).toEqual(["Patient: 7"]);
  expect(named("Patient?link=Patient/7")).toEqual(["Patient: 7"]);
  expect(named("Observation?_id=7&code=Patient/8")).toEqual([]);
  expect(named("Observation/$lastn?patient=7")).toEqual(["Observation: 7"]);
  expect(named("Observation?patient=7&code=a", "DELETE")).toEqual(["Observation: 7"]);
});

test("a request names the patients in its chains, each with the type of the rows at that hop", ({
  expect,
}) => {
  expect(named("Location?_has:Encounter:location:subject=Patient/bob")).toEqual(["Encounter: bob"]);
  expect(named("Observation?encounter:Encounter.patient=bob")).toEqual(["Encounter: bob"]);
  expect(named("Location?_has:Encounter:location:_has:Observation:encounter:subject=Patient/bob")).toEqual([
    "Observation: bob",
  ]);
  expect(named("Observation?patient._id=bob")).toEqual(["Patient: bob"]);
});
