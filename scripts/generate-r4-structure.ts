// Writes src/fhir/r4/structure.gen.ts: the codes of required bindings, and the XHTML of narratives. The elements
// that are bound are marked in elements.gen.ts.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { r4OpenTypes } from "#fhir/r4/elements.gen";
import { codes, codeSystems, lists, structures } from "./r4-bindings.ts";

// txt-1 is written in full only as XPath; its FHIRPath is a call. The first bracket has the elements, the
// second the attributes.
const narrative = structures
  .find(({ name }) => name === "Narrative")
  ?.snapshot.element.flatMap((element) => element.constraint ?? []);
const [html = "", attributes = ""] = [
  ...(narrative?.find(({ key }) => key === "txt-1")?.xpath ?? "").matchAll(/=\((?<list>[^)]+)\)/gu),
].map((match) => (match.groups?.["list"] ?? "").replaceAll(/[',]+/gu, "").trim());

const resourceTypes =
  codes
    .get("resource-types")
    ?.split(" ")
    .filter((type) => !type.endsWith("Resource")) ?? [];
/** A list that has every resource type names them by `*`, and the types of an open choice by `+`. */
const short = (text: string): string =>
  [["*", resourceTypes] as const, ["+", r4OpenTypes] as const]
    .reduce<readonly string[]>(
      (words, [mark, types]) =>
        types.every((type) => words.includes(type))
          ? [mark, ...words.filter((word) => !types.some((type) => type === word))]
          : words,
      text.split(" "),
    )
    .join(" ");
const text = (name: string, doc: string, value: string) =>
  `/** ${doc} */\nexport const ${name} = ${JSON.stringify(value)};\n`;

writeFileSync(
  join(import.meta.dirname, "../src/fhir/r4/structure.gen.ts"),
  [
    "// Made by scripts/generate-r4-structure.ts from hl7.fhir.r4.core 4.0.1 (CC0). Do not edit.\n",
    text(
      "r4Codes",
      "A line a list, in the order of the numbers in `r4Elements`: its name, then its codes; `*` stands for every resource type, `+` for `r4OpenTypes`. Where the bound element is a CodeableConcept, the URL of each system stands before its codes.",
      lists.map((list) => `${list} ${short(codes.get(list) ?? "")}`).join("\n"),
    ),
    text(
      "r4CodeSystems",
      "A line a list of plain codes whose system is not `http://hl7.org/fhir/` with the name of the list: its name, then its systems.",
      lists.flatMap((list) => codeSystems.get(list)?.toSpliced(0, 0, list).join(" ") ?? []).join("\n"),
    ),
    text("r4HtmlElements", "The elements of XHTML that a narrative may have (txt-1).", html),
    text("r4HtmlAttributes", "The attributes of XHTML that a narrative may have (txt-1).", attributes),
  ].join("\n"),
);
