import { test } from "vitest";
import { namesGiven, patientGiven, requirePatients } from "../../cli/records/patient-names.ts";

test("`-` reads patients from standard input, in lines or words", ({ expect }) => {
  const read = () => "main/Patient/a\n\nmain/Patient/b main/Patient/c\n";
  expect(namesGiven(["main/Patient/z", "-"], read)).toEqual(
    ["z", "a", "b", "c"].map((id) => `main/Patient/${id}`),
  );
  expect(patientGiven("-", () => "main/Patient/a\n")).toBe("main/Patient/a");
});

test("a call about one patient refuses several names, none, and a name of a different form", ({ expect }) => {
  for (const text of ["", "main/Patient/a main/Patient/b", "Patient/a"])
    expect(() => patientGiven("-", () => text), text).toThrow(/ORIGIN\/Patient\/ID/u);
});

test("a refused name is not repeated: it may be a person's", ({ expect }) => {
  expect(() => requirePatients(["main/Patient/a", "Amara Okafor"])).toThrow(/^(?!.*Amara Okafor).*ORIGIN/u);
});
