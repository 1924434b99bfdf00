import { Facts } from "#fhir/json/facts";
import { isArray, isObject, property, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
import { elementsOf, isPrimitive, type R4Element } from "#fhir/r4/elements";
import { ownerPathsOf } from "#fhir/r4/compartment-tables";
import type { FhirBase } from "#fhir/r4/reference";
import { isDecidedByRows, isJudgedNarrowly, matches } from "#fhir/search/row-judge";
import type { SearchParameter, SortKey } from "#fhir/search/search";
import type { Grant } from "#policy/grant";
import { isDivisible, isInlineLabel, labelsInside, labelsOn } from "#policy/sensitivity/inline-labels";
import { saysInside } from "#policy/sensitivity/row-labels";
import { requiredOf } from "#policy/view/masked";

/** The judgement of a grant about the labels of an element (DS4P `extension-inline-sec-label`). */
export interface LabelJudge {
  /** Answers whether an element with these labels may leave. */
  readonly mayLeave: (labels: readonly Json[]) => boolean;
  /** Answers whether rules, scopes or the row access test this member of the resource. */
  readonly isTested: (type: string, member: string) => boolean;
}

const cutMembers = new WeakMap<JsonObject, ReadonlySet<string>>();
const none: ReadonlySet<string> = new Set();
const hasInlineLabel =
  "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-has-inline-sec-label";

/**
 * A resource without the elements whose labels may not leave, as if its origin did not have them; the resource
 * itself if every label may leave. `undefined`: the cut would mislead (a modifier element), or would change what the
 * row is (its owner, a member that a rule tests), so the whole resource stays back.
 *
 * A datatype leaves whole or not at all, but for HumanName and Address: a part of a Coding or a Period would
 * change its meaning, and the parts of a CodeableConcept repeat each other. The narrative repeats the
 * elements, so a cut drops it. An element that R4 requires stands as data-absent-reason `masked`.
 */
export function leavingPart(resource: JsonObject, judge: LabelJudge): JsonObject | undefined {
  const labels = labelsInside(resource);
  if (labels.length === 0) return resource;
  const together = cutBy(resource, judge);
  // Two Consents that permit one kind each do not permit a row of both kinds.
  const isWhole = together !== undefined && judge.mayLeave(labelsInside(together));
  return isWhole
    ? together
    : cutBy(resource, { ...judge, mayLeave: (labelsOfPart) => labelsOfPart.length === 0 });
}

/** {@link leavingPart} by a grant. @param base the origin's. */
export const leavingFor = (
  { mayShowLabelled, isTested }: Pick<Grant, "mayShowLabelled" | "isTested">,
  resource: JsonObject,
  facts: Facts,
  base: FhirBase,
): JsonObject | undefined =>
  Facts.inlineLabelsOf(facts).length === 0
    ? resource
    : leavingPart(resource, { mayLeave: (labels) => mayShowLabelled(facts, base, labels), isTested });

/** The members of a resource that {@link leavingPart} cut, or cut in a part. */
export const membersCut = (part: JsonObject): ReadonlySet<string> => cutMembers.get(part) ?? none;

/**
 * An older version of a resource without the members in which its current version hides a part: a label that
 * came later hides earlier versions too. `undefined`: it stays back whole.
 */
export function withoutMembersOf(now: JsonObject, old: JsonObject): JsonObject | undefined {
  const hidden = membersCut(now);
  if (hidden.size === 0) return old;
  const type = textAt(old, "resourceType") ?? "";
  const out: Record<string, Json> = { ...old };
  for (const name of hidden) {
    const element = elementNamed(type, name);
    if (element?.isModifier === true) return undefined;
    // An earlier version may state a choice in another form: `valueString` before `valueCodeableConcept`.
    for (const form of [name, ...(element?.forms ?? []).map((each) => each.name)])
      for (const member of [form, `_${form}`]) delete out[member];
  }
  delete out["text"];
  requireMasks(type, old, out);
  cutMembers.set(out, new Set([...hidden, ...membersCut(old)]));
  return out;
}

/**
 * Answers whether a search may show a resource of which a part was cut. An origin finds and sorts rows by the
 * cut elements too, so a row counts only where it would be found without them: by R4's own reading of a
 * parameter, since a wider reading would confirm guesses at the cut elements. @param base the origin's.
 */
export function isFoundWithout(
  part: JsonObject,
  parameters: readonly SearchParameter[],
  sort: readonly SortKey[],
  base: FhirBase,
): boolean {
  const cut = membersCut(part);
  if (cut.size === 0) return true;
  const type = textAt(part, "resourceType") ?? "";
  const reads = ({ paths, code }: SearchParameter["definition"]) =>
    paths === undefined ||
    (code.startsWith("_") && !ownParameters.has(code)) ||
    paths.some(([first = ""]) => [...cut].some((member) => isAt(first, member)));
  return (
    sort.every(({ definition }) => !reads(definition)) &&
    // A shown value has to match. The rows alone decide about the absence of a value and about a negation, which the
    // origin is not asked for: so a cut value is as absent as a value that was never there.
    parameters.every((parameter) => {
      const { definition, modifier } = parameter;
      return (
        !reads(definition) ||
        (!definition.code.startsWith("_") &&
          (definition.code !== "deceased" || isDecidedByRows(type, parameter)) &&
          (modifier === undefined || positive.has(modifier) || isDecidedByRows(type, parameter)) &&
          isJudgedNarrowly(type, parameter) &&
          matches(part, parameter, base))
      );
    })
  );
}

const ownParameters: ReadonlySet<string> = new Set(["_id", "_lastUpdated"]);
const positive: ReadonlySet<string> = new Set(["exact", "contains"]);
const isAt = (step: string, member: string): boolean =>
  step.endsWith("[x]") ? member.startsWith(step.slice(0, -"[x]".length)) : member === step;

function cutBy(resource: JsonObject, judge: LabelJudge): JsonObject | undefined {
  const cutting = new Cutting(judge, resource);
  const part = cutting.resource();
  if (part === undefined || part === resource) return part;
  const leaving = labelsInside(part).length > 0 ? part : withoutMark(part);
  cutMembers.set(leaving, cutting.members);
  return leaving;
}

/** Without inline labels inside, the mark of inline labels would reveal the cut. */
function withoutMark(resource: JsonObject): JsonObject {
  const meta = property(resource, "meta");
  if (!isObject(meta)) return resource;
  const rest: Record<string, Json> = { ...meta };
  const keep = (name: string, isMark: (item: Json) => boolean) => {
    const list = property(meta, name);
    if (list === undefined || !isArray(list)) return;
    const kept = list.filter((item) => !isMark(item));
    if (kept.length === 0) delete rest[name];
    else rest[name] = kept;
  };
  keep("security", saysInside);
  keep("extension", (item) => isObject(item) && property(item, "url") === hasInlineLabel);
  const out: Record<string, Json> = { ...resource, meta: rest };
  if (Object.keys(rest).length === 0) delete out["meta"];
  return out;
}

function elementNamed(type: string, name: string): R4Element | undefined {
  const elements = elementsOf(type);
  const exact = elements.get(name);
  if (exact !== undefined) return exact;
  for (const element of elements.values())
    if (element.forms.some((form) => form.name === name)) return element;
  return undefined;
}

/** Puts the mask where R4 requires an element that the cut removed. */
function requireMasks(type: string, input: JsonObject, out: Record<string, Json>): void {
  for (const { names, at, value } of requiredOf(type)) {
    const has = (object: object) =>
      names.some((name) => Object.hasOwn(object, name) || Object.hasOwn(object, `_${name}`));
    if (has(input) && !has(out)) out[at] = value;
  }
}

const around = Symbol("the object around");

/** Cuts one resource, and each resource in it by a cutting of its own. */
class Cutting {
  readonly #judge: LabelJudge;
  readonly #resource: JsonObject;
  readonly #type: string;
  readonly members = new Set<string>();
  #isMisleading = false;

  constructor(judge: LabelJudge, resource: JsonObject) {
    this.#judge = judge;
    this.#resource = resource;
    this.#type = textAt(resource, "resourceType") ?? "";
  }

  resource(): JsonObject | undefined {
    const part = this.#members(this.#resource, this.#type);
    return this.#isMisleading ? undefined : part;
  }

  /** An object of which a part may leave; `undefined`: nothing of it leaves. */
  #object(input: JsonObject, type: string): JsonObject | undefined {
    return this.#judge.mayLeave(labelsOn(property(input, "extension")))
      ? this.#members(input, type)
      : undefined;
  }

  #members(input: JsonObject, type: string): JsonObject | undefined {
    const out: Record<string, Json> = {};
    let isCut = false;
    for (const name of Object.keys(input)) {
      const value = input[name] ?? null;
      const element = name.startsWith("_") ? undefined : elementNamed(type, name);
      const kept = this.#member(input, name, element, value);
      if (kept === value) {
        out[name] = value;
        continue;
      }
      isCut = true;
      this.#noteCut(input, type, name);
      if (kept === around) return undefined;
      if (kept !== undefined) out[name] = kept;
    }
    if (!isCut) return input;
    const text = elementsOf(type).get("text")?.forms[0]?.type;
    if (text === "Narrative" || type === "HumanName" || type === "Address")
      for (const name of ["text", "_text"]) delete out[name];
    requireMasks(type, input, out);
    // ele-1: an element has children, and its id counts as none
    return Object.keys(out).every((name) => name === "id") ? undefined : out;
  }

  /** A cut of what decides the meaning of its parent, or of what the row is, would mislead. */
  #noteCut(input: JsonObject, type: string, name: string): void {
    const base = name.startsWith("_") ? name.slice(1) : name;
    const isRoot = input === this.#resource;
    if (isRoot) this.members.add(base);
    this.#isMisleading ||=
      name === "modifierExtension" ||
      elementNamed(type, base)?.isModifier === true ||
      (isRoot && (rootMembers.has(base) || namesOwner(input, base) || this.#judge.isTested(type, base)));
  }

  /** The part of a member that leaves; `around`: nothing of the object with this member leaves. */
  #member(
    input: JsonObject,
    name: string,
    element: R4Element | undefined,
    value: Json,
  ): Json | undefined | typeof around {
    if (name === "extension") return this.#extensions(value, input === this.#resource);
    const type = element?.forms.find((form) => form.name === name)?.type;
    if (type === "Resource") {
      if (isArray(value)) return itemsOf(value, (item) => this.#inside(item));
      return this.#inside(value) ?? around;
    }
    if (type !== undefined && isDivisible(type)) {
      const each = (item: Json) => (isObject(item) ? this.#object(item, type) : item);
      return isArray(value) ? itemsOf(value, each) : each(value);
    }
    if (name.startsWith("_") || (type !== undefined && isPrimitive(type)))
      return this.#primitive(input, name, value);
    const whole = (item: Json) => (this.#judge.mayLeave(labelsInside(item)) ? item : undefined);
    return isArray(value) ? itemsOf(value, whole) : whole(value);
  }

  /** A primitive or its sibling: the labels are on the sibling (FHIR R4 json §2.6.2.2), and hold for both. */
  #primitive(input: JsonObject, name: string, value: Json): Json | undefined {
    const sibling = name.startsWith("_") ? value : property(input, `_${name}`);
    if (sibling === undefined) return value;
    const leaves = (item: Json) => this.#judge.mayLeave(labelsInside(item));
    if (!isArray(value) || !isArray(sibling)) return leaves(sibling) ? value : undefined;
    const kept = value.filter((_item, index) => leaves(sibling[index] ?? null));
    return kept.length === value.length ? value : kept.every((item) => item === null) ? undefined : kept;
  }

  /** The labels themselves are on the object around them; each further extension leaves whole or not. */
  #extensions(value: Json, isRoot: boolean): Json | undefined {
    const leaves = (item: Json) =>
      isRoot && isInlineLabel(item)
        ? true // a label of the whole resource, which is judged with meta.security
        : this.#judge.mayLeave(labelsInside(item));
    if (!isArray(value)) return leaves(value) ? value : undefined;
    return itemsOf(value, (item) => (leaves(item) ? item : undefined));
  }

  /** A nested resource stays back alone if its cut would mislead. */
  #inside(item: Json): Json | undefined {
    if (!isObject(item)) return item;
    return this.#judge.mayLeave(labelsOn(property(item, "extension")))
      ? new Cutting(this.#judge, item).resource()
      : undefined;
  }
}

/** Answers whether a member decides to which patient a resource belongs. */
function namesOwner(resource: JsonObject, member: string): boolean {
  const { owners, participants } = ownerPathsOf(textAt(resource, "resourceType") ?? "");
  const hasOwner = owners.some((path) => valuesAt(resource, path).length > 0);
  return [...owners, ...(hasOwner ? [] : participants)].some(([first]) => first === member);
}

// Their cut would leave a resource that no reader could distinguish from a different one.
const rootMembers: ReadonlySet<string> = new Set(["resourceType", "id", "meta", "implicitRules"]);

/** The list itself if every item is left as it was; undefined for a list without items. */
function itemsOf(list: readonly Json[], each: (item: Json) => Json | undefined): Json | undefined {
  const kept = list.flatMap((item) => {
    const left = each(item);
    return left === undefined ? [] : [left];
  });
  if (kept.length === list.length && kept.every((item, index) => item === list[index])) return list;
  return kept.length === 0 ? undefined : kept;
}
