import { elementsOf, type R4Element } from "#fhir/r4/elements";
import type { PolicyDocument, PolicyRule } from "#policy/schema";
import { readPath } from "#policy/view/element-path";
import { codedExtensions, codingExtensions } from "./extension-fates.ts";
import { fateOf, fates, formTableOf, hasParts, type DeidForm, type ValueChange } from "./fates.ts";

/** The datatypes in which much may stay back beside a little that leaves. Each backbone is such a type too. */
const narrowedTypes: ReadonlySet<string> = new Set([
  "Address",
  "Attachment",
  "CodeableConcept",
  "Dosage",
  "Meta",
]);
/** The members that leave of a value that is judged as a whole. */
const membersLeft: Readonly<Partial<Record<ValueChange, readonly string[]>>> = {
  coding: ["system", "code"],
  reference: ["reference"],
};
const extensionUrls = [...Object.keys(codedExtensions), ...Object.keys(codingExtensions)];
/** The URLs of an extension and of its parts that leave. */
const urlsOf = (url: string): readonly string[] => [url, ...(codingExtensions[url] ?? [])];

/**
 * The policy with rules that show no element which stays back whole in its form. Texts, contents and displays
 * then take no part in the length of an answer: a page ends at the same row, whatever they are.
 */
export function narrowedToForm(document: PolicyDocument): PolicyDocument {
  const { form, rules } = document;
  if (form === undefined) return document;
  return { ...document, rules: rules.map((rule) => narrowedRule(rule, formTableOf(form))) };
}

function narrowedRule(rule: PolicyRule, form: DeidForm): PolicyRule {
  const { types, show, extensions = [] } = rule;
  const isWhole = show === "everything";
  const left = types.flatMap((type) =>
    isWhole ? allLeft(form, type) : show.flatMap((path) => pathsLeft(form, type, path)),
  );
  return {
    ...rule,
    show: [...new Set(left)],
    extensions: [
      ...new Set(extensionUrls.filter((url) => isWhole || extensions.includes(url)).flatMap(urlsOf)),
    ],
  };
}

/** The parts of a path of a view that leave. */
function pathsLeft(form: DeidForm, type: string, path: string): readonly string[] {
  let parent = type;
  const steps = readPath(path);
  for (const [index, { name }] of steps.entries()) {
    const element = elementNamed(parent, name);
    if (element === undefined) return []; // an element of another type of the rule
    const left = formsLeft(form, parent, element).filter(
      (each) => element.name === name || each.name === name,
    );
    const [only] = left;
    const isEnd = index === steps.length - 1;
    if (only === undefined) return [];
    if (isEnd && element.name === name && path.endsWith(name))
      return left.flatMap((each) => formLeft(form, each, path.slice(0, -name.length) + each.name, []));
    const members = membersLeft[only.change];
    if (!isEnd && members !== undefined && left.length === 1)
      return members.includes(steps[index + 1]?.name ?? "") ? [path] : [];
    // Below several forms of a choice, and below a value without parts of its own, the value is judged as a whole.
    if (left.length > 1 || (!isEnd && !hasParts(only.change))) return [path];
    if (isEnd) return formLeft(form, only, path, []);
    parent = only.type;
  }
  return [path];
}

const elementNamed = (parent: string, name: string): R4Element | undefined =>
  [...elementsOf(parent).values()].find(
    (element) => element.name === name || element.forms.some((form) => form.name === name),
  );

const formsLeft = (form: DeidForm, parent: string, { forms }: R4Element) =>
  forms
    .map(({ name, type }) => ({ name, type, change: fates[fateOf(parent, name, type)].change[form] }))
    .filter(({ change }) => change !== "out");

type FormLeft = ReturnType<typeof formsLeft>[number];

/** The paths of a form of an element that leave, coarsest first. @param above the types around the element. */
function formLeft(
  form: DeidForm,
  { type, change }: FormLeft,
  path: string,
  above: readonly string[],
): readonly string[] {
  const members = membersLeft[change];
  if (members !== undefined) return members.map((member) => `${path}.${member}`);
  const isNarrowed = hasParts(change) && (type.includes(".") || narrowedTypes.has(type));
  return isNarrowed && !above.includes(type) ? allLeft(form, type, `${path}.`, [...above, type]) : [path];
}

/** As {@link formLeft}, of all elements of a type. */
function allLeft(
  form: DeidForm,
  type: string,
  before = "",
  above: readonly string[] = [],
): readonly string[] {
  return [...elementsOf(type).values()].flatMap((element) => {
    if (ruledApart.has(element.name)) return [];
    return formsLeft(form, type, element).flatMap((each) => formLeft(form, each, before + each.name, above));
  });
}

// No path of a view names these.
const ruledApart: ReadonlySet<string> = new Set(["extension", "modifierExtension", "implicitRules"]);
