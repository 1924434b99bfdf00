import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readJson } from "#fhir/json/json";
import { dice, plainTypes, randomResource } from "../random-resource.ts";
import { noSharedData, resourcesIn } from "../shared-data.ts";
import { fuzz, utf8, viewOf, wholeView } from "./fuzzing.ts";
import { namesLike } from "./hostile-texts.ts";
import { compare } from "./twins.ts";

const observation = (member: string) =>
  utf8(`{"resourceType":"Observation","id":"1","status":"final","code":{"text":"x"},${member}}`);
const status = viewOf("Observation", ["status"]);
const whole = wholeView("Observation");

test("generated resources of every type, and hostile changes of them, are cut as by the plain engine or left to it", () => {
  fc.assert(
    fc.property(fc.constantFrom(...plainTypes), fc.integer(), (type, seed) => {
      const roll = dice(seed);
      fuzz([randomResource(type, roll)], 4, roll);
    }),
    { numRuns: 15 },
  );
});

test.skipIf(noSharedData)(
  "real resources, and hostile changes of them, are cut as by the plain engine or left to it (needs ../shared/data)",
  () => {
    const real = resourcesIn("examples-r4", "us-core").filter((one) => JSON.stringify(one).length < 20_000);
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const { share, mutatedShare } = fuzz(real, 50, dice(seed));
        expect(share).toBeGreaterThan(0.3);
        expect(mutatedShare).toBeGreaterThan(0.05);
      }),
      { numRuns: 1 },
    );
  },
);

test.skipIf(noSharedData)(
  "JSONTestSuite: every text is read as by the plain engine, where it is shown and where it is hidden (needs ../shared/data)",
  () => {
    const suite = join(import.meta.dirname, "../../../../shared/data/security/JSONTestSuite");
    let [valid, equal] = [0, 0];
    for (const file of readdirSync(suite).filter((name) => name.endsWith(".json"))) {
      const text = readFileSync(join(suite, file));
      compare(text, status);
      for (const [before, after] of [
        ['"hidden":', ""],
        ['"hidden":[', "]"],
        ['"note":[{"text":', "}]"],
        ['"note":', ""],
        ['"valueString":', ""],
        ['"valueQuantity":{"value":', "}"],
        ['"extension":', ""],
        ['"extension":[', "]"],
        ['"code":', ""],
        ['"category":[{"coding":', "}]"],
      ] as const) {
        const [start, end] = [observation(`${before}\n`), utf8(after)];
        const body = Buffer.concat([start.subarray(0, -1), text, end, utf8("}")]);
        const verdicts = [compare(body, status), compare(body, whole)];
        if (before !== '"hidden":' || !readJson(body).ok) continue;
        valid += 1;
        if (verdicts[0] === "equal") equal += 1;
      }
    }
    expect(equal / valid).toBeGreaterThan(0.8); // left: escapes in names
  },
);

test.for([
  // a name of the hash of a shown name, and names of one hash
  ['"statut":1', "equal"],
  [`"${namesLike("subject")}":{"reference":"Patient/9"}`, "equal"],
  [`"identifier":[{"${namesLike("system")}":"urn:mrn","value":"1"}]`, "equal"],
  [`"hidden":{"Aa":1,"BB":2}`, "left to the plain engine"],
  ['"hidden":{"a":{"b":1,"b":2}}', "left to the plain engine"],
  ['"status":"final"', "left to the plain engine"],
  ['"st\\u0061tus":"amended"', "left to the plain engine"],
  ['"hidden":[{"__proto__":1},{"constructor":{"prototype":1}}]', "equal"],
  ['"hidden":{"__proto__":1,"__proto__":2}', "left to the plain engine"],
  ['"hidden":"\\ud800"', "equal"],
  ['"valueString":"\\ud800"', "equal"],
  ['"hidden":1e999', "equal"],
  ['"hidden":01', "left to the plain engine"],
  ['"hidden":"\u0000"', "left to the plain engine"],
  [`"hidden":${"[".repeat(99)}${"]".repeat(99)}`, "equal"],
  [`"hidden":${"[".repeat(100)}${"]".repeat(100)}`, "left to the plain engine"],
  [`"${"n".repeat(100_000)}":1`, "equal"],
  ['"implicitRules":null', "left to the plain engine"],
  [
    '"hidden":{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"}',
    "left to the plain engine",
  ],
  [
    '"identifier":[{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label","system":"urn:y"}]',
    "left to the plain engine",
  ],
  ['"valueString":"http:\\/\\/origin.internal:8080\\/fhir\\/Patient\\/7"', "equal"],
  ['"subject":{"display":"x","reference":"\\u0050atient/7"}', "equal"],
  [
    '"extension":[{"valueMeta":{"security":[{"code":"N"}]},"url":"urn:x"}],"meta":{"security":[{"code":"R"}]}',
    "equal",
  ],
  [
    '"meta":{"security":[{"code":"R"}]},"extension":[{"url":"urn:x","valueMeta":{"security":[{"code":"N"}]}}]',
    "equal",
  ],
] as const)("an attack by the origin's bytes changes nothing: %s", ([member, verdict]) => {
  const views = [
    status,
    viewOf("Observation", ["identifier[system=urn:mrn]"]),
    whole,
    viewOf("Observation", ["subject.display", "value[x]", "code.text"], ["urn:x"]),
  ];
  for (const view of views) {
    expect(compare(observation(member), view)).toBe(verdict);
    const first = utf8(
      `{${member},"resourceType":"Observation","id":"1","status":"final","code":{"text":"x"}}`,
    );
    expect(compare(first, view)).toBe(verdict);
  }
});

test("the comparison notices a member that leaves although its view hides it", () => {
  const text = observation('"valueString":"x"');
  expect(compare(text, status)).toBe("equal");
  expect(() => compare(text, status, viewOf("Observation", ["status", "value[x]"]))).toThrow("two results");
  expect(() => compare(text, viewOf("Observation", ["status", "value[x]"]), status)).toThrow("two results");
});
