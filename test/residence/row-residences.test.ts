import { test } from "vitest";
import { instant } from "#kernel/clock";
import { residenceFacts, Residences } from "#residence/row-residences";

const patient = (id: string, state: string) => ({
  resourceType: "Patient",
  id,
  address: [{ use: "home", state }],
});

test("a Patient's own body decides, and a copy inside a resource counts only until then", ({ expect }) => {
  const residences = new Residences(instant(0));
  const document = {
    resourceType: "Bundle",
    id: "d",
    entry: [{ resource: patient("a", "Vermont") }, { resource: patient("b", "ME") }, {}],
  };
  const outer = { resourceType: "Bundle", entry: [{ resource: document }] };
  residences.note(residenceFacts(outer));
  residences.note(
    residenceFacts({ resourceType: "Parameters", parameter: [{ name: "p", resource: patient("c", "RI") }] }),
  );
  expect(["a", "b", "c", "d"].map((id) => residences.of(id))).toEqual(["VT", "ME", "RI", undefined]);
  residences.note(residenceFacts(patient("a", "Massachusetts")));
  residences.note(residenceFacts(outer));
  expect(["a", "b"].map((id) => residences.of(id))).toEqual(["MA", "ME"]);
  residences.note(residenceFacts({ resourceType: "Patient", id: "a" })); // a body without an address says nothing
  expect(residences.of("a")).toBe("MA");
});

test("a contained Patient, and a resource of a different type, says nothing about any patient", ({
  expect,
}) => {
  const residences = new Residences(instant(0));
  residences.note(
    residenceFacts({
      resourceType: "Observation",
      id: "o",
      contained: [patient("a", "MA")],
      address: [{ state: "MA" }],
    }),
  );
  residences.note(residenceFacts({ resourceType: "Patient", address: [{ state: "MA" }] }));
  residences.note(residenceFacts({ resourceType: "constructor", id: "a" }));
  expect([residences.of("a"), residences.of("o"), residences.of("constructor")]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});
