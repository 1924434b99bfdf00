import { ownersNamed, type Concerned } from "#fhir/r4/concerned-patients";
import type { Nesting } from "#fhir/r4/compartment";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { mentionOf, patientIn, type FhirBase } from "#fhir/r4/reference";
import { err, ok, type Result } from "#kernel/result";
import type { ResourceView } from "#policy/compile";
import { masked } from "#policy/view/masked";
import { readPath } from "#policy/view/element-path";
import { showsAll, showsNothing, shownBy, union, type Shown } from "#policy/view/shown";
import {
  compileView,
  type ElementView,
  type ExtensionList,
  type ObjectView,
  type SlicedView,
} from "#policy/view/view";
import { fragmentOf, keepReferred, markSubsetted } from "./contained.ts";
import { patientsMax, type ConcernedPatients } from "./disclosure.ts";
import { isShown } from "./extension.ts";
import type { Bases, OriginUrls } from "./origin-urls.ts";
import { isAddress, isOfType, urlTypes } from "./primitive.ts";
import { hidesOwner, identifiesTarget, isFinalReference, shownTarget } from "./shown-reference.ts";

/** The decisions of a grant about parts of a resource: nested resources, and links to other Patients. */
export interface PartAccess {
  /** The view of a nested resource, by the rules for its own type; `undefined`: it does not leave. */
  readonly viewInside: (resource: JsonObject, nesting: Nesting) => ResourceView | undefined;
  /** Answers whether the linked record of a Patient may be named; if not, the link is masked. */
  readonly mayLinkTo: (other: JsonObject) => boolean;
}

/** The facts for a redaction besides the view, equal for the whole answer. */
export interface RedactContext extends PartAccess {
  readonly bases: Bases;
  readonly urls: OriginUrls;
  /** Called for every released object with the object it was made from. */
  readonly note?: (redacted: JsonObject, from: JsonObject) => void;
}

export interface RedactedResource extends ConcernedPatients {
  readonly resource: JsonObject;
  /** Nested resources that were dropped as a whole. */
  readonly withheld: number;
  /** The resource and the nested resources that leave, at any depth: each is a disclosed record. */
  readonly records: number;
  /** The contained resources that released elements refer to (`#id`; `#`: the container). */
  readonly refersTo: ReadonlySet<string>;
}

/**
 * The reason why a whole resource stays back: a part that cannot be understood could change the meaning of
 * the remaining parts.
 */
export type RedactRefusal =
  | "modifier_extension"
  | "implicit_rules"
  | "malformed"
  /** More names than a record has room for. */
  | "too_many_patients";

/** The reason why an unread resource counts as hidden. */
export type UnreadableJson = "too_large" | "too_deep" | "duplicate_key";

/**
 * Redacts a resource by its view. This is the plain engine, against which the fast engine is tested. The
 * resource itself is not changed.
 */
export function redactResource(
  resource: JsonObject,
  view: ResourceView,
  context: RedactContext,
): Result<RedactedResource, RedactRefusal> {
  const redaction = new Redaction(context, resource, view, new Map());
  const redacted = redaction.redacted();
  if (redacted === undefined) return err(redaction.fault ?? "malformed");
  return redacted.patients.size > patientsMax ? err("too_many_patients") : ok(redacted);
}

/** A shown extension is shown whole. */
export const extensionView = compileView("Extension", showsAll, { all: true, urls: new Set() });
/** The parts of an extension that a form may keep: its codes. */
const codesOfExtension = union(
  ["url", "valueCode", "valueCoding.system", "valueCoding.code"].map((path) => shownBy(readPath(path))),
);

/** The view of an extension that a list shows. What a form removes of the extension takes no part in an answer's length. */
export const extensionViewOf = (extensions: ExtensionList): ObjectView =>
  extensions.beforeForm === true ? formExtensionView(extensions) : extensionView;
const formExtensionView = viewsBy("Extension", () => codesOfExtension);

/** The view of `_birthDate` and similar members: the id and extensions of a primitive, shown with it. No form has the id. */
export const siblingView = viewsBy("Element", ({ beforeForm }) =>
  beforeForm === true ? showsNothing : showsAll,
);

/** The view of a type by a list of extensions, compiled once for each list. */
function viewsBy(type: string, shownBefore: (extensions: ExtensionList) => Shown) {
  const views = new WeakMap<ExtensionList, ObjectView>();
  return (extensions: ExtensionList): ObjectView => {
    const view = views.get(extensions) ?? compileView(type, shownBefore(extensions), extensions);
    views.set(extensions, view);
    return view;
  };
}

type Members = Record<string, Json>;
type PrimitiveView = Extract<ElementView, { kind: "primitive" }>;

type Entries = Map<JsonObject, RedactedResource | undefined>;

// Real resources contain a handful. The list is redacted twice, so a long list would cost more than its
// bytes.
export const containedMax = 200;

/** The contained resources that may leave; those that nothing refers to may stay back (`keepReferred`). */
export interface RedactedContained {
  readonly left: readonly RedactedResource[];
  /** Contained resources that stay back, and resources nested in those that leave. */
  readonly withheld: number;
}

/**
 * Redacts the contained resources of a resource, each by the rules for its own type. `undefined`: `list` is no
 * list, or is too long.
 */
export function redactContained(
  list: Json,
  context: RedactContext,
  entries: Entries = new Map(),
): RedactedContained | undefined {
  if (!isArray(list) || list.length > containedMax) return undefined;
  const permitted = list.filter(isObject).flatMap((inside) => {
    const view = context.viewInside(inside, "contained");
    return view === undefined ? [] : [{ inside, view }];
  });
  const nested = nestedContext(context);
  const redactAll = (contained: typeof permitted) => {
    const fragments = new Set(contained.map(({ inside }) => fragmentOf(inside)));
    return contained.map((item) => ({
      ...item,
      redacted: new Redaction(nested, item.inside, item.view, entries, fragments).redacted(),
    }));
  };
  // Twice: the first pass finds out which resources leave, since only these may be referred to.
  const redacted = redactAll(redactAll(permitted).filter((each) => each.redacted !== undefined));
  const left = redacted.flatMap((each) => each.redacted ?? []);
  const inside = left.reduce((sum, { withheld }) => sum + withheld, 0);
  return { left, withheld: list.length - redacted.length + inside };
}

/** A nested resource is no row that a sealed link could name. */
const nestedContext = ({ bases, ...context }: RedactContext): RedactContext => ({
  ...context,
  bases: { ...bases, sealed: undefined },
});

/**
 * Redacts a resource. A method returns `undefined` if nothing remains; once `fault` is set, nothing of the
 * resource leaves.
 */
class Redaction {
  fault: RedactRefusal | undefined;
  readonly #context: RedactContext;
  readonly #resource: JsonObject;
  readonly #isContained: boolean;
  readonly #view: ResourceView;
  /**
   * The result for each resource in an entry, at any depth: a contained resource is redacted twice, an entry
   * in it only once.
   */
  readonly #entries: Entries;
  readonly #contained: readonly RedactedResource[];
  /** The contained resources that leave; a `#id` may refer only to these. */
  readonly #fragments: ReadonlySet<string>;
  readonly #refersTo = new Set<string>();
  /** The bases below which a Patient is a patient of the origin. */
  readonly #bases: readonly FhirBase[];
  readonly #patients = new Set<string>();
  /** The patients in `#patients` that a released element names. */
  readonly #seen = new Set<string>();
  #room = 0;
  #unnamed = false;
  #withheld = 0;
  /** The resource, and nested resources that are not contained. */
  #records = 1;

  /** @param container for a contained resource: the siblings that it may refer to. */
  constructor(
    context: RedactContext,
    resource: JsonObject,
    view: ResourceView,
    entries: Entries,
    container?: ReadonlySet<string>,
  ) {
    this.#context = context;
    this.#bases = [context.bases.origin, context.bases.public];
    this.#resource = resource;
    this.#isContained = container !== undefined;
    this.#view = view;
    this.#entries = entries;
    this.#contained = container === undefined ? this.#redactContained() : [];
    this.#fragments = container ?? new Set(this.#contained.map((inside) => fragmentOf(inside.resource)));
  }

  redacted(): RedactedResource | undefined {
    const { object, subsetted } = this.#view;
    if (
      property(this.#resource, "implicitRules") !== undefined ||
      property(this.#resource, "_implicitRules") !== undefined
    ) {
      this.#fail("implicit_rules");
    }
    const members = this.#members(this.#resource, object) ?? {};
    if (this.fault !== undefined) return undefined;
    const kept = subsetted ? keepReferred(this.#refersTo, this.#contained) : this.#contained;
    for (const inside of kept) this.#name(inside);
    const { patients, unnamed } = this.#concerned();
    const all = new Set([...patients, ...this.#patients]);
    if (kept.length > 0) members["contained"] = kept.map((inside) => inside.resource);
    else delete members["contained"];
    const complete = this.#require(this.#resource, members, object);
    const resource = subsetted ? markSubsetted(complete) : complete;
    this.#context.note?.(resource, this.#resource);
    return {
      resource,
      patients: all,
      unseen: new Set([...all].filter((patient) => !this.#seen.has(patient))),
      room: this.#room + (hidesOwner(this.#resource, this.#view) ? 1 : 0),
      unnamed: unnamed || this.#unnamed,
      withheld: this.#withheld,
      records: kept.reduce((sum, { records }) => sum + records, this.#records),
      refersTo: this.#refersTo,
    };
  }

  /**
   * A contained Patient has no address: it means a person whom no reference names. The patients that it
   * refers to are recorded as usual.
   */
  #concerned(): Concerned {
    const isPatient = property(this.#resource, "resourceType") === "Patient";
    if (this.#isContained && isPatient) return { patients: [], unnamed: true };
    const owners = ownersNamed(this.#resource, this.#bases);
    if (isPatient) for (const patient of owners.patients) this.#seen.add(patient); // its id always leaves
    return owners;
  }

  #fail(reason: RedactRefusal): undefined {
    this.fault ??= reason;
  }

  /** The contained resources, if the view lists them. References to a withheld resource are removed. */
  #redactContained(): readonly RedactedResource[] {
    const list = property(this.#resource, "contained");
    if (list === undefined || !this.#view.object.elements.has("contained")) return [];
    const contained = redactContained(list, this.#context, this.#entries);
    if (contained === undefined) return this.#fail("malformed") ?? [];
    this.#withheld += contained.withheld;
    return contained.left;
  }

  /** Adds the patients that a released nested resource names. */
  #name({ patients, unseen, room, unnamed }: ConcernedPatients): void {
    for (const patient of patients) {
      this.#patients.add(patient);
      if (!unseen.has(patient)) this.#seen.add(patient);
    }
    this.#room += room;
    this.#unnamed ||= unnamed;
  }

  #object(input: Json, view: ObjectView, hasValue = false): JsonObject | undefined {
    if (!isObject(input)) return this.#fail("malformed");
    const members = this.#members(input, view);
    if (members === undefined) return undefined;
    // ele-1: an element has a value or children, and its id counts as neither.
    const names = Object.keys(members);
    if (names.length === 0 || (!hasValue && names.every((name) => name === "id"))) return undefined;
    if (view.type === "Reference") this.#mention(input, view);
    const redacted = this.#require(input, members, view);
    this.#context.note?.(redacted, input);
    return redacted;
  }

  /** A reference of which any part leaves means a person, even if only `display` names that person. */
  #mention(reference: JsonObject, view: ObjectView): void {
    const text = textAt(reference, "reference");
    const isWhole = identifiesTarget(view);
    const isText = !isWhole && text !== undefined && isFinalReference(text, shownTarget(view));
    const mention = mentionOf(isText ? { reference: text } : reference, this.#bases);
    const isIdentified = isWhole || isText;
    if (!isIdentified) this.#room += 1;
    if (mention.kind === "patient") this.#patients.add(mention.id);
    if (mention.kind === "patient" && isIdentified) this.#seen.add(mention.id);
    this.#unnamed ||= mention.kind === "unidentified";
  }

  #members(input: JsonObject, view: ObjectView): Members | undefined {
    const out: Members = {};
    const names = Object.keys(input);
    const hasSiblings = names.some((name) => name.startsWith("_"));
    for (const name of names) {
      const value = input[name] ?? null;
      if (value === null) continue; // FHIR JSON allows null only in arrays of primitives
      if (name === "resourceType" && input === this.#resource) out[name] = value;
      else if (name === "extension") this.#put(out, name, this.#extensions(value, view.extensions));
      else if (name === "modifierExtension") this.#put(out, name, this.#modifiers(value, view.extensions));
      else {
        const sibling = name.startsWith("_");
        const element = view.elements.get(sibling ? name.slice(1) : name);
        if (element === undefined) continue;
        if (element.kind === "deceased") out["deceasedBoolean"] = true;
        else if (element.kind === "primitive" && !hasSiblings)
          this.#put(out, name, this.#plainPrimitive(value, name, element, view));
        else if (element.kind === "primitive") {
          const plain = sibling ? name.slice(1) : name;
          this.#put(out, name, this.#primitive(input, plain, element, view)[sibling ? 1 : 0]);
          if (sibling && (input[plain] ?? null) === null) this.#mark(out, name, element);
        } else if (sibling) continue;
        else if (element.kind === "object" && !this.#isLinkMasked(value, name, view)) {
          this.#put(out, name, this.#objects(value, element));
          this.#mark(out, name, element);
        } else if (element.kind === "object") continue; // R4 requires it: `#require` puts the mask
        else if (name === "contained") out[name] = []; // keeps the position of the members that `redacted` adds
        else {
          const inside = this.#inside(value, element.repeats);
          // a statement about a withheld resource is withheld too
          if (inside === undefined) return undefined;
          out[name] = inside;
        }
      }
    }
    if (view.type === "Bundle") delete out["total"]; // counts the dropped entries
    return out;
  }

  /**
   * The linked Patient may be the record of a different person: the whole reference stays back, and no
   * patient is recorded.
   */
  #isLinkMasked(value: Json, name: string, { type }: ObjectView): boolean {
    return type === "Patient.link" && name === "other" && isObject(value) && !this.#context.mayLinkTo(value);
  }

  #put(out: Members, name: string, value: Json | undefined): void {
    if (value !== undefined && !(isArray(value) && value.length === 0)) out[name] = value;
  }

  #mark(
    out: Members,
    name: string,
    { isMarked, repeats }: Pick<PrimitiveView, "isMarked" | "repeats">,
  ): void {
    if (isMarked && !Object.hasOwn(out, name)) out[name] = repeats ? [masked] : masked;
  }

  #objects(value: Json, { repeats, viewOf }: Extract<ElementView, { kind: "object" }>): Json | undefined {
    if (isArray(value) !== repeats) return this.#fail("malformed");
    return isArray(value)
      ? value.flatMap((item) => this.#item(item, viewOf) ?? [])
      : this.#item(value, viewOf);
  }

  #item(item: Json, viewOf: SlicedView["viewOf"]): JsonObject | undefined {
    if (!isObject(item)) return this.#fail("malformed");
    const view = viewOf(item);
    return view && this.#object(item, view);
  }

  /** A primitive in an object without `_` siblings, which is the usual case: a shortcut for `#primitive`. */
  #plainPrimitive(
    value: Json,
    name: string,
    { type, repeats }: PrimitiveView,
    view: ObjectView,
  ): Json | undefined {
    if (isArray(value) !== repeats) return this.#fail("malformed");
    if (!isArray(value)) return this.#scalar(value, name, type, view) ?? undefined;
    return value.map((item) => this.#scalar(item, name, type, view)).filter((item) => item !== null);
  }

  /** A primitive and its `_` sibling, aligned if they repeat (FHIR R4 json §2.6.2.2). */
  #primitive(input: JsonObject, name: string, { type, repeats }: PrimitiveView, view: ObjectView) {
    const [value, sibling] = [property(input, name) ?? undefined, property(input, `_${name}`) ?? undefined];
    if ([value, sibling].some((part) => part !== undefined && isArray(part) !== repeats))
      return [this.#fail("malformed"), undefined] as const;
    const values = isArray(value) ? value : value === undefined ? [] : [value];
    const siblingValues = isArray(sibling) ? sibling : sibling === undefined ? [] : [sibling];
    const shown = siblingView(view.extensions);
    const pairs = Array.from({ length: Math.max(values.length, siblingValues.length) }, (_, index) => {
      const scalar = this.#scalar(values[index] ?? null, name, type, view);
      const siblingValue = siblingValues[index] ?? null;
      return [
        scalar,
        siblingValue === null ? null : (this.#object(siblingValue, shown, scalar !== null) ?? null),
      ] as const;
    }).filter(([scalar, sibling]) => scalar !== null || sibling !== null);
    const [scalars, siblings] = [pairs.map(([scalar]) => scalar), pairs.map(([, sibling]) => sibling)];
    const given = (list: readonly Json[]) =>
      list.every((item) => item === null) ? undefined : repeats ? list : list[0];
    return [given(scalars), given(siblings)] as const;
  }

  #scalar(value: Json, name: string, type: string, view: ObjectView): Json {
    if (value === null) return null;
    if (!isOfType(value, type)) return this.#fail("malformed") ?? null;
    if (typeof value !== "string") return value;
    const refers = view.type === "Reference" && name === "reference";
    if ((refers || type === "canonical") && value.startsWith("#")) {
      if (value !== "#" && !this.#fragments.has(value)) return null;
      this.#refersTo.add(value);
    }
    const isAttached = view.type === "Attachment" && name === "url";
    const link = isAttached ? this.#sealed(value) : undefined;
    if (isAttached && link === undefined && this.#context.bases.isStored?.(value) === true) return null;
    const mapped = link ?? this.#mapUrls(value, refers || isAddress(view.type, name, type), type);
    if (refers || urlTypes.has(type)) {
      this.#follow(value);
      if (mapped !== undefined && mapped !== value) this.#follow(mapped);
    }
    return mapped ?? null;
  }

  #follow(text: string): void {
    const patient = patientIn(text, this.#bases);
    if (patient === undefined) return;
    this.#patients.add(patient);
    this.#seen.add(patient);
  }

  #sealed(url: string): string | undefined {
    const [type, id] = [textAt(this.#resource, "resourceType"), textAt(this.#resource, "id")];
    return this.#context.bases.sealed?.(`${type}/${id}`, url);
  }

  #mapUrls(value: string, isAddress: boolean, type: string): string | undefined {
    const { urls } = this.#context;
    if (isAddress) return urls.address(value);
    return urlTypes.has(type) ? urls.name(value) : urls.inText(value);
  }

  #extensions(value: Json, shown: ExtensionList): Json | undefined {
    if (!isArray(value)) return this.#fail("malformed");
    return value
      .filter((item) => !isObject(item) || isShown(item, shown))
      .flatMap((item) => this.#object(item, extensionViewOf(shown)) ?? []);
  }

  /**
   * A modifier extension that the policy does not name could negate the shown elements (FHIR R4 §2.5.0.1):
   * then nothing of the resource leaves.
   */
  #modifiers(value: Json, { urls, beforeForm }: ExtensionList): Json | undefined {
    if (!isArray(value)) return this.#fail("malformed");
    const known = !beforeForm && value.every((item) => isObject(item) && urls.has(textAt(item, "url") ?? ""));
    return known
      ? value.flatMap((item) => this.#object(item, extensionView) ?? [])
      : this.#fail("modifier_extension");
  }

  /**
   * Nested resources (Bundle.entry.resource, Parameters.parameter.resource), each by the rules for its own
   * type.
   */
  #inside(value: Json, repeats: boolean): Json | undefined {
    if (isArray(value) !== repeats) return this.#fail("malformed");
    const items = (isArray(value) ? value : [value]).flatMap((item) => {
      const redacted = isObject(item) ? this.#entry(item) : undefined;
      if (redacted === undefined) {
        this.#withheld += 1;
        return [];
      }
      this.#name(redacted);
      this.#withheld += redacted.withheld;
      this.#records += redacted.records;
      return [redacted.resource];
    });
    return repeats ? items : items[0];
  }

  /** Redacted once for all containers: nothing in it refers to its surroundings. */
  #entry(resource: JsonObject): RedactedResource | undefined {
    if (this.#entries.has(resource)) return this.#entries.get(resource);
    const view = this.#context.viewInside(resource, "entry");
    const redacted =
      view && new Redaction(nestedContext(this.#context), resource, view, this.#entries).redacted();
    this.#entries.set(resource, redacted);
    return redacted;
  }

  /**
   * Puts data-absent-reason `masked` where R4 requires an element and the redaction removed it, so that the
   * result is valid and says so.
   */
  #require(
    input: JsonObject,
    members: Members,
    { required, everything, extensions }: ObjectView,
  ): JsonObject {
    for (const { names, at, value } of required) {
      if (names.some((name) => Object.hasOwn(members, name) || Object.hasOwn(members, `_${name}`))) continue;
      // A view that shows everything hides nothing: an element that the origin left out stays absent.
      const lacking = everything && extensions.all && !names.some((name) => Object.hasOwn(input, name));
      if (!lacking) members[at] = value;
    }
    return members;
  }
}
