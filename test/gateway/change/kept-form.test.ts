import { test } from "vitest";
import type { OriginTraits } from "#fhir/ports";
import { keepsForm, learnForm } from "#gateway/change/kept-form";

test("whether a server keeps the form of a row is learned anew from each copy of its entry, and one row in another form decides", ({
  expect,
}) => {
  const traits = (): OriginTraits => ({
    transactions: undefined,
    honoursIfMatchOnDelete: false,
    acceptsSearchInUrl: false,
    capabilities: {},
  });
  const entry = traits();
  expect(keepsForm(entry)).toBeUndefined();
  learnForm(entry, true);
  expect(keepsForm(entry)).toBe(true);
  learnForm(entry, false);
  learnForm(entry, true);
  expect(keepsForm(entry)).toBe(false);
  expect(keepsForm(traits()), "the entry was read anew").toBeUndefined();
});
