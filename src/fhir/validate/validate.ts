import { isResourceType } from "#fhir/r4/elements";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { checkContained, checkReference, scopeOf, type Scope } from "./contained.ts";
import { below, Findings, type Position, type StructureIssue } from "./findings.ts";
import { primitiveFault } from "./primitive.ts";
import { typeShapeOf, type Slot } from "./shape.ts";
import { isHarmlessXhtml } from "./xhtml.ts";

/**
 * Checks a body against the structure of R4 4.0.1: every element is known, has the right JSON type, grammar
 * and cardinality, and codes of required bindings; further `contained`, primitive siblings, and the
 * invariants ele-1, ext-1, txt-1, dom-2 to dom-5, ref-1 and sqty-1. It checks no further invariant, no
 * profile, no slice, and no target types of references. Never throws.
 * @returns the faults, at most 20 issues; empty for a valid body.
 */
export function validateResource(resource: JsonObject): readonly StructureIssue[] {
  const found = new Findings();
  const type = textAt(resource, "resourceType") ?? "";
  checkResource(
    resource,
    { parent: undefined, step: isResourceType(type) ? type : "Resource", index: undefined },
    found,
  );
  return found.issues;
}

/**
 * Checks an independent resource: the body, an entry's resource, a parameter's resource. Its contained
 * resources are checked in its scope.
 */
function checkResource(value: Json, at: Position, found: Findings): void {
  const type = typeOfResource(value, at, found);
  if (type === undefined || !isObject(value)) return;
  const scope = scopeOf(value);
  checkMembers(value, type, at, found, scope);
  const inside = property(value, "contained");
  if (!typeShapeOf(type).slots.has("contained") || !isArray(inside)) return;
  // After the container: only then are all references to its contained resources known.
  const scopes = inside.map((resource, index) =>
    checkInside(resource, below(at, "contained", index), found, scope),
  );
  checkContained(inside, at, found, [scope, ...scopes]);
}

/** Checks a contained resource by its own type; resources inside it are refused unread (dom-2). */
function checkInside(value: Json, at: Position, found: Findings, container: Scope): Scope {
  const scope: Scope = { contained: container.contained, fragments: new Set() };
  const type = typeOfResource(value, at, found);
  if (type === undefined || !isObject(value)) return scope;
  checkMembers(value, type, at, found, scope);
  if (property(value, "contained") !== undefined)
    found.add(
      "invariant",
      below(at, "contained"),
      "A contained resource must not contain resources (dom-2).",
    );
  return scope;
}

function typeOfResource(value: Json, at: Position, found: Findings): string | undefined {
  if (!isObject(value)) {
    found.add("structure", at, "A resource must be a JSON object.");
    return undefined;
  }
  const type = textAt(value, "resourceType");
  if (type !== undefined && isResourceType(type)) return type;
  found.add(
    type === undefined ? "required" : "structure",
    at,
    "resourceType must name a FHIR R4 resource type.",
  );
  return undefined;
}

/** Checks every member of an object of an R4 type, and reports missing members. */
function checkMembers(object: JsonObject, type: string, at: Position, found: Findings, scope: Scope): void {
  const shape = typeShapeOf(type);
  const present = new Map<string, string>(); // by element: the present form
  for (const name of Object.keys(object)) {
    if (found.full) return;
    if (name === "resourceType" && isResourceType(type)) continue;
    const exact = shape.slots.get(name);
    const isSibling = exact === undefined && name.startsWith("_");
    const form = isSibling ? name.slice(1) : name;
    const slot = exact ?? (isSibling ? shape.slots.get(form) : undefined);
    if (slot === undefined || (isSibling && !slot.hasSibling)) {
      refuseUnknown(name, at, found);
      continue;
    }
    const other = present.get(slot.element.name);
    present.set(slot.element.name, form);
    if (shape.hasChoices && other !== undefined && other !== form)
      found.add("structure", below(at, slot.step), "Only one type of this choice element may be present.");
    if (isSibling && property(object, form) !== undefined) continue; // checked with its value
    checkElement(
      slot,
      isSibling ? undefined : property(object, name),
      property(object, `_${form}`),
      at,
      found,
      scope,
    );
  }
  for (const element of shape.required)
    if (!present.has(element.name))
      found.add("required", below(at, element.name.replace("[x]", "")), "This element is required.");
  if (type === "Extension") checkExtension(present, at, found);
}

/**
 * The name of an unknown member is reported only if it could be an element's name: any further name might
 * be data.
 */
function refuseUnknown(name: string, at: Position, found: Findings): void {
  const isName = /^_?[A-Za-z][A-Za-z0-9]{0,63}$/u.test(name);
  found.add(
    "structure",
    isName ? below(at, name) : at,
    isName
      ? "FHIR R4 does not define this element here."
      : "A member here has a name that is no FHIR R4 element.",
  );
}

function checkExtension(present: ReadonlyMap<string, string>, at: Position, found: Findings): void {
  if (present.has("extension") === present.has("value[x]"))
    found.add(
      "invariant",
      at,
      "An extension must have either a value or nested extensions, and not both (ext-1).",
    );
}

/**
 * Checks an element's value or values, with the sibling that has their ids and extensions (FHIR R4
 * §2.6.2.3).
 */
function checkElement(
  slot: Slot,
  value: Json | undefined,
  extra: Json | undefined,
  parent: Position,
  found: Findings,
  scope: Scope,
): void {
  const at = below(parent, slot.step);
  const sibling = slot.hasSibling ? extra : undefined;
  if (!slot.element.repeats) {
    if (value === null)
      return found.add(
        "structure",
        at,
        "null is only valid in a list, at an index where the sibling list has a value.",
      );
    return isArray(value) || isArray(sibling)
      ? found.add("structure", at, "This element must not be a list.")
      : checkOne(slot, value, sibling, at, found, scope);
  }
  for (const list of [value, sibling]) {
    if (list !== undefined && !isArray(list))
      return found.add("structure", at, "This element must be a list.");
    if (list?.length === 0) return found.add("structure", at, "A list must not be empty.");
  }
  const [values, extras] = [isArray(value) ? value : undefined, isArray(sibling) ? sibling : undefined];
  if (values !== undefined && extras !== undefined && values.length !== extras.length)
    return found.add("structure", at, "A list and its sibling with the prefix _ must have the same length.");
  const length = values?.length ?? extras?.length ?? 0;
  for (let index = 0; index < length && !found.full; index += 1)
    checkOne(
      slot,
      values?.[index] ?? undefined,
      extras?.[index] ?? undefined,
      below(parent, slot.step, index),
      found,
      scope,
    );
}

/** Checks a value, a sibling, or both. */
function checkOne(
  slot: Slot,
  value: Json | undefined,
  sibling: Json | undefined,
  at: Position,
  found: Findings,
  scope: Scope,
): void {
  if (value === undefined && sibling === undefined)
    return found.add("structure", at, "null is only valid at an index where the other list has a value.");
  if (value !== undefined) {
    if (slot.isPrimitive) checkPrimitive(slot, value, at, found, scope);
    else if (slot.type !== "Resource") checkComplex(slot, value, at, found, scope);
    else if (slot.element.name !== "contained") checkResource(value, at, found);
  }
  if (sibling === undefined) return;
  if (!isObject(sibling))
    return found.add(
      "structure",
      at,
      "The sibling with the prefix _ must be a JSON object with id and extensions.",
    );
  if (Object.keys(sibling).every((name) => name === "id" && value === undefined))
    return found.add(
      "invariant",
      at,
      "An element without a value must have an extension; an object must not be empty (ele-1).",
    );
  checkMembers(sibling, "Element", at, found, scope);
}

function checkPrimitive(slot: Slot, value: Json, at: Position, found: Findings, scope: Scope): void {
  const fault = primitiveFault(slot.type, value);
  if (fault === "json_type") return found.add("structure", at, `Wrong JSON type for FHIR R4's ${slot.type}.`);
  if (fault === "grammar") return found.add("value", at, `Not a valid FHIR R4 ${slot.type}.`);
  if (typeof value !== "string") return;
  if (slot.type === "xhtml" && !isHarmlessXhtml(value))
    return found.add("invariant", at, "Not an XHTML div that FHIR R4 allows in a narrative (txt-1).");
  if (slot.binding?.codes.has(value) === false) found.add("code-invalid", at, notIn(slot.binding.list));
  if (value.startsWith("#") && (slot.type === "uri" || slot.type === "url" || slot.type === "canonical"))
    scope.fragments.add(value);
}

const notIn = (list: string) => `This code is not in the required value set ${list}.`;

function checkComplex(slot: Slot, value: Json, at: Position, found: Findings, scope: Scope): void {
  if (!isObject(value)) return found.add("structure", at, "This element must be a JSON object.");
  if (Object.keys(value).every((name) => name === "id"))
    return found.add("invariant", at, "An element must have a value or children (ele-1).");
  checkMembers(value, slot.type, at, found, scope);
  if (slot.type === "Reference") checkReference(value, at, found, scope);
  if (slot.isSimple && slot.type === "Quantity" && property(value, "comparator") !== undefined)
    found.add("invariant", below(at, "comparator"), "A SimpleQuantity must not have a comparator (sqty-1).");
  if (slot.type === "CodeableConcept" && slot.binding !== undefined)
    checkConcept(slot.binding, value, at, found);
}

/**
 * A coding must be from the list; further codings are free. If the concept has only extensions, they state
 * why there is none.
 */
function checkConcept(
  { codes, list }: NonNullable<Slot["binding"]>,
  value: JsonObject,
  at: Position,
  found: Findings,
): void {
  const coding = property(value, "coding");
  if (coding === undefined && property(value, "text") === undefined) return;
  const isIn = (coding: Json) =>
    isObject(coding) && codes.has(`${textAt(coding, "system") ?? ""}|${textAt(coding, "code") ?? ""}`);
  if (!isArray(coding) || !coding.some(isIn)) found.add("code-invalid", at, notIn(list));
}
