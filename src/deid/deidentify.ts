import { isArray, isObject, jsonNumber, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import { primitiveFault } from "#fhir/validate/primitive";
import { typeShapeOf, type Slot } from "#fhir/validate/shape";
import { masked, requiredOf } from "#policy/view/masked";
import { countryNamed, stateNamed } from "#residence/us-states";
import { namedExtension } from "./extensions.ts";
import { fateOf, fates, withheldTypes, type DeidForm, type ValueChange } from "#policy/form/fates";
import { isKnownCode, spellsOldAge } from "./known-codes.ts";
import { asksAge, isOnScale, scaleMax } from "./questions.ts";
import { ageOf, unitOf, unitSystem } from "./units.ts";
import { zip3Of } from "./zip3.ts";

/** The facts that a de-identification needs beside the resource. */
export interface DeidContext {
  readonly form: DeidForm;
  /** The year of the answer: ages are judged on it. */
  readonly year: number;
  /** The addresses of the server whose references the resource has. */
  readonly base: FhirBase;
  /**
   * The random code of a row in this data set (164.514(c): not derived from the row). Undefined: the row has no
   * code, and no reference to it leaves.
   */
  readonly codeOf: (type: ResourceType, id: string) => string | undefined;
  /** The row that a text means which is no relative reference: the `fullUrl` of a Bundle's entry. */
  readonly rowAt?:
    | ((url: string) => { readonly type: ResourceType; readonly id: string } | undefined)
    | undefined;
}

/** Ages over 89 become a single group (45 CFR 164.514(b)(2)(i)(C)). */
const oldest = 90;

const ninetyOrMore: JsonObject = {
  value: jsonNumber(String(oldest)),
  comparator: ">=",
  unit: "a",
  system: unitSystem,
  code: "a",
};

type Members = Record<string, Json>;

/**
 * The resource in a de-identified form: a pure function, by the table of `fates.ts`. Undefined: the resource is
 * withheld whole.
 */
export function deidentify(resource: JsonObject, context: DeidContext): JsonObject | undefined {
  const rules = new Deidentification(context);
  const left = rules.resource(resource, true);
  // An age and a year tell the present age together. Then the ages stay back.
  return rules.tellsOldAge ? rules.resource(resource, false) : left;
}

/** The rules for the values of a resource, for one resource after the other. */
export class Deidentification {
  readonly #context: DeidContext;
  #keepsTimes = true;
  /** The position of each contained resource by its id: its new id is made of the position alone. */
  #contained: ReadonlyMap<string, number> = noneContained;
  #firstYear = Infinity;
  #mostYears = 0;
  #isUnreadable = false;
  #hasRows = false;
  readonly #changes: Readonly<Record<ValueChange, Changer>> = {
    keep: (value) => value,
    out: () => undefined,
    year: ofText((text) => this.#year(text)),
    zip3: ofText((text, _, address) => zipLeft(text, address)),
    state: ofText((text) => stateNamed(text)),
    country: ofText((text) => (/^[A-Z]{2,3}$/u.test(text) ? text : isUs(text) ? "US" : undefined)),
    listedCode: ofText((text, slot) => (slot.binding?.codes.has(text) === true ? text : undefined)),
    language: inForm(/^[a-z]{2,3}(?:-[A-Za-z]{2,4}){0,2}$/u),
    mediaType: inForm(/^(?:application|audio|image|text|video)\/[a-z0-9.+-]{1,40}$/u),
    currency: inForm(/^[A-Z]{3}$/u),
    profile: inForm(
      /^http:\/\/hl7\.org\/fhir\/(?:us\/core\/)?StructureDefinition\/[a-z][a-z-]{0,60}(?:\|\d+(?:\.\d+){0,2})?$/u,
    ),
    randomId: ofText((id, _, row) => this.#code(textAt(row, "resourceType") ?? "", id)),
    parts: ofObject((value, slot) => this.#members(value, slot.type)),
    answer: ofObject((value, slot, parent) =>
      asksAge(parent) ? undefined : this.#members(value, slot.type),
    ),
    measure: ofObject((value, slot) => this.#measure(value, slot)),
    cappedMeasure: ofObject((value, slot, parent) => this.#measure(value, slot, parent)),
    cappedTime: (value, slot, timing) => this.#timing(value, slot.element.name, timing),
    coding: ofObject((value) => codingLeft(value, this.#context.form)),
    reference: ofObject((value) => this.#reference(value)),
    providerName: ofObject(nameLeft),
    providerNumber: ofObject(numberLeft),
    resource: ofObject((value, slot) =>
      slot.step === "contained" ? this.#inside(value) : this.#rowInside(value),
    ),
  };

  constructor(context: DeidContext) {
    this.#context = context;
  }

  /** Before a resource. @param keepsTimes false: no time from which an age follows stays. */
  begin(keepsTimes: boolean): void {
    this.#keepsTimes = keepsTimes;
    this.#contained = noneContained;
    this.#firstYear = Infinity;
    this.#mostYears = 0;
    this.#isUnreadable = false;
    this.#hasRows = false;
  }

  /**
   * True if a kept time, counted from the earliest kept year, reaches the age of 90. Without a year in this row, a
   * second row may have the year.
   */
  get tellsOldAge(): boolean {
    const since = this.#firstYear === Infinity ? oldest : this.#context.year - this.#firstYear;
    return this.#mostYears >= 1 && this.#mostYears + since >= oldest;
  }

  resource(input: JsonObject, keepsTimes: boolean): JsonObject | undefined {
    this.begin(keepsTimes);
    const contained = property(input, "contained");
    if (isArray(contained)) this.#noteContained(contained);
    const left = this.#row(input, false);
    return this.#isUnreadable || left === undefined ? undefined : withoutUnreferred(left);
  }

  /** The contained resources that leave, whether or not the resource refers to them. */
  contained(list: readonly Json[]): readonly JsonObject[] {
    this.#noteContained(list);
    return list
      .filter(isObject)
      .map((each) => this.#inside(each))
      .filter((each) => each !== undefined);
  }

  /** An unknown modifier was found, also inside a contained resource. */
  get isUnreadable(): boolean {
    return this.#isUnreadable;
  }

  /** A resource with an id of its own was found inside, as in an entry of a Bundle. */
  get hasRows(): boolean {
    return this.#hasRows;
  }

  #rowInside(row: JsonObject): JsonObject | undefined {
    this.#hasRows = true;
    return deidentify(row, this.#context);
  }

  #noteContained(list: readonly Json[]): void {
    const inside = list.filter(isObject);
    const idOf = (each: JsonObject) => textAt(each, "id") ?? "";
    const sameId = Map.groupBy(inside, idOf); // a reference to an id of two would have two targets
    const staying = inside.filter((each) => mayStay(each) && sameId.get(idOf(each))?.length === 1);
    // The position among the contained resources that stay does not count the withheld resources.
    this.#contained = new Map(staying.map((each, at) => [idOf(each), at]));
  }

  #row(input: JsonObject, isContained: boolean): JsonObject | undefined {
    const type = textAt(input, "resourceType") ?? "";
    if (!mayStay(input)) return undefined;
    const members = this.#members(input, type, isContained);
    return members === undefined ? undefined : { resourceType: type, ...members };
  }

  /** The members that leave. Undefined: nothing of the object leaves. */
  #members(input: JsonObject, type: string, isContained = false): Members | undefined {
    // An unknown modifier could negate what stays: then nothing of the resource leaves.
    if (Object.hasOwn(input, "modifierExtension")) this.#isUnreadable = true;
    const { slots } = typeShapeOf(type);
    const out: Members = {};
    for (const [name, value] of Object.entries(input)) {
      if (name === "extension") put(out, name, extensionsLeft(value));
      if (name.startsWith("_")) this.#putSibling(out, name, input, slots.get(name.slice(1)), type);
      const slot = slots.get(name);
      if (slot === undefined || name === "extension") continue;
      const change = fates[fateOf(type, name, slot.type)].change[this.#context.form];
      if (change === "randomId" && isContained) put(out, name, this.#insideId(value));
      else put(out, name, this.#list(value, slot, change, input));
      if (slot.element.isModifier && !Object.hasOwn(out, name)) putLostModifier(out, name, slot);
    }
    if (Object.hasOwn(out, "deceasedBoolean")) delete out["_deceasedBoolean"];
    if (Object.keys(out).length === 0) return undefined;
    for (const { names, at, value } of requiredOf(type))
      if (!names.some((name) => Object.hasOwn(out, name) || Object.hasOwn(out, `_${name}`))) out[at] = value;
    return out;
  }

  /**
   * The extensions beside a primitive that is absent: the reason of that. A value that stays back takes them along. A
   * modifier of extensions that stay back is masked: a death without a date is a death.
   */
  #putSibling(out: Members, name: string, input: JsonObject, slot: Slot | undefined, type: string): void {
    const plain = name.slice(1);
    if (slot?.hasSibling !== true || Object.hasOwn(input, plain) || input[name] === null) return;
    const isOut = fates[fateOf(type, plain, slot.type)].change[this.#context.form] === "out";
    put(out, name, isOut ? undefined : siblingsLeft(input[name] ?? null));
    const { isModifier, repeats } = slot.element;
    if (isModifier && !Object.hasOwn(out, name)) out[name] = repeats ? [masked] : masked;
  }

  #list(value: Json, slot: Slot, change: ValueChange, parent: JsonObject): Json | undefined {
    if (change === "out" || isArray(value) !== slot.element.repeats) return undefined;
    if (!isArray(value)) return this.value(value, slot, change, parent);
    const left = value.flatMap((item) => this.value(item, slot, change, parent) ?? []);
    return left.length === 0 ? undefined : left;
  }

  /** The value in its form, if it leaves. @param parent the object around it. */
  value(value: Json, slot: Slot, change: ValueChange, parent: JsonObject): Json | undefined {
    const isWhole = slot.isPrimitive ? primitiveFault(slot.type, value) === undefined : isObject(value);
    return isWhole ? this.#changes[change](value, slot, parent) : undefined;
  }

  /** A contained resource stays only if the table of its own type lets it stay. */
  #inside(value: JsonObject): JsonObject | undefined {
    const left = this.#row(value, true);
    return left !== undefined && Object.hasOwn(left, "id") ? left : undefined;
  }

  #year(text: string): string | undefined {
    return this.keepsYear(Number(text.slice(0, 4))) ? text.slice(0, 4) : undefined;
  }

  /** Notes a year that stays: a year stays unless it is so long ago that it tells an age over 89. */
  keepsYear(year: number): boolean {
    if (this.#context.year - year >= oldest) return false;
    this.#firstYear = Math.min(this.#firstYear, year);
    return true;
  }

  /** @param capped the object around a value that may tell an age. Undefined: the form has ages. */
  #measure(input: JsonObject, slot: Slot, capped?: JsonObject): JsonObject | undefined {
    const [value, system, comparator] = [
      property(input, "value"),
      textAt(input, "system"),
      textAt(input, "comparator"),
    ];
    if (primitiveFault("decimal", value ?? null) !== undefined || value === undefined) return undefined;
    // A number that lost its unit would mislead.
    const code = unitOf(textAt(input, "code") ?? textAt(input, "unit") ?? "");
    if (code === undefined || (system !== undefined && system !== unitSystem)) return undefined;
    if (comparator !== undefined && !["<", "<=", ">=", ">"].includes(comparator)) return undefined;
    const number = numberOf(value);
    const age = ageOf(code);
    const years = age && number * age.years;
    const plain = {
      value,
      ...(comparator !== undefined && { comparator }),
      unit: code,
      system: unitSystem,
      code,
    };
    if (capped === undefined) return plain;
    if (years === undefined) return asksAge(capped) ? undefined : plain; // an age in kilograms is an age
    if (Math.abs(years) < 1) return plain;
    if (age?.kind === "number")
      return Math.abs(years) < oldest || (Math.abs(years) <= scaleMax && isOnScale(capped))
        ? plain
        : undefined;
    if (this.#keepsTime(Math.abs(years))) return plain;
    if (!this.#keepsTimes) return undefined;
    // `>= 90 a` would be untrue of `< 95 a`, and a Quantity without a comparator cannot say it.
    const mayGroup = years > 0 && !slot.isSimple && comparator?.startsWith("<") !== true;
    return mayGroup ? ninetyOrMore : undefined;
  }

  /** `duration` and `period` of a Timing, by `durationUnit` and `periodUnit`. */
  #timing(value: Json, name: string, timing: JsonObject): Json | undefined {
    const unit = textAt(timing, `${name.replace("Max", "")}Unit`) ?? "a";
    const years = Math.abs(numberOf(value)) * (ageOf(unit)?.years ?? 1);
    return years < 1 || this.#keepsTime(years) ? value : undefined;
  }

  /** Answers whether a time of a year or more stays, and notes it. */
  #keepsTime(years: number): boolean {
    if (!this.#keepsTimes || years >= oldest) return false;
    this.#mostYears = Math.max(this.#mostYears, years);
    return true;
  }

  #reference(input: JsonObject): JsonObject | undefined {
    const text = textAt(input, "reference") ?? "";
    const target = parseReference(text, this.#context.base);
    if (target.kind === "fragment") {
      const fragment = this.#fragment(text);
      return fragment === undefined ? undefined : { reference: fragment };
    }
    const row = target.kind === "local" ? target : this.#context.rowAt?.(text);
    const code = row && this.#code(row.type, row.id);
    return row === undefined || code === undefined ? undefined : { reference: `${row.type}/${code}` };
  }

  /** The new fragment of a contained resource. `#` alone is the container. */
  #fragment(text: string): string | undefined {
    const id = this.#insideId(text.slice(1));
    return text === "#" ? text : id === undefined ? undefined : `#${id}`;
  }

  /** The new id of a contained resource, from its position. */
  #insideId(id: Json): string | undefined {
    const at = typeof id === "string" ? this.#contained.get(id) : undefined;
    return at === undefined ? undefined : `c${at + 1}`;
  }

  #code(type: string, id: string): string | undefined {
    if (!isResourceType(type) || Object.hasOwn(withheldTypes, type)) return undefined;
    return this.#context.codeOf(type, id);
  }
}

const numberOf = (value: Json): number => Number(String(Reflect.get(Object(value), "rawJSON")));

const noneContained: ReadonlyMap<string, number> = new Map();

type Changer = (value: Json, slot: Slot, parent: JsonObject) => Json | undefined;

const ofText =
  (change: (text: string, slot: Slot, parent: JsonObject) => Json | undefined): Changer =>
  (value, slot, parent) =>
    typeof value === "string" ? change(value, slot, parent) : undefined;
const ofObject =
  (change: (value: JsonObject, slot: Slot, parent: JsonObject) => JsonObject | undefined): Changer =>
  (value, slot, parent) =>
    isObject(value) ? change(value, slot, parent) : undefined;
const inForm = (form: RegExp): Changer => ofText((text) => (form.test(text) ? text : undefined));

/** A resource of a type that may leave, whose meaning no unknown rule changes. */
function mayStay(resource: JsonObject): boolean {
  const type = textAt(resource, "resourceType") ?? "";
  const isRuled = ["implicitRules", "_implicitRules"].some((name) => Object.hasOwn(resource, name));
  return isResourceType(type) && !Object.hasOwn(withheldTypes, type) && !isRuled;
}

/** A contained resource to which nothing refers does not stay (dom-3). */
function withoutUnreferred(resource: JsonObject): JsonObject {
  const { contained, ...others } = resource;
  if (!isArray(contained)) return resource;
  const text = JSON.stringify(resource);
  const referred = contained.filter(
    (each) => isObject(each) && text.includes(`"reference":"#${textAt(each, "id") ?? ""}"`),
  );
  return referred.length === 0 ? others : { ...others, contained: referred };
}

const npi = "http://hl7.org/fhir/sid/us-npi";

function put(out: Members, name: string, value: Json | undefined): void {
  if (value !== undefined) out[name] = value;
}

/** A modifier that does not leave is never lost in silence: a death long ago is a death, and each other is masked. */
function putLostModifier(out: Members, name: string, { isPrimitive, element }: Slot): void {
  if (name === "deceasedDateTime") out["deceasedBoolean"] = true;
  else put(out, isPrimitive ? `_${name}` : name, element.repeats ? [masked] : masked);
}

export function extensionsLeft(value: Json): Json | undefined {
  const left = isArray(value)
    ? value.flatMap((item) => (isObject(item) ? (namedExtension(item) ?? []) : []))
    : [];
  return left.length === 0 ? undefined : left;
}

/** The extensions of a single primitive. The extensions of a list stay back, because the places of its items changed. */
export function siblingsLeft(value: Json): Json | undefined {
  const extension = isObject(value) ? extensionsLeft(property(value, "extension") ?? null) : undefined;
  return extension === undefined ? undefined : { extension };
}

const isUs = (country: string): boolean => !["elsewhere", undefined].includes(countryNamed(country));

/** A postal code of another country has no list of small areas. */
function zipLeft(text: string, address: JsonObject): string | undefined {
  // A code of another country has other areas, of unknown size.
  const country = textAt(address, "country");
  const isHere =
    country === undefined ? stateNamed(textAt(address, "state") ?? "") !== undefined : isUs(country);
  return isHere ? zip3Of(text) : undefined;
}

function codingLeft(coding: JsonObject, form: DeidForm): JsonObject | undefined {
  const [system, code] = [textAt(coding, "system") ?? "", textAt(coding, "code") ?? ""];
  if (form === "safe-harbor" && spellsOldAge(system, code)) return undefined;
  return isKnownCode(system, code) ? { system, code } : undefined;
}

/** A provider's name, of its parts alone: `text` may name a person beside the provider. */
function nameLeft(name: JsonObject): JsonObject | undefined {
  const parts = ["family", "given", "prefix", "suffix"].flatMap((part) => {
    const value = property(name, part);
    const isText = isArray(value)
      ? value.every((item) => typeof item === "string")
      : typeof value === "string";
    return isText && value !== undefined ? [[part, value] as const] : [];
  });
  return parts.length === 0 ? undefined : Object.fromEntries(parts);
}

function numberLeft(identifier: JsonObject): JsonObject | undefined {
  const value = textAt(identifier, "value") ?? "";
  return textAt(identifier, "system") === npi && /^[12]\d{9}$/u.test(value)
    ? { system: npi, value }
    : undefined;
}
