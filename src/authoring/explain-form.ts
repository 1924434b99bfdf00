import { beyondForm, isCoded } from "#deid/asked-of-form";
import type { AskedCode } from "#deid/asked-values";
import { deidentify } from "#deid/deidentify";
import { marked } from "#deid/form-answer";
import { unknownAmong } from "#deid/known-codes";
import type { Interaction } from "#fhir/interaction";
import { isArray, isObject, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { elementsOf } from "#fhir/r4/elements";
import { typeShapeOf } from "#fhir/validate/shape";
import type { Scopes } from "#identity/scopes";
import { fateOf, fates, formTableOf, hasParts, type DeidForm, type FateName } from "#policy/form/fates";
import type { PolicyForm } from "#policy/schema";
import { readPath } from "#policy/view/element-path";
import type { ExplainStep } from "./explain-step.ts";
import type { RedactionChange } from "./explain-redaction.ts";

const clauses: Readonly<Record<PolicyForm["kind"], string>> = {
  "safe-harbor": "45 CFR 164.514(b)(2)",
  "limited-data-set": "45 CFR 164.514(e)",
  expert: "45 CFR 164.514(b)(1)",
};

/** What a form makes of a request, and of each element of the type for which the request asks. */
export function explainForm(form: PolicyForm, scopes: Scopes, interaction: Interaction): ExplainStep {
  const excluded = excludedBy(scopes, interaction);
  const by = form.kind === "expert" ? `, by the table ${form.table} of ${form.expert}` : "";
  const says = `rows leave in the form ${form.kind} (${clauses[form.kind]}), in the data set ${form.dataSet}${by}`;
  if (excluded !== undefined) return { ok: false, of: "form", says: `${says}: no answer to ${excluded}` };
  const details =
    "type" in interaction && interaction.type !== undefined
      ? fatesIn(interaction.type, formTableOf(form))
      : [];
  return { ok: true, of: "form", says, details };
}

/** The first part of a request that no form answers, as the gateway finds it. */
function excludedBy(scopes: Scopes, interaction: Interaction): string | undefined {
  const codes: AskedCode[] = [];
  if (!isCoded(interaction)) return interaction.kind;
  if (scopes.some(({ context }) => context !== "system")) return "scope";
  return beyondForm(interaction, codes) ?? unknownAmong(codes);
}

/** The fate of each element of a type, in the words of the table by which the engines work. */
function fatesIn(type: string, form: DeidForm): readonly string[] {
  return [...typeShapeOf(type).slots].flatMap(([name, slot]) =>
    elementsApart.has(name) ? [] : [`${name}: ${spoken(fateOf(type, name, slot.type), form)}`],
  );
}

// The view and the form judge these by rules of their own.
const elementsApart: ReadonlySet<string> = new Set([
  "resourceType",
  "extension",
  "modifierExtension",
  "implicitRules",
]);

function spoken(name: FateName, form: DeidForm): string {
  const { change, paragraphs, why } = fates[name];
  const paragraph = paragraphs.split("; ")[form === "safe-harbor" ? 0 : 1] ?? paragraphs;
  return `${change[form]}, ${paragraph}: ${why}`;
}

/** What a form makes of the element at a path of a view; empty: its values leave as they are. */
export function fateInForm(type: string, path: string, form: DeidForm): string {
  let parents: readonly string[] = [type];
  for (const { name } of readPath(path)) {
    const found = parents.flatMap((parent) =>
      [...elementsOf(parent).values()].flatMap((element) =>
        element.forms
          .filter((each) => each.name === name || element.name === name)
          .map((each) => ({ type: each.type, fate: fateOf(parent, each.name, each.type) })),
      ),
    );
    const ends = found.filter(({ fate }) => !hasParts(fates[fate].change[form]));
    if (ends.length > 0) {
      const changed = ends.filter(({ fate }) => fates[fate].change[form] !== "keep");
      return [...new Set(changed.map(({ fate }) => spoken(fate, form)))].join("; ");
    }
    parents = found.map((each) => each.type);
  }
  return "";
}

/** A sample in a form. Undefined: the form withholds the sample. Its ids are words for random codes. */
export function inFormOf(
  shown: JsonObject,
  form: PolicyForm,
  { year, base }: { readonly year: number; readonly base: string },
): { readonly after: JsonObject; readonly changes: readonly RedactionChange[] } | undefined {
  const table = formTableOf(form);
  const after = marked(deidentify(shown, { form: table, year, base, codeOf: () => "random-code" }));
  if (after === undefined) return undefined;
  return {
    after,
    changes: membersChanged(textAt(shown, "resourceType") ?? "", shown, after, { table, at: "" }),
  };
}

interface Place {
  readonly table: DeidForm;
  /** The path of the object, with a dot behind a name. */
  readonly at: string;
}

function membersChanged(
  type: string,
  before: JsonObject,
  after: JsonObject,
  place: Place,
): readonly RedactionChange[] {
  const { table, at } = place;
  const { slots } = typeShapeOf(type);
  const changed = Object.entries(before).flatMap(([name, value]): readonly RedactionChange[] => {
    const left = after[name];
    if (left !== undefined && textOf(left) === textOf(value)) return [];
    const kind = left === undefined ? "removed" : "changed";
    const slot = slots.get(name);
    const fate = slot === undefined ? undefined : fateOf(type, name, slot.type);
    if (slot === undefined || fate === undefined || elementsApart.has(name))
      return [{ kind, path: at + name, why: "the form names no such extension or member" }];
    const below = hasParts(fates[fate].change[table])
      ? partsChanged(slot.type, value, left, place, name)
      : undefined;
    const isLost = left === undefined && fates[fate].change[table] !== "out";
    const why = isLost ? `no part of it leaves (${spoken(fate, table)})` : spoken(fate, table);
    return below ?? [{ kind, path: at + name, why }];
  });
  const added = Object.keys(after).flatMap((name): readonly RedactionChange[] =>
    Object.hasOwn(before, name)
      ? []
      : [{ kind: "added", path: at + name, why: "the form marks that values stay back" }],
  );
  return [...changed, ...added];
}

/** The changes inside; undefined: an item is lost, and the places of the others say nothing. */
function partsChanged(
  type: string,
  before: Json,
  after: Json | undefined,
  { table, at }: Place,
  name: string,
): readonly RedactionChange[] | undefined {
  if (!isArray(before))
    return isObject(before) && isObject(after)
      ? membersChanged(type, before, after, { table, at: `${at}${name}.` })
      : undefined;
  if (!isArray(after) || after.length !== before.length) return undefined;
  return before.flatMap((item, index) => {
    const left = after[index];
    return isObject(item) && isObject(left)
      ? membersChanged(type, item, left, { table, at: `${at}${name}[${index}].` })
      : [];
  });
}

const textOf = (value: Json): string => JSON.stringify(value);
