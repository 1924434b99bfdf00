import { test } from "vitest";
import { accountingDutyOf } from "#audit/accounting/exclusions";
import { purposeOfUse } from "#fhir/r4/purpose-of-use.gen";

const at = Date.UTC(2026, 10, 24);
const standing = (purposes: readonly string[], agreement?: string) => {
  const found = accountingDutyOf({ at, purposes, agreement }, { dua: "viii", authorized: "iv" });
  return found.required ? "required" : found.clause;
};

test("treatment, payment and operations, the individual, and who is involved in care need not be listed", ({
  expect,
}) => {
  expect(["TREAT", "HPAYMT", "COVAUTH", "HOPERAT", "HQUALIMP"].map((code) => standing([code]))).toEqual(
    Array(5).fill("i"),
  );
  expect(["PATRQT", "PWATRNY"].map((code) => standing([code]))).toEqual(["ii", "ii"]);
  expect(["FAMRQT", "SUPNWK", "HDIRECT"].map((code) => standing([code]))).toEqual(["v", "v", "v"]);
});

test("every further purpose is listed: permissions of 164.512, marketing, unknown codes, no purpose at all", ({
  expect,
}) => {
  const codes = [
    "ETREAT",
    "BTG",
    "PUBHLTH",
    "THREAT",
    "HRESCH",
    "CLINTRCHNPC",
    "HMARKT",
    "DONAT",
    "HDECD",
    "HLEGAL",
    "MILCDM",
    "GOV",
    "MLTRAINING",
    "NEWCODE",
    "constructor",
  ];
  expect(codes.map((code) => [code, standing([code])])).toEqual(codes.map((code) => [code, "required"]));
  expect(standing([])).toBe("required");
});

test("a single purpose that must be listed decides for a line with several", ({ expect }) => {
  expect(standing(["TREAT", "PUBHLTH"])).toBe("required");
  expect(standing(["PUBHLTH", "TREAT"])).toBe("required");
  expect(standing(["HPAYMT", "PATRQT"])).toBe("i");
});

test("an operator's facts about an agreement decide, and nothing before the compliance date is listed", ({
  expect,
}) => {
  expect([
    standing(["HRESCH"], "dua"),
    standing(["HMARKT"], "authorized"),
    standing(["HRESCH"], "other"),
  ]).toEqual(["viii", "iv", "required"]);
  expect(
    accountingDutyOf({ at: Date.UTC(2003, 3, 13), purposes: ["PUBHLTH"], agreement: undefined }, {}),
  ).toEqual({
    required: false,
    clause: "ix",
  });
});

test("every code of v3-PurposeOfUse has one answer", ({ expect }) => {
  for (const code of Object.keys(purposeOfUse))
    expect(["required", "i", "ii", "v"]).toContain(standing([code]));
});
