import { expect, test } from "vitest";
import { breachCsv, breachLetter } from "#audit/breach-papers";

const facts = {
  patient: "main/Patient/7",
  from: "2026-11-01",
  to: "2026-11-03",
  types: ["Observation", "Immunization"],
  discovered: "2026-11-24",
  by: "2027-01-23",
};

test("a letter has the five parts of 45 CFR 164.404(c)(1), with the facts of the records in words", () => {
  const letter = breachLetter(facts);
  expect(letter.join("\n")).toContain("Between November 1, 2026 and November 3, 2026");
  expect(letter.join("\n")).toContain("test results and measurements; vaccinations");
  expect(letter[1]).toContain("main/Patient/7");
  for (const part of ["What happened.", "What information.", "What you can do.", "What we do.", "Ask us."])
    expect(letter.filter((paragraph) => paragraph.startsWith(part))).toHaveLength(1);
  expect(letter.at(-1)).toContain("by January 23, 2027 at the latest");
});

test("a draft for all names no individual, and facts that are not known stay in brackets", () => {
  const draft = breachLetter({
    ...facts,
    patient: undefined,
    types: [],
    discovered: undefined,
    by: undefined,
  });
  expect(draft.join("\n")).not.toContain("Patient/");
  expect(draft.join("\n")).toContain("[date of the discovery]");
  expect(draft.join("\n")).toContain("[kinds]");
});

test("a State that begins like a formula stays text in the CSV", () => {
  const person = {
    patient: "main/Patient/7",
    state: "=cmd",
    first: 0,
    last: 0,
    disclosed: { Patient: 1 },
    policies: [],
    withheld: [],
    records: [0],
  };
  expect(breachCsv([person])[1]).toContain(",'=cmd,");
});
