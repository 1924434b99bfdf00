// Writes docs/deid-elements.txt: the fate of each R4 element in a de-identified form, for the person who
// reviews the table. The rules are src/policy/form/fates.ts; the elements are R4's own (scripts/generate-r4-tables.ts).
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deidForms, fateOf, fates, withheldTypes, type FateName } from "#policy/form/fates";
import { elementsOf, isResourceType } from "#fhir/r4/elements";
import { r4Elements } from "#fhir/r4/elements.gen";
import { typeShapeOf } from "#fhir/validate/shape";

const file = join(import.meta.dirname, "../docs/deid-elements.txt");
const types = [...r4Elements.matchAll(/\n(?<type>\w+) /gu)].map(([, type = ""]) => type);
const ofEach = new Set(["id", "extension", "modifierExtension"]);
const ofBase = new Set(["implicitRules", "contained", "meta", "text"]);

/** The fate of each element below a type, by its path; a choice whose forms share a fate is a single row. */
function rowsOf(type: string, path = ""): (readonly [path: string, fate: FateName])[] {
  const slots = [...typeShapeOf(type).slots];
  return [...elementsOf(type).values()]
    .filter(({ name }) => !(isResourceType(type) && ofBase.has(name)) && !ofEach.has(name))
    .flatMap(({ name, forms }) => {
      const each = forms.map((form) => {
        const below = slots.find(([slot]) => slot === form.name)?.[1].type ?? form.type;
        return { name: form.name, below, fate: fateOf(type, form.name, below) };
      });
      const [first] = each;
      if (first === undefined) return [];
      if (each.length > 1 && each.every(({ fate }) => fate === first.fate))
        return [[path + name, first.fate] as const];
      return each.flatMap((form) => {
        const own = [path + form.name, form.fate] as const;
        const isBackbone = form.fate === "parts" && form.below === `${type}.${name}`;
        return isBackbone ? [own].concat(rowsOf(form.below, `${path}${name}.`)) : [own];
      });
    });
}

function sectionOf(type: string): string {
  const reason = withheldTypes[type];
  if (reason !== undefined) return `${type}\n  withheld whole: ${reason}`;
  const byFate = Map.groupBy(rowsOf(type), ([, fate]) => fate);
  return [
    type,
    ...[...byFate].map(([fate, rows]) => `  ${fate}: ${rows.map(([path]) => path).join(" ")}`),
  ].join("\n");
}

const legend = Object.entries(fates).map(([name, { change, paragraphs, why }]) =>
  [
    `${name}: ${deidForms.map((form) => `${form} ${change[form]}`).join(", ")}`,
    `  45 CFR 164.514(b)(2)(i) ${paragraphs.replace("; ", "; (e)(2) ")}. ${why}`,
  ].join("\n"),
);
const datatypes = types.filter((type) => !isResourceType(type) && fateOf("", "", type) === "parts");
const resources = types.filter((type) => isResourceType(type));

/** The page as the table says it. */
export const deidElements = [
  "The fate of each element of FHIR R4 in a de-identified form. Made by scripts/deid-elements.ts. Do not edit.",
  "FATES",
  ...legend,
  "EACH RESOURCE\n  row: id\n  parts: meta\n  text: text\n  resource: contained\n  language: language\n" +
    "  withheld whole: with implicitRules, or with modifierExtension at any place\n" +
    "  out: each extension but those of src/deid/extensions.ts, each element that R4 does not define",
  "DATATYPES",
  ...datatypes.map(sectionOf),
  "RESOURCES",
  ...resources.map(sectionOf),
  "",
].join("\n\n");

export const storedDeidElements = (): string => readFileSync(file, "utf8");

if (process.argv[1] === import.meta.filename) writeFileSync(file, deidElements);
