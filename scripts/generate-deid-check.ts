// Writes src/deid-check/r4-names.gen.ts: the member names of R4's JSON, read from the StructureDefinitions
// themselves, so that the checker shares no table with the code that it checks.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { codes } from "./r4-bindings.ts";
import { lines } from "./r4-definitions.ts";

const structure = z.object({
  kind: z.string(),
  derivation: z.string().optional(),
  snapshot: z.object({
    element: z.array(
      z.object({
        path: z.string(),
        type: z.array(z.object({ code: z.string() })).optional(),
        binding: z.object({ strength: z.string() }).optional(),
      }),
    ),
  }),
});
const names = new Set<string>(["resourceType"]);
const coded = new Set<string>();
for (const { kind, derivation, snapshot } of lines(
  "fhir/definitions/structuredefinitions-r4-base.ndjson.gz",
  structure,
)) {
  if (derivation === "constraint" || (kind !== "resource" && kind !== "complex-type")) continue;
  for (const { path, type = [], binding } of snapshot.element.slice(1)) {
    const last = path.slice(path.lastIndexOf(".") + 1);
    const stem = last.replace("[x]", "");
    for (const { code } of type) {
      const name = stem === last ? last : stem + code.charAt(0).toUpperCase() + code.slice(1);
      names.add(name);
      if (code === "code" && binding?.strength === "required") coded.add(name);
    }
    if (type.length === 0) names.add(last);
  }
}
// A list of a CodeableConcept has the URL of each system before its codes.
const words = new Set(
  [...codes.values()].flatMap((list) => list.split(" ")).filter((word) => !word.includes(":")),
);
const text = (name: string, doc: string, set: ReadonlySet<string>) =>
  `/** ${doc} */\nexport const ${name} = ${JSON.stringify([...set].toSorted().join(" "))};\n`;

writeFileSync(
  join(import.meta.dirname, "../src/deid-check/r4-names.gen.ts"),
  [
    "// Made by scripts/generate-deid-check.ts from hl7.fhir.r4.core 4.0.1 (CC0). Do not edit.\n",
    text("r4MemberNames", "Every member name of R4's JSON.", names),
    text("r4CodedNames", "The names of the elements of type code with a required binding.", coded),
    text("r4RequiredCodes", "The codes of all required bindings.", words),
  ].join("\n"),
);
