import * as fc from "fast-check";
import { test } from "vitest";
import { codesMatch } from "#policy/consent/code-match";
import { codeName, unclear } from "#policy/consent/consent";
import { anyOf } from "#policy/consent/match";
import { icdTextOf } from "#policy/sensitivity/sensitive-codes";
import { inLane } from "../../support/lane.ts";

/** The twin: each code of the Consent is compared with each code of the row. */
function codeMatch(code: string, codes: ReadonlySet<string>) {
  const at = code.indexOf("|");
  const isBare = at === 0;
  if (codes.has(code) || (!isBare && codes.has(codeName(code.slice(0, at), code.slice(at + 1)))))
    return isBare ? ("unknown" as const) : ("yes" as const);
  const mayBe = (each: string) =>
    (isBare ? isCodeOf(each, code) : each === code.slice(at)) ||
    (icdTextOf(code) !== undefined && icdTextOf(code) === icdTextOf(each));
  return [...codes].some(mayBe) ? ("unknown" as const) : ("no" as const);
}

/** A code may name its system before a bar. */
const isCodeOf = (name: string, bare: string): boolean =>
  name.endsWith(bare) && (bare.lastIndexOf("|") === 0 || name.indexOf("|") === name.length - bare.length);

const system = fc.constantFrom(
  undefined,
  "http://hl7.org/fhir/sid/icd-10-cm",
  "http://hl7.org/fhir/sid/icd-10",
  "urn:oid:2.16.840.1.113883.6.90",
  "http://hl7.org/fhir/sid/icd-10-us",
  "http://snomed.info/sct",
  "urn:s",
  "2.16.840.1.113883.6.96",
);
const code = fc.constantFrom(
  "F11.10",
  "F1110",
  "f11.10",
  "F11.10+",
  "F11.-",
  "B20",
  "a|F11.10",
  "a|b",
  "a|b|c",
  "b|c",
  "b",
  "1",
);
const name = fc.tuple(system, code).map(([of, text]) => codeName(of, text));
const earlier = fc.tuple(system, code).map(([of, text]) => `${of ?? ""}|${text}`);
const listed = fc.oneof(
  { weight: 6, arbitrary: name },
  { weight: 2, arbitrary: earlier },
  { weight: 1, arbitrary: fc.constant(unclear) },
);

test("prepared codes of a Consent say of a row's codes what comparisons by pairs say", ({ expect }) => {
  const seen = { yes: 0, no: 0, unknown: 0 };
  fc.assert(
    fc.property(fc.array(listed, { maxLength: 5 }), fc.array(name, { maxLength: 5 }), (codes, found) => {
      const row = new Set(found);
      const twin = anyOf(codes.map((each) => (each === unclear ? "unknown" : codeMatch(each, row))));
      seen[twin] += 1;
      return codesMatch(codes, { codes: row }) === twin;
    }),
    { numRuns: inLane({ fast: 3_000, slow: 30_000, long: 300_000 }) },
  );
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(40);
});
