import type { Json, JsonObject } from "#fhir/json/json";
import { inlineLabel } from "#fhir/json/facts";
import { namingElements } from "#fhir/r4/compartment-tables";
import { textAt } from "#fhir/json/json";
import { origin } from "./granting.ts";
import type { Tape } from "./small-world.ts";

const references: readonly string[] = [
  "Patient/ann",
  "Patient/ben",
  `${origin}/Patient/ann`,
  "https://elsewhere.example/Patient/ann",
  "Patient/ann/_history/2",
  "patient/ann",
  "Patient/ann#x",
  "#in",
  "#",
  "Group/g",
  "Encounter/e1",
  "Practitioner/vera",
  "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
  "",
];
const labels = ["R", "N", "V", "unknown"];

/** The resource with some members that decisions read replaced: by values of every form, well-made or not. */
export function mutatedRow(row: JsonObject, tape: Tape): JsonObject {
  let mutated = row;
  for (let changes = 1 + tape.below(4); changes > 0; changes -= 1) {
    const type = textAt(mutated, "resourceType") ?? "";
    const among = [
      "resourceType",
      "id",
      "meta",
      "meta",
      "category",
      "code",
      "contained",
      "extension",
      "_status",
      "securityContext",
      "address",
      "entry",
      ...namingElements(type),
      ...namingElements(type),
      ...Object.keys(mutated),
    ];
    // Labels decide about every type.
    const name = tape.below(4) === 1 ? "meta" : (among[tape.below(among.length)] ?? "meta");
    if (tape.below(6) === 1) {
      const { [name]: _left, ...others } = mutated;
      mutated = others;
    } else mutated = { ...mutated, [name]: valueOf(name, mutated[name], tape) };
  }
  return mutated;
}

function valueOf(name: string, now: Json | undefined, tape: Tape): Json {
  if (tape.below(5) === 1)
    return tape.of<Json>(null, [], {}, "text", true, [null], [[]], [{}], "", ["text"], { reference: null });
  switch (name) {
    case "resourceType":
      return tape.of<Json>("Patient", "Observation", "Binary", "Bundle", "Device", "Task", "Nothing", "");
    case "id":
      return tape.of<Json>("ann", "ben", "o1", "Ann", "..", "a/b", ["ann"]);
    case "meta":
      return metaOf(tape);
    case "category":
    case "code":
      return tape.of<Json>(
        { coding: [coding(tape), coding(tape)], text: "lab" },
        [{ coding: [coding(tape)] }, { coding: coding(tape) }],
        [coding(tape)],
        tape.of("lab", "LAB"),
      );
    case "contained":
    case "extension":
    case "_status":
      return tape.of<Json>([label(tape)], { extension: [label(tape)] }, [
        { resourceType: "Patient", id: "in", name: [{ _family: { extension: [label(tape)] } }] },
      ]);
    case "securityContext":
      return reference(tape);
    case "address":
      return [{ use: tape.of("home", "work", "old"), state: tape.of("MA", "Vermont", ""), country: "US" }];
    case "entry":
      return [{ resource: { resourceType: "Patient", id: "ann", address: [{ state: "RI" }] } }];
    default:
      return tape.of<Json>(
        reference(tape),
        [reference(tape), reference(tape)],
        { actor: reference(tape), other: reference(tape), individual: reference(tape) },
        [{ actor: reference(tape), other: reference(tape), entity: reference(tape) }, "text"],
        now ?? null,
      );
  }
}

const reference = (tape: Tape): Json => ({
  ...(tape.below(6) === 1 ? {} : { reference: tape.of<Json>("Patient/ann", ...references, null, ["x"]) }),
  ...(tape.below(4) === 1 ? { type: tape.of<Json>("Patient", "Group", "urn:x", null, true) } : {}),
  ...(tape.below(6) === 1 ? { identifier: { value: "ann" } } : {}),
});
const coding = (tape: Tape): Json => ({
  ...(tape.below(5) === 1 ? {} : { system: tape.of<Json>("urn:c", "urn:C", "urn:s", null) }),
  ...(tape.below(5) === 1 ? {} : { code: tape.of<Json>("lab", "vital", "LAB", " lab", true) }),
});
const label = (tape: Tape): Json => ({
  url: tape.of(inlineLabel, `${inlineLabel} `, "urn:x"),
  valueCoding: { code: tape.of("R", ...labels) },
});
const metaOf = (tape: Tape): Json => {
  const security = tape.of<Json>(
    [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: tape.of("N", ...labels) }],
    [{ code: "R" }],
    { code: "N" },
    null,
    [],
  );
  return tape.of<Json>(
    { security, tag: [coding(tape)], versionId: "1", profile: ["urn:p"] },
    { versionId: "2", extension: [label(tape)] },
    [{ security }],
    [security],
    null,
    { security: null, tag: null },
  );
};
