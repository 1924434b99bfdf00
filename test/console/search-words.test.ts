import { test } from "vitest";
import { fragmentText, isNamedIn, namesToTry } from "../../src/console/browser/search-words.ts";

test("the fragment of an address is decoded, and stays as it is when it is not percent-encoded", ({
  expect,
}) => {
  expect(fragmentText("#lab%2C%20lab%C3%A9")).toBe("lab, labé");
  for (const broken of ["50%", "%", "%zz", "%ff"]) expect(fragmentText(`#${broken}`)).toBe(broken);
  expect(fragmentText("")).toBe("");
});

test("a client is named by its whole name alone", ({ expect }) => {
  const named = ["grant lab main treat", "lab", "lab.", "was: lab, done", '{"client":"lab"}', "lab-2, lab"];
  for (const text of named) expect(isNamedIn(text, "lab"), text).toBe(true);
  for (const text of ["grant lab-2 main treat", "labs", "slab", "north.lab", "lab.north", "lab_2", "", "la"])
    expect(isNamedIn(text, "lab"), text).toBe(false);
  expect(isNamedIn("client lab-2: status", "lab-2")).toBe(true);
  expect(isNamedIn("removed: grant lab main", "grant lab")).toBe(true);
});

test("a patient's name is tried by its words, then as a single part; no comma asks for a further name", ({
  expect,
}) => {
  for (const typed of ["Amara Okafor", " Amara,Okafor ", "Amara,  Okafor"])
    expect(namesToTry(typed)).toEqual([["Amara", "Okafor"], ["Amara Okafor"]]);
  expect(namesToTry("Okafor,")).toEqual([["Okafor"]]);
  expect(namesToTry(" ")).toEqual([[]]);
});
