import { utf8 } from "#kernel/encoded";
import type { FactPath } from "#fhir/json/facts";
import type { JsonObject } from "#fhir/json/json";
import { elementsOf } from "#fhir/r4/elements";
import { isAddress, urlTypes } from "#phi/primitive";
import { extensionViewOf, siblingView } from "#phi/redact";
import { identifiesTarget, shownTarget } from "#phi/shown-reference";
import type { ResourceView } from "#policy/compile";
import { dataAbsentReason } from "#policy/view/masked";
import type { ElementView, ObjectView } from "#policy/view/view";
import { hashOf } from "./name-hash.ts";
import { Repeats } from "./repeats.ts";
import { mayDecide } from "./scanner.ts";
import { unusual } from "./unusual.ts";

/** A plan with more facts is left to the plain engine. */
export const factsMax = 64;

/**
 * The fields of a node, which stands for an object view, as offsets into its record in `Plan.table`. Offset 0
 * of the table is no record: 0 means none.
 */
export const nodeField = {
  flags: 0,
  /** Size of the hash table of its members minus 1, a power of two. */
  mask: 1,
  /** Start of the hash table: records of members, or 0. */
  slots: 2,
  /** The member that came first in the last object. */
  first: 3,
  /** Start of the required groups, and their number. */
  required: 4,
  requiredCount: 5,
  /** Index in `Plan.views`. */
  view: 6,
} as const;
const nodeSize = 7;

export const nodeFlag = {
  reference: 1,
  resource: 2,
  /** Hides nothing: an element that the origin left out stays absent. */
  whole: 4,
  allExtensions: 8,
  /** Shows all that a reference identifies its target by. */
  identifies: 16,
  /** The object beside a primitive: it may consist of its id alone. */
  sibling: 32,
  /** `meta` of a resource that gets the tag SUBSETTED. */
  subsettedMeta: 64,
  /** See `ShownTarget`: shows the text of a reference, and neither `type` nor `display` beside it. */
  text: 128,
  alone: 256,
} as const;

/** The fields of a member of a node. */
export const memberField = {
  /** See {@link hashOf}. */
  hash: 0,
  /** Start in `Plan.names`, and length: there the name stands as `"name":`. */
  name: 1,
  length: 2,
  kind: 3,
  flags: 4,
  /** A bit for each required group that this member satisfies. */
  groups: 5,
  /** The node below; 0 before its first use. */
  child: 6,
  /** The member that came next in the last object. */
  next: 7,
  /** Index of the fact that it is, plus 1. */
  fact: 8,
  /** Index in `Plan.members`. */
  index: 9,
  /** Its number in the node: usual members have the lowest. */
  ordinal: 10,
} as const;
const memberSize = 11;

export const memberKind = {
  hidden: 0,
  text: 1,
  boolean: 2,
  number: 3,
  object: 4,
  /** An object of which some items only are shown. */
  sliced: 5,
  /** `Patient.link.other` */
  link: 6,
  /** `Patient.deceasedDateTime`, shown as `deceasedBoolean`. */
  deceased: 7,
  extension: 8,
  /** `_birthDate` */
  sibling: 9,
  /** `resourceType` of the resource. */
  type: 10,
  /** Left to the plain engine. */
  unusual: 11,
  /** The contained resources, each of which is redacted by the plain engine. */
  contained: 12,
} as const;

export const memberFlag = {
  repeats: 1,
  /** A text that a reader may follow: the patient that it leads to is recorded. */
  follows: 2,
  /** A URL to follow. */
  address: 4,
  /** A URI to compare. */
  name: 8,
  /** A text that may refer to a contained resource. */
  fragment: 16,
  id: 32,
  /** `Reference.reference`, `Reference.type` */
  reference: 64,
  referenceType: 128,
  /** `meta` of the resource, `meta.tag`, `meta.lastUpdated`. */
  meta: 256,
  tag: 512,
  lastUpdated: 1024,
  deceased: 2048,
  /** The URL of an attachment. */
  attachment: 4096,
  /** Its text may decide about the resource: see `ByteScanner.noteDeciding`. */
  decides: 8192,
  /** A modifier before a form: see `ElementView`. The plain engine masks it. */
  marked: 16_384,
} as const;

/** The fields of a required group: its bit, and its placeholder as a range of `Plan.names`. */
export const groupSize = 3;

/** What the tables cannot say about a member. */
export interface PlannedMember {
  /** Names from the resource down. */
  readonly path: string;
  readonly view: ElementView | undefined;
}

/** The view of the items of a slice by `system`, by the JSON text of the system. */
export interface SystemSlices {
  readonly texts: readonly Uint8Array[];
  readonly views: readonly (ObjectView | undefined)[];
  readonly others: ObjectView | undefined;
}

/**
 * A resource view as flat tables, for one pass over the bytes of a resource. Nodes are compiled on first use,
 * because views are recursive. Records never move, so a copy of the table that has grown since is still right.
 */
export class Plan {
  table = new Int32Array(4_096);
  /** The bytes of names and placeholders, and the same bytes read four at a time. */
  names = new Uint8Array(4_096);
  words = new DataView(this.names.buffer);
  readonly root: number;
  readonly views: ObjectView[] = [];
  readonly members: PlannedMember[] = [];
  readonly facts: readonly FactPath[];
  /** The type of the resource. */
  readonly type: string;
  readonly subsetted: boolean;
  /** The last values of its members in the text that is being read. */
  readonly repeats = new Repeats();
  readonly #nodes = new Map<ObjectView, number>();
  readonly #slices = new Map<number, SystemSlices | "other">();
  readonly #extensionUrls: readonly Uint8Array[];
  #used = 1;
  #namesUsed = 0;

  constructor({ object, subsetted }: ResourceView, facts: readonly FactPath[]) {
    // their content is decided resource by resource
    if (object.type === "Bundle" || object.type === "Parameters" || object.type === "Binary") throw unusual;
    if (facts.length > factsMax) throw unusual;
    this.facts = facts;
    this.type = object.type;
    this.subsetted = subsetted;
    this.#extensionUrls = [...object.extensions.urls].map(jsonBytes);
    this.root = this.#node(object, "resource", "");
  }

  /** The node below a member that is an object. */
  childOf(member: number): number {
    const known = this.table[member + memberField.child] ?? 0;
    if (known !== 0) return known;
    const { view, path } = this.#memberAt(member);
    if (view?.kind !== "object" || view.others === undefined) throw unusual;
    const isMeta = ((this.table[member + memberField.flags] ?? 0) & memberFlag.meta) !== 0;
    // Facts are captured below the `meta` of the resource alone: no other Meta may share its node.
    const part = view === hiddenMeta ? "hidden meta" : "meta";
    const child = isMeta ? this.#node(view.others, part, `${path}.`) : this.nodeOf(view.others, path);
    this.table[member + memberField.child] = child;
    return child;
  }

  nodeOf(view: ObjectView, path: string): number {
    const node = this.#nodes.get(view) ?? this.#node(view, "element", `${path}.`);
    this.#nodes.set(view, node);
    return node;
  }

  /** The node of a shown extension. @param node of the object around it. */
  extensionOf(member: number, node: number): number {
    return this.nodeOf(extensionViewOf(this.viewAt(node).extensions), this.#memberAt(member).path);
  }

  /** The node of the object beside a primitive. */
  siblingOf(member: number, node: number): number {
    const known = this.table[member + memberField.child] ?? 0;
    if (known !== 0) return known;
    const { extensions } = this.viewAt(node);
    const child = this.#node(siblingView(extensions), "sibling", `${this.#memberAt(member).path}.`);
    this.table[member + memberField.child] = child;
    return child;
  }

  viewAt(node: number): ObjectView {
    const view = this.views[this.table[node + nodeField.view] ?? 0];
    if (view === undefined) throw unusual;
    return view;
  }

  /** The slices of a member by `system` alone, which the bytes of `system` decide. */
  slicesOf(member: number): SystemSlices | "other" {
    const known = this.#slices.get(member);
    if (known !== undefined) return known;
    const { view } = this.#memberAt(member);
    if (view?.kind !== "object") throw unusual;
    const values = new Set(view.slices.flatMap(({ slice }) => slice.values));
    const slices: SystemSlices | "other" = view.slices.every(({ slice }) => slice.by === "system")
      ? {
          texts: [...values].map(jsonBytes),
          views: [...values].map((system) => view.viewOf({ system })),
          others: view.viewOf({}),
        }
      : "other";
    this.#slices.set(member, slices);
    return slices;
  }

  /** The view of an item, if its whole content is needed to find it. */
  viewOfItem(member: number, item: JsonObject): ObjectView | undefined {
    const { view } = this.#memberAt(member);
    if (view?.kind !== "object") throw unusual;
    return view.viewOf(item);
  }

  pathOf(member: number): string {
    return this.#memberAt(member).path;
  }

  /** JSON texts of the URLs of the extensions that the policy shows. */
  get extensionUrls(): readonly Uint8Array[] {
    return this.#extensionUrls;
  }

  #memberAt(member: number): PlannedMember {
    const planned = this.members[this.table[member + memberField.index] ?? 0];
    if (planned === undefined) throw unusual;
    return planned;
  }

  #node(view: ObjectView, part: Part, prefix: string): number {
    const node = this.#allocate(nodeSize);
    const groups = this.#required(view, node);
    const members = new Map<string, Drafted>();
    const add = (name: string, drafted: Omit<Drafted, "groups">) =>
      members.set(name, { ...drafted, groups: groups.get(name.replace(/^_/u, "")) ?? 0 });
    for (const [name, element] of view.elements) {
      add(name, { ...draft(view.type, name, element), view: element });
      if (element.kind === "primitive")
        add(`_${name}`, {
          kind: element.isMarked ? memberKind.unusual : memberKind.sibling,
          flags:
            flag(element.repeats, memberFlag.repeats) |
            flag(follows(view.type, name, element), memberFlag.follows),
          view: undefined,
        });
      if (element.kind === "deceased")
        add(`_${name}`, { kind: memberKind.unusual, flags: 0, view: undefined });
    }
    if (part !== "hidden meta") {
      add("extension", { kind: memberKind.extension, flags: 0, view: undefined });
      add("modifierExtension", { kind: memberKind.unusual, flags: 0, view: undefined });
    }
    if (view.type === "Reference") {
      const flags = { reference: memberFlag.reference, type: memberFlag.referenceType };
      for (const [name, each] of Object.entries(flags))
        if (!members.has(name)) add(name, { kind: memberKind.hidden, flags: each, view: undefined });
    }
    if (part === "resource") addRoot(members, add);
    const hasMarks = part === "meta";
    for (const [name, flags] of [
      ["tag", memberFlag.tag],
      ["lastUpdated", memberFlag.lastUpdated],
    ] as const) {
      const marked = hasMarks ? members.get(name) : undefined;
      if (marked !== undefined) members.set(name, { ...marked, flags: marked.flags | flags });
    }
    const facts = this.facts.flatMap(([first, second], index) => {
      if (part === "resource" && second === undefined) return [{ name: first, index }];
      return part.endsWith("meta") && second !== undefined ? [{ name: second, index }] : [];
    });
    for (const name of [...facts.map((fact) => fact.name), ...hiddenNames(view)])
      if (!members.has(name)) add(name, { kind: memberKind.hidden, flags: 0, view: undefined });

    this.views.push(view);
    const slots = sizeFor(members.size);
    const start = this.#allocate(slots);
    const fields: Readonly<Record<number, number>> = {
      [nodeField.flags]:
        flagsOf(view, part) | flag(part === "meta" && this.subsetted, nodeFlag.subsettedMeta),
      [nodeField.mask]: slots - 1,
      [nodeField.slots]: start,
      [nodeField.view]: this.views.length - 1,
    };
    for (const [field, value] of Object.entries(fields)) this.table[node + Number(field)] = value;
    const usualFirst = [...members].toSorted(
      ([a], [b]) => Number(a.startsWith("_")) - Number(b.startsWith("_")),
    );
    for (const [ordinal, [name, drafted]] of usualFirst.entries()) {
      const fact = facts.find((one) => one.name === name);
      const member = this.#member(name, drafted, (fact?.index ?? -1) + 1, prefix + name);
      this.table[member + memberField.ordinal] = ordinal;
      this.#link(start, slots - 1, member);
    }
    return node;
  }

  #required(view: ObjectView, node: number): ReadonlyMap<string, number> {
    const groups = new Map<string, number>();
    if (view.required.length > 30) throw unusual;
    const start = this.#allocate(view.required.length * groupSize);
    for (const [index, { names, at, value }] of view.required.entries()) {
      const bit = 1 << index;
      for (const name of names) groups.set(name, (groups.get(name) ?? 0) | bit);
      const [from, to] = this.#text(utf8(`${JSON.stringify(at)}:${JSON.stringify(value)}`));
      this.table.set([bit, from, to], start + index * groupSize);
    }
    this.table[node + nodeField.required] = start;
    this.table[node + nodeField.requiredCount] = view.required.length;
    return groups;
  }

  #member(name: string, { kind, flags, groups, view }: Drafted, fact: number, path: string): number {
    const member = this.#allocate(memberSize);
    const bytes = utf8(`${JSON.stringify(name)}:`);
    const [from] = this.#text(bytes);
    this.members.push({ path, view });
    const index = this.members.length - 1;
    this.table.set([hashOf(name), from, bytes.length, kind, flags, groups, 0, 0, fact, index], member);
    return member;
  }

  /** Puts a member into a node's hash table. */
  #link(slots: number, mask: number, member: number): void {
    const hash = this.table[member] ?? 0;
    let slot = (hash ^ (hash >>> 15)) & mask;
    while (this.table[slots + slot] !== 0) slot = (slot + 1) & mask;
    this.table[slots + slot] = member;
  }

  #allocate(size: number): number {
    const at = this.#used;
    this.#used += size;
    if (this.#used > this.table.length) {
      const larger = new Int32Array(Math.max(2 * this.table.length, this.#used));
      larger.set(this.table);
      this.table = larger;
    }
    return at;
  }

  #text(bytes: Uint8Array): readonly [from: number, to: number] {
    const from = this.#namesUsed;
    this.#namesUsed += bytes.length;
    if (this.#namesUsed > this.names.length) {
      const larger = new Uint8Array(Math.max(2 * this.names.length, this.#namesUsed));
      larger.set(this.names);
      this.names = larger;
      this.words = new DataView(larger.buffer);
    }
    this.names.set(bytes, from);
    return [from, this.#namesUsed];
  }
}

/** Names that R4 has and the view hides: a known name is found without its hash, and its values may repeat. */
const hiddenNames = ({ type, everything }: ObjectView): readonly string[] =>
  everything ? [] : [...elementsOf(type).values()].flatMap(({ forms }) => forms).map(({ name }) => name);

type Part = "resource" | "meta" | "hidden meta" | "sibling" | "element";

/** The members of a resource that its view does not decide about. */
function addRoot(
  members: ReadonlyMap<string, Drafted>,
  add: (name: string, drafted: Omit<Drafted, "groups">) => void,
): void {
  add("resourceType", { kind: memberKind.type, flags: 0, view: undefined });
  for (const name of ["implicitRules", "_implicitRules"])
    add(name, { kind: memberKind.unusual, flags: 0, view: undefined });
  const view = members.get("meta")?.view ?? hiddenMeta;
  add("meta", { kind: memberKind.object, flags: memberFlag.meta, view });
}

interface Drafted {
  readonly kind: number;
  readonly flags: number;
  readonly groups: number;
  readonly view: ElementView | undefined;
}

function draft(parent: string, name: string, element: ElementView): { kind: number; flags: number } {
  switch (element.kind) {
    case "primitive":
      return { kind: kindOf(element.type), flags: primitiveFlags(parent, name, element) };
    case "deceased":
      return { kind: memberKind.deceased, flags: memberFlag.deceased };
    case "object": {
      const flags = flag(element.repeats, memberFlag.repeats) | flag(element.isMarked, memberFlag.marked);
      if (parent === "Patient.link" && name === "other") return { kind: memberKind.link, flags };
      return { kind: element.slices.length > 0 ? memberKind.sliced : memberKind.object, flags };
    }
    case "resource":
      return { kind: name === "contained" ? memberKind.contained : memberKind.unusual, flags: 0 };
  }
}

type Primitive = Extract<ElementView, { kind: "primitive" }>;

const refers = (parent: string, name: string) => parent === "Reference" && name === "reference";
const follows = (parent: string, name: string, { type }: Primitive) =>
  refers(parent, name) || urlTypes.has(type);

function primitiveFlags(parent: string, name: string, element: Primitive): number {
  const { type, repeats } = element;
  const isLocation = refers(parent, name) || isAddress(parent, name, type);
  return (
    flag(repeats, memberFlag.repeats) |
    flag(follows(parent, name, element), memberFlag.follows) |
    flag(isLocation, memberFlag.address) |
    flag(!isLocation && urlTypes.has(type), memberFlag.name) |
    flag(refers(parent, name) || type === "canonical", memberFlag.fragment) |
    flag(name === "id", memberFlag.id) |
    flag(refers(parent, name), memberFlag.reference) |
    flag(parent === "Attachment" && name === "url", memberFlag.attachment) |
    flag(mayDecide(name), memberFlag.decides) |
    flag(parent === "Reference" && name === "type", memberFlag.referenceType) |
    flag(parent === "Patient" && name === "deceasedBoolean", memberFlag.deceased)
  );
}

// `isOfType` in primitive.ts says the same of values
function kindOf(type: string): number {
  if (type === "boolean") return memberKind.boolean;
  const isNumber = ["decimal", "integer", "positiveInt", "unsignedInt"].includes(type);
  return isNumber ? memberKind.number : memberKind.text;
}

function flagsOf(view: ObjectView, part: Part): number {
  const isReference = view.type === "Reference";
  return (
    flag(isReference, nodeFlag.reference) |
    flag(part === "resource", nodeFlag.resource) |
    flag(view.everything && view.extensions.all, nodeFlag.whole) |
    flag(view.extensions.all, nodeFlag.allExtensions) |
    flag(isReference && identifiesTarget(view), nodeFlag.identifies) |
    flag(isReference && shownTarget(view).isText, nodeFlag.text) |
    flag(isReference && shownTarget(view).isAlone, nodeFlag.alone) |
    flag(part === "sibling", nodeFlag.sibling)
  );
}

const flag = (isSet: boolean, value: number): number => (isSet ? value : 0);

/** A hidden `meta` is read for its facts, through a view that shows nothing. */
const hiddenMeta: ElementView = hiddenObject("Meta");

function hiddenObject(type: string): ElementView {
  const others: ObjectView = {
    type,
    everything: false,
    elements: new Map(),
    extensions: { all: false, urls: new Set() },
    required: [],
  };
  return { kind: "object", type, repeats: false, isMarked: false, others, slices: [], viewOf: () => others };
}

function sizeFor(members: number): number {
  let size = 16;
  while (size < 2 * members) size *= 2;
  return size;
}

const jsonBytes = (text: string): Uint8Array => utf8(JSON.stringify(text));

/** JSON text of the URL that is shown with some codes only. */
export const absentReasonUrl: Uint8Array = jsonBytes(dataAbsentReason);
