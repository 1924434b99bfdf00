import * as fc from "fast-check";
import { test } from "vitest";
import { choosePurpose, requestedPurposes } from "#identity/purpose";

test("a token request without a purpose gets the only granted purpose", ({ expect }) => {
  expect(requestedPurposes(undefined, ["TREAT"])).toEqual({ ok: true, value: ["TREAT"] });
  expect(requestedPurposes(undefined, ["TREAT", "HPAYMT"])).toMatchObject({
    ok: false,
    error: { reason: "purpose_not_chosen" },
  });
  expect(requestedPurposes(undefined, [])).toMatchObject({
    ok: false,
    error: { reason: "purpose_not_chosen" },
  });
});

test("break-glass must be requested, never assumed", ({ expect }) => {
  expect(requestedPurposes(undefined, ["BTG"])).toMatchObject({
    ok: false,
    error: { reason: "purpose_not_chosen" },
  });
  expect(requestedPurposes("BTG", ["BTG"])).toEqual({ ok: true, value: ["BTG"] });
});

test.for(["", "treat", "TREAT  HPAYMT", "TREAT TREAT", " TREAT", "TREAT,HPAYMT", "PurposeOfUse"])(
  "'%s' is malformed",
  (asked, { expect }) => {
    expect(requestedPurposes(asked, ["TREAT", "HPAYMT"])).toEqual({
      ok: false,
      error: { reason: "purpose_malformed" },
    });
  },
);

test("a request chooses within its token's purposes and never beyond", ({ expect }) => {
  expect(choosePurpose(undefined, ["TREAT"])).toEqual({ ok: true, value: "TREAT" });
  expect(choosePurpose(undefined, ["TREAT", "HPAYMT"])).toMatchObject({
    ok: false,
    error: { reason: "purpose_not_chosen" },
  });
  expect(choosePurpose("HPAYMT", ["TREAT", "HPAYMT"])).toEqual({ ok: true, value: "HPAYMT" });
  expect(choosePurpose("HRESCH", ["TREAT", "HPAYMT"])).toEqual({
    ok: false,
    error: { reason: "purpose_not_granted", purpose: "HRESCH" },
  });
  expect(choosePurpose("TREAT HPAYMT", ["TREAT", "HPAYMT"])).toEqual({
    ok: false,
    error: { reason: "purpose_malformed" },
  });
});

test("the chosen purpose was always granted", ({ expect }) => {
  const code = fc.constantFrom("TREAT", "HPAYMT", "BTG", "HRESCH", "x");
  fc.assert(
    fc.property(
      fc.option(
        fc.array(code).map((codes) => codes.join(" ")),
        { nil: undefined },
      ),
      fc.uniqueArray(code),
      (asked, granted) => {
        const purposes = requestedPurposes(asked, granted);
        if (purposes.ok) expect(granted).toEqual(expect.arrayContaining([...purposes.value]));
        const chosen = choosePurpose(asked, granted);
        if (chosen.ok) expect(granted).toContain(chosen.value);
      },
    ),
  );
});
