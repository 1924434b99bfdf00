import type { Json } from "#fhir/json/json";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { typeShapeOf, type Slot } from "#fhir/validate/shape";
import { utf8 } from "#kernel/encoded";
import { hashOf } from "#phi/bytes/name-hash";
import { wordsOf } from "#phi/bytes/words";
import { fateOf, fates, withheldTypes, type DeidForm, type ValueChange } from "#policy/form/fates";
import { masked, requiredOf } from "#policy/view/masked";

/** The reading of a single value. */
export type ValueKind =
  | "boolean"
  | "number"
  /** A text that leaves unchanged, if its type permits the text. */
  | "text"
  | "date"
  | "year"
  /** A text of a public list: the engine remembers its text in the form. */
  | "listed"
  /** The members beside the value decide it. */
  | "beside"
  | "parts"
  | "coding"
  | "measure"
  | "reference"
  | "id"
  /** The plain engine changes the value: the value is rare. */
  | "plain";

/** The reading of a member. */
export type MemberKind =
  | ValueKind
  | "out"
  | "extension"
  | "sibling"
  /** The object around the member is judged as a whole, from the ranges of its members. */
  | "picked"
  | "contained"
  /** The member makes a resource unreadable: the resource is withheld. */
  | "withholds"
  /** The plain engine reads the resource. */
  | "unusual";

export interface FormMember {
  readonly hash: number;
  /** `,"name":` */
  readonly label: DataView;
  readonly kind: MemberKind;
  readonly mayRepeat: boolean;
  readonly slot: Slot | undefined;
  readonly change: ValueChange;
  readonly repeats: boolean;
  /** A bit for each required group that the member satisfies. */
  readonly groups: number;
  /** Its number in the node: values are first, the extensions beside them are behind. */
  readonly ordinal: number;
  /** The member to which these extensions belong. */
  readonly beside: FormMember | undefined;
  /** The member that replaces a modifier which does not leave. */
  readonly lost: DataView | undefined;
  /** A form of `deceased[x]`, or its extensions. */
  readonly isDeath: boolean;
  /** `meta` of the resource, and `meta.tag`. */
  readonly isMeta: boolean;
  readonly isTag: boolean;
  /** The rule of a listed text: texts of two rules are not mixed up. */
  readonly rule: number;
  /** The place of its range, for a picked member. */
  readonly pick: number;
  /** The member that came next in the last object. */
  next: FormMember | undefined;
  /** The node below; undefined before its first use. */
  child: FormNode | undefined;
  /** The last value: see `FormCutter`. */
  readonly last: LastValue;
}

/** The place of a value in a text, and the place of its result. */
export interface LastValue {
  /** The number of the text; 0: no value. */
  text: number;
  depth: number;
  start: number;
  end: number;
  isKept: boolean;
  /** Its part of the output, and its part of the holes. */
  output: number;
  outputEnd: number;
  holes: number;
  holesEnd: number;
}

/** The kinds whose values repeat from row to row: categories, codes, subjects. */
const repeating: ReadonlySet<MemberKind> = new Set(["coding", "listed", "parts", "reference"]);

/** The members of an object, which the table of fates keeps, changes or drops. */
export class FormNode {
  readonly type: string;
  readonly part: Part;
  readonly members: ReadonlyMap<number, FormMember>;
  readonly required: readonly { readonly bit: number; readonly text: DataView }[];
  /** `{`, and the type of a resource. */
  readonly opening: DataView;
  /** The member that came first in the last object. */
  first: FormMember | undefined;

  constructor(type: string, form: DeidForm, part: Part) {
    const groups = requiredOf(type);
    const members = part === "picked" ? pickedMembers(type) : membersOf(type, form, part, groups);
    this.type = type;
    this.part = part;
    this.members = new Map(members.map((member) => [member.hash, member]));
    // R4 has no two names with the same hash, and no type with more groups than bits: a test reads each type.
    if (this.members.size < members.length || groups.length > 30) throw new Error(`${type} has no plan`);
    this.required = groups.map(({ at, value }, index) => ({ bit: 1 << index, text: memberText(at, value) }));
    this.opening = wordsOf(utf8(part === "resource" ? `{"resourceType":"${type}"` : "{"));
  }
}

/** `picked`: an object that is judged as a whole, such as a Coding. */
type Part = "resource" | "meta" | "element" | "picked";

/** The members that decide an object as a whole. The numbers are their places in the ranges. */
export const pick = { system: 0, code: 1, value: 2, comparator: 3, unit: 4, reference: 5 } as const;
export const picksMax = 6;

const kindOfChange: Readonly<Record<ValueChange, MemberKind>> = {
  keep: "text",
  out: "out",
  parts: "parts",
  answer: "parts", // the plain engine reads a row that asks for an age
  year: "year",
  measure: "measure",
  cappedMeasure: "measure",
  zip3: "beside",
  cappedTime: "beside",
  state: "listed",
  country: "listed",
  listedCode: "listed",
  language: "listed",
  mediaType: "listed",
  currency: "listed",
  profile: "listed",
  coding: "coding",
  reference: "reference",
  randomId: "id",
  providerNumber: "plain",
  providerName: "plain",
  resource: "unusual",
};

const kindOfKept: Readonly<Record<string, MemberKind>> = {
  boolean: "boolean",
  decimal: "number",
  integer: "number",
  positiveInt: "number",
  unsignedInt: "number",
  date: "date",
  dateTime: "date",
  instant: "date",
  string: "text",
};

const noMember = {
  slot: undefined,
  change: "out",
  repeats: false,
  groups: 0,
  beside: undefined,
  lost: undefined,
  isDeath: false,
  isMeta: false,
  isTag: false,
  rule: 0,
  pick: -1,
  next: undefined,
  child: undefined,
} as const satisfies Partial<FormMember>;

const memberNamed = (
  name: string,
  ordinal: number,
  { kind = "out", ...more }: Partial<Omit<FormMember, "hash" | "label" | "last">>,
): FormMember => ({
  ...noMember,
  hash: hashOf(name),
  label: wordsOf(utf8(`,${JSON.stringify(name)}:`)),
  ordinal,
  ...more,
  kind,
  mayRepeat: repeating.has(kind),
  last: {
    text: 0,
    depth: 0,
    start: 0,
    end: 0,
    isKept: false,
    output: 0,
    outputEnd: 0,
    holes: 0,
    holesEnd: 0,
  },
});

const pickedMembers = (type: string): readonly FormMember[] =>
  [...typeShapeOf(type).slots.keys()].map((name, ordinal) =>
    Object.hasOwn(pick, name)
      ? memberNamed(name, ordinal, { kind: "picked", pick: pick[name as keyof typeof pick] }) // one of its keys
      : memberNamed(name, ordinal, {}),
  );

function membersOf(
  type: string,
  form: DeidForm,
  part: Part,
  groups: ReturnType<typeof requiredOf>,
): readonly FormMember[] {
  const isRoot = part === "resource";
  const apart: Readonly<Record<string, MemberKind>> = {
    extension: "extension",
    modifierExtension: "withholds",
    ...(isRoot && { implicitRules: "withholds", _implicitRules: "withholds", contained: "contained" }),
  };
  const slots = [...typeShapeOf(type).slots].filter(
    ([name]) => !Object.hasOwn(apart, name) && name !== "resourceType",
  );
  const bitsOf = (name: string) =>
    groups.reduce((bits, { names }, index) => (names.includes(name) ? bits | (1 << index) : bits), 0);
  const values = slots.map(([name, slot], ordinal) => {
    const change = fates[fateOf(type, name, slot.type)].change[form];
    return memberNamed(name, ordinal, {
      kind: change === "keep" ? (kindOfKept[slot.type] ?? "plain") : kindOfChange[change],
      slot,
      change,
      repeats: slot.element.repeats,
      groups: bitsOf(name),
      lost: slot.element.isModifier ? lostText(name, slot) : undefined,
      isDeath: name.startsWith("deceased"),
      isMeta: isRoot && name === "meta",
      isTag: part === "meta" && name === "tag",
      rule: ruleOf(change, slot),
    });
  });
  const others = [
    ...slots.flatMap(([name, { hasSibling }], index) => {
      const beside = values[index];
      return hasSibling && beside !== undefined && !Object.hasOwn(apart, `_${name}`)
        ? [siblingOf(name, beside)]
        : [];
    }),
    ...Object.entries(apart).map(([name, kind]) => ({ name, kind, beside: undefined, groups: bitsOf(name) })),
    ...(isRoot ? [{ name: "resourceType", kind: "out" as const, beside: undefined, groups: 0 }] : []),
  ];
  return [
    ...values,
    ...others.map(({ name, ...other }, index) =>
      memberNamed(name, values.length + index, { ...other, isDeath: other.beside?.isDeath === true }),
    ),
  ];
}

/** No extension leaves beside an element that never leaves: the plain engine masks such a modifier. */
const siblingOf = (name: string, beside: FormMember) =>
  beside.change === "out"
    ? {
        name: `_${name}`,
        kind: beside.lost === undefined ? ("out" as const) : ("unusual" as const),
        beside: undefined,
        groups: 0,
      }
    : { name: `_${name}`, kind: "sibling" as const, beside, groups: beside.groups };

const memberText = (name: string, value: Json): DataView =>
  wordsOf(utf8(`,${JSON.stringify(name)}:${JSON.stringify(value)}`));

/** As `putLostModifier`. */
function lostText(name: string, { isPrimitive: isPlain, element }: Slot): DataView {
  if (name === "deceasedDateTime") return memberText("deceasedBoolean", true);
  return memberText(isPlain ? `_${name}` : name, element.repeats ? [masked] : masked);
}

const rules = new Map<string, number>();
/** The rules for listed texts have lower numbers. */
export const ruleMax = 4_096;

/** The same change of the same list is the same rule, in each form. */
function ruleOf(change: ValueChange, { binding }: Slot): number {
  const key = change === "listedCode" ? `${change} ${binding?.list}` : change;
  const known = rules.get(key) ?? rules.size + 16;
  rules.set(key, known);
  return known;
}

const plans = new Map<string, FormNode>();

/** The node of a type. An isolate makes each node once: a node has R4's own names alone. */
export function nodeOf(type: string, form: DeidForm, part: Part): FormNode {
  const key = `${form} ${part} ${type}`;
  const known = plans.get(key) ?? new FormNode(type, form, part);
  plans.set(key, known);
  return known;
}

/** The node of a resource; undefined: no resource of the type leaves. */
export const rootNodeOf = (type: string, form: DeidForm): FormNode | undefined =>
  mayLeave(type) ? nodeOf(type, form, "resource") : undefined;

export const mayLeave = (type: string): type is ResourceType =>
  isResourceType(type) && !Object.hasOwn(withheldTypes, type);
