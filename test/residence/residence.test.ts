import * as fc from "fast-check";
import { test } from "vitest";
import { textAt, type Json, type JsonObject } from "#fhir/json/json";
import { outsideUs, residenceNames, residenceOf, stateBytesMax } from "#residence/residence";
import { countryNamed, isUsState, stateNamed } from "#residence/us-states";
import { instant } from "#kernel/clock";
import { noSharedData, resourcesIn } from "../phi/shared-data.ts";

const at = instant(Date.parse("2026-11-24T12:00:00Z"));
/** By the members that the byte engine captures of an address. */
const lives = (...addresses: readonly JsonObject[]) => {
  const address: Json = JSON.parse(JSON.stringify(addresses, [...residenceNames]));
  return residenceOf({ resourceType: "Patient", address }, at);
};

test("a State is named by its code, its name or ISO 3166-2 in any spelling, and the result is the USPS code", ({
  expect,
}) => {
  for (const [text, code] of [
    ["MA", "MA"],
    [" ma ", "MA"],
    ["Massachusetts", "MA"],
    ["US-MA", "MA"],
    ["NEW  YORK", "NY"],
    ["D.C.", "DC"],
    ["Washington, D.C.", "DC"],
    ["Washington", "WA"],
    ["District of Columbia", "DC"],
    ["Puerto Rico", "PR"],
    ["U.S. Virgin Islands", "VI"],
    ["Guam", "GU"],
    ["American Samoa", "AS"],
    ["Northern Mariana Islands", "MP"],
  ] as const)
    expect([stateNamed(text), lives({ state: text })], text).toEqual([code, code]);
  for (const text of ["Massachusets", "MA 02139", "ON", "AE", "MH", "Москва MA", "constructor", ""])
    expect(stateNamed(text), text).toBeUndefined();
  expect([isUsState("PR"), isUsState("MH"), isUsState("ma"), isUsState("toString")]).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

test("a country outside the United States is outside for any state; a US territory is a State (45 CFR 160.103)", ({
  expect,
}) => {
  for (const country of [
    "US",
    "USA",
    "usa",
    "United States of America",
    "U.S.A.",
    "",
    " ",
    "-",
    "Unknown",
    "UNK",
  ])
    expect(lives({ country, state: "MA" }), country).toBe("MA");
  for (const country of ["BR", "Brasil", "CAN", "Georgia", "VG"])
    expect(lives({ country, state: "MA" }), country).toBe(outsideUs);
  expect(lives({ country: "MX" })).toBe(outsideUs);
  for (const [country, code] of [
    ["PR", "PR"],
    ["PRI", "PR"],
    ["Puerto Rico", "PR"],
    ["GUM", "GU"],
    ["Virgin Islands (U.S.)", "VI"],
    ["ASM", "AS"],
    ["MP", "MP"],
  ] as const)
    expect([countryNamed(country), lives({ country, state: "San Juan" })], country).toEqual([code, code]);
  expect(lives({ country: "US" })).toBeUndefined();
});

test("home comes first, postal-only addresses come last within their use, and old, ended or future addresses never count", ({
  expect,
}) => {
  const [home, work, plain] = [{ use: "home", state: "MA" }, { use: "work", state: "NY" }, { state: "VT" }];
  expect(lives(work, plain, home)).toBe("MA");
  expect(lives(work, plain)).toBe("VT");
  expect(lives(work, { use: "billing", state: "CT" }, { use: "temp", state: "RI" })).toBe("RI");
  expect(lives({ ...home, type: "postal", state: "NH" }, { ...home, type: "physical" })).toBe("MA");
  expect(lives({ ...home, type: "postal", state: "NH" }, { ...home, type: "both" })).toBe("MA");
  expect(
    lives({ ...home, type: "postal", state: "NH" }, work),
    "a post box at home counts more than a desk",
  ).toBe("NH");
  expect(lives({ use: "home", city: "Boston" }, work), "the first address with a state").toBe("NY");
  for (const period of [
    { end: "2025" },
    { end: "2026-11-23" },
    { start: "2027" },
    { end: "last year" },
    "2026",
  ])
    expect(lives({ ...home, period }, work), JSON.stringify(period)).toBe("NY");
  for (const period of [{ start: "2020", end: "2026" }, { end: "2026-11" }, {}])
    expect(lives({ ...home, period }, work)).toBe("MA");
  expect(lives({ ...home, use: "old" })).toBeUndefined();
});

test("nothing is guessed from a postal code, a city, a line or a malformed address", ({ expect }) => {
  expect(
    lives({ use: "home", postalCode: "02139", city: "Boston", text: "Boston, MA 02139", line: ["MA"] }),
  ).toBeUndefined();
  for (const address of [
    "MA",
    { state: "MA" },
    null,
    ["MA", null, 7 as never, ["MA"]],
    [{ state: { value: "MA" } }],
    [{ state: "" }],
  ] as Json[])
    expect(residenceOf({ resourceType: "Patient", address }, at), JSON.stringify(address)).toBeUndefined();
  expect(residenceOf({ resourceType: "Patient" }, at)).toBeUndefined();
});

test("a text that names no State stays as written, on a single line of at most 32 bytes; a longer text is no state", ({
  expect,
}) => {
  expect(lives({ state: " Massa\u001b[31m\n  chusets\u202e " })).toBe("Massa [31m chusets");
  expect([
    lives({ state: "x".repeat(stateBytesMax) }),
    lives({ state: "x".repeat(stateBytesMax + 1) }),
  ]).toEqual(["x".repeat(stateBytesMax), undefined]);
  expect(lives({ state: "é".repeat(17) })).toBeUndefined();
  expect(lives({ state: "\ud800" })).toBeUndefined();
  const any = fc.record({
    state: fc.string({ unit: "binary" }),
    country: fc.option(fc.string({ unit: "grapheme" }), { nil: "" }),
  });
  fc.assert(
    fc.property(any, (address) => {
      const written = lives(address);
      const isPlain =
        written === undefined ||
        (written !== "" && written.trim() === written && !/[\p{C}\n]/u.test(written));
      return isPlain && Buffer.byteLength(written ?? "") <= stateBytesMax;
    }),
  );
  fc.assert(
    fc.property(
      fc.jsonValue(),
      (address) => residenceOf({ resourceType: "Patient", address } as unknown as JsonObject, at) !== "",
    ),
  );
});

test.skipIf(noSharedData)(
  "real patients live in the state of their home address (needs ../shared/data)",
  ({ expect }) => {
    const statesOf = (folder: string) => {
      const patients = resourcesIn(folder).filter(
        (resource) => textAt(resource, "resourceType") === "Patient",
      );
      return patients.map((patient) => residenceOf(patient, at));
    };
    // As in their files: each patient has a single address, without a use.
    // written as Massachusetts
    expect(statesOf("synthea-2019")).toEqual(Array.from({ length: 7 }, () => "MA"));
    expect(statesOf("synthea-2020")).toEqual(["WA", "WA", "WA"]);
    expect(statesOf("synthea-2024")).toEqual(["KS", "KS", "KS", "KS"]);
    expect(statesOf("us-core")).toEqual(["OK", "OK"]); // the second patient also has an old address
    expect(statesOf("examples-r4")).toEqual([undefined, undefined, undefined, undefined]);
  },
);
