import { largest } from "#kernel/largest";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { canonicalText } from "#fhir/json/same";
import { elementsOf, isPrimitive } from "#fhir/r4/elements";
import { isDivisible, isInlineLabel, labelsInside, labelsOn } from "./inline-labels.ts";
import { normal, securityLabelOf } from "./row-labels.ts";

/** An object or a primitive value inside a resource, with the labels that hide it. */
interface Standing {
  /** The content without inline labels; for a primitive value with the names of the members around it. */
  readonly key: string;
  /** The element's labels, and the labels of the elements around it. */
  readonly labels: readonly Json[];
  /** The element has a label of its own. */
  readonly isLabelled: boolean;
  readonly isPrimitive: boolean;
}

/**
 * Answers whether a write takes an inline label from an element: a stored labelled element or an object from
 * inside it stands in the result under fewer labels, or the element was changed and a value from inside it
 * stands so. Labels are compared element by element: the same label on a second element hides the first
 * element from no reader. An absent element opens nothing, and a value that was also open before may stay
 * open.
 */
export function unlabelsElement(stored: JsonObject, result: JsonObject): boolean {
  const before = standingsOf(stored);
  const labelled = before.filter(({ isLabelled }) => isLabelled);
  if (labelled.length === 0) return false;
  const after = standingsOf(result);
  const [labelsBefore, labelsAfter] = [labelsByKey(before), labelsByKey(after)];
  const isOpened = ({ key, labels }: Standing) =>
    labelsBefore.get(key)?.every((known) => !coversLabels(labels, known)) === true;
  const elements = new Set(labelled.map(({ key }) => key));
  const stays = ({ key, labels }: Standing) =>
    labelsAfter.get(key)?.some((known) => coversLabels(known, labels)) === true;
  // A primitive value says little by itself: it counts if its element is not what it was.
  const isIntact = labelled.every(stays);
  return after.some((part) => (!part.isPrimitive || !isIntact || elements.has(part.key)) && isOpened(part));
}

function labelsByKey(standings: readonly Standing[]): ReadonlyMap<string, readonly (readonly Json[])[]> {
  const found = new Map<string, (readonly Json[])[]>();
  for (const { key, labels } of standings) {
    const known = found.get(key);
    if (known === undefined) found.set(key, [labels]);
    else known.push(labels);
  }
  return found;
}

/** Answers whether labels take nothing away from earlier labels: a level may rise, each further label stays. */
export function coversLabels(labels: readonly Json[], earlier: readonly Json[]): boolean {
  const names = new Set(labels.map(labelName));
  const level = largest(labels.map(statedLevel), normal); // a row without a level is normal
  return earlier.every((coding) => {
    const label = securityLabelOf(coding);
    if (label.kind === "level") return label.level <= level;
    return label.kind === "context" || names.has(labelName(coding));
  });
}

/** System and code: a display says nothing more. */
const labelName = (coding: Json): string =>
  canonicalText(
    isObject(coding) ? [property(coding, "system") ?? null, property(coding, "code") ?? null] : null,
  );

/** -1 for a label that states no level: a sensitivity takes no level's place. */
function statedLevel(coding: Json): number {
  const label = securityLabelOf(coding);
  return label.kind === "level" ? label.level : -1;
}

function standingsOf(resource: JsonObject): readonly Standing[] {
  const found: Standing[] = [];
  collectParts(resource, textAt(resource, "resourceType") ?? "", { path: "", labels: [] }, found);
  return found;
}

interface Place {
  readonly path: string;
  readonly labels: readonly Json[];
}

function collectParts(element: JsonObject, type: string, { path, labels }: Place, found: Standing[]): void {
  const labelsHere = labelsOn(property(element, "extension"));
  const here = [...labels, ...labelsHere];
  note(element, { path, labels: here }, labelsHere.length > 0, found);
  for (const name of Object.keys(element)) {
    const value = element[name] ?? null;
    const place = { path: `${path}.${name}`, labels: here };
    const stated = name.startsWith("_") ? undefined : formOf(type, name);
    const nested = stated === "Resource" ? undefined : stated;
    const sibling = name.startsWith("_") ? value : (property(element, `_${name}`) ?? null);
    for (const [index, item] of (isArray(value) ? value : [value]).entries()) {
      if (isInlineLabel(item)) continue;
      const inner = stated === "Resource" && isObject(item) ? (textAt(item, "resourceType") ?? "") : nested;
      if (inner !== undefined && isObject(item) && isDivisible(inner))
        collectParts(item, inner, place, found);
      else if (name.startsWith("_") || (stated !== undefined && isPrimitive(stated)))
        collectWhole(item, isArray(sibling) ? (sibling[index] ?? null) : sibling, place, found);
      else collectWhole(item, item, place, found);
    }
  }
}

/** A part that leaves whole or not at all, by the labels in `labelling`. */
function collectWhole(part: Json, labelling: Json, { path, labels }: Place, found: Standing[]): void {
  const labelsHere = labelsInside(labelling);
  const place = { path, labels: [...labels, ...labelsHere] };
  note(part, place, labelsHere.length > 0, found);
  collectInside(part, place, found);
}

function collectInside(part: Json, place: Place, found: Standing[]): void {
  if (isArray(part)) for (const item of part) noteInside(item, place, found);
  else if (isObject(part))
    for (const name of Object.keys(part))
      noteInside(part[name] ?? null, { ...place, path: `${place.path}.${name}` }, found);
}

function noteInside(value: Json, place: Place, found: Standing[]): void {
  if (isInlineLabel(value)) return;
  if (!isArray(value)) note(value, place, false, found);
  collectInside(value, place, found);
}

function note(value: Json, { path, labels }: Place, isLabelled: boolean, found: Standing[]): void {
  const content = withoutLabels(value);
  if (content === undefined) return;
  const text = canonicalText(content);
  const isValue = !isObject(content);
  found.push({ key: isValue ? `${path} ${text}` : text, labels, isLabelled, isPrimitive: isValue });
}

/** Undefined: nothing is left. */
function withoutLabels(value: Json): Json | undefined {
  if (value === null || isInlineLabel(value)) return undefined;
  if (isArray(value)) {
    const kept = value.map((item) => withoutLabels(item) ?? null).filter((item) => item !== null);
    return kept.length === 0 ? undefined : kept;
  }
  if (!isObject(value)) return value;
  const kept: Record<string, Json> = {};
  for (const name of Object.keys(value)) {
    const member = withoutLabels(value[name] ?? null);
    if (member !== undefined) kept[name] = member;
  }
  return Object.keys(kept).length === 0 ? undefined : kept;
}

/** The type of a member of an R4 type; `undefined` for a member that R4 does not know. */
function formOf(type: string, name: string): string | undefined {
  const elements = elementsOf(type);
  const known = elements.get(name)?.forms ?? [...elements.values()].flatMap(({ forms }) => forms);
  return known.find((form) => form.name === name)?.type;
}
