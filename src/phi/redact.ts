import { ownerPathsOf, ownersNamed, type Concerned, type Nesting } from "#fhir/r4/compartment";
import { isArray, isObject, property, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
import { mentionOf, patientIn, type FhirBase } from "#fhir/r4/reference";
import { err, ok, type Result } from "#kernel/result";
import type { ResourceView } from "#policy/compile";
import { showsAll } from "#policy/view/shown";
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

/** What cutting needs to know beside the view, the same for all of one answer. */
export interface RedactContext {
  readonly bases: Bases;
  readonly urls: OriginUrls;
  /** The view of a resource inside another one, by its own type's rule; `undefined`: it does not leave. */
  readonly viewInside: (resource: JsonObject, nesting: Nesting) => ResourceView | undefined;
  /**
   * Whether the other record that a Patient is linked to may be told; one that may not stands as masked
   * (DESIGN §6).
   */
  readonly mayLinkTo: (other: JsonObject) => boolean;
  /** Told of every object that leaves, and what it was cut from. */
  readonly note?: (cut: JsonObject, from: JsonObject) => void;
}

export interface RedactedResource extends ConcernedPatients {
  readonly resource: JsonObject;
  /** Resources inside that were dropped whole. */
  readonly withheld: number;
  /** It and the resources inside it that leave, at any depth: each is a record that is disclosed. */
  readonly records: number;
  /** What leaves refers to these contained resources (`#id`; `#`: the container). */
  readonly refersTo: ReadonlySet<string>;
}

/**
 * Why a resource does not leave at all: a part of it that cannot be understood could change what the rest
 * means.
 */
export type RedactRefusal =
  | "modifier_extension"
  | "implicit_rules"
  | "malformed"
  /** No record names so many. */
  | "too_many_patients";

/** Why a resource that was not read is as good as hidden. */
export type UnreadableJson = "too_large" | "too_deep" | "duplicate_key";

/**
 * Cuts one resource to its view: the plain engine, which the fast one is tested against. The resource itself
 * is not changed.
 */
export function redactResource(
  resource: JsonObject,
  view: ResourceView,
  context: RedactContext,
): Result<RedactedResource, RedactRefusal> {
  const cutter = new Cutter(context, resource, view, new Map());
  const cut = cutter.cut();
  if (cut === undefined) return err(cutter.fault ?? "malformed");
  return cut.patients.size > patientsMax ? err("too_many_patients") : ok(cut);
}

/** An extension that is shown is shown whole. */
export const extensionView = compileView("Extension", showsAll, { all: true, urls: new Set() });
const siblingViews = new WeakMap<ExtensionList, ObjectView>();

/** The view of `_birthDate` and its like: the id and extensions of a primitive, shown with it. */
export function siblingView(extensions: ExtensionList): ObjectView {
  const view = siblingViews.get(extensions) ?? compileView("Element", showsAll, extensions);
  siblingViews.set(extensions, view);
  return view;
}

type Members = Record<string, Json>;
type PrimitiveView = Extract<ElementView, { kind: "primitive" }>;

type Entries = Map<JsonObject, RedactedResource | undefined>;

// Real resources hold a handful. A list is cut twice, so a long one would cost more than its bytes.
export const containedMax = 200;

/** Whether what leaves of a reference says all that tells whom it means. */
const tellsWhom = ({ elements }: ObjectView): boolean =>
  ["reference", "type", "identifier"].every((name) => elements.has(name));

/**
 * Whether a view may hide whose a resource is: by the view, and by whether the resource has the owner
 * elements that it shows.
 */
function hidesOwner(resource: JsonObject, { object }: ResourceView): boolean {
  if (object.everything) return false;
  const { owners, participants } = ownerPathsOf(textAt(resource, "resourceType") ?? "");
  const isHidden = (path: readonly string[]) => !showsReference(object, path);
  if (owners.some(isHidden)) return true;
  return participants.some(isHidden) && owners.every((path) => valuesAt(resource, path).length === 0);
}

function showsReference(view: ObjectView, [first, ...below]: readonly string[]): boolean {
  if (view.everything) return true;
  if (first === undefined) return tellsWhom(view);
  const element = view.elements.get(first);
  return element?.kind === "object" && element.others !== undefined && showsReference(element.others, below);
}

/**
 * Cuts one resource. A method gives nothing where nothing is left; once `fault` is set, nothing of the
 * resource leaves.
 */
class Cutter {
  fault: RedactRefusal | undefined;
  readonly #context: RedactContext;
  readonly #resource: JsonObject;
  readonly #isContained: boolean;
  readonly #view: ResourceView;
  /**
   * What became of each resource in an entry, at any depth: a contained resource is cut twice, and an entry
   * of it once.
   */
  readonly #entries: Entries;
  readonly #contained: readonly RedactedResource[];
  /** Contained resources that leave; nothing else may be referred to by `#id`. */
  readonly #fragments: ReadonlySet<string>;
  readonly #refersTo = new Set<string>();
  /** Below which a patient is the origin's. */
  readonly #bases: readonly FhirBase[];
  readonly #patients = new Set<string>();
  /** Of these the ones whom something names that leaves. */
  readonly #seen = new Set<string>();
  #room = 0;
  #unnamed = false;
  #withheld = 0;
  /** It, and resources inside it that are not contained. */
  #records = 1;

  /** @param container of a contained resource: which others of its container it may refer to. */
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
    this.#contained = container === undefined ? this.#cutContained() : [];
    this.#fragments = container ?? new Set(this.#contained.map((inside) => fragmentOf(inside.resource)));
  }

  cut(): RedactedResource | undefined {
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
   * A contained Patient has no address: somebody is meant, and nobody can say who. Whom it refers to is named
   * like everybody else.
   */
  #concerned(): Concerned {
    const isPatient = property(this.#resource, "resourceType") === "Patient";
    if (this.#isContained && isPatient) return { patients: [], unnamed: true };
    const owners = ownersNamed(this.#resource, this.#bases);
    if (isPatient) for (const patient of owners.patients) this.#seen.add(patient); // its id leaves always
    return owners;
  }

  #fail(reason: RedactRefusal): undefined {
    this.fault ??= reason;
  }

  /**
   * Contained resources, each by its own type's rule, where the view lists them. One that is withheld takes
   * the references to it along.
   */
  #cutContained(): readonly RedactedResource[] {
    const list = property(this.#resource, "contained");
    if (list === undefined || !this.#view.object.elements.has("contained")) return [];
    if (!isArray(list) || list.length > containedMax) return this.#fail("malformed") ?? [];
    const permitted = list.filter(isObject).flatMap((inside) => {
      const view = this.#context.viewInside(inside, "contained");
      return view === undefined ? [] : [{ inside, view }];
    });
    const cutAll = (of: typeof permitted) => {
      const fragments = new Set(of.map(({ inside }) => fragmentOf(inside)));
      return of.map((one) => ({
        ...one,
        cut: new Cutter(this.#context, one.inside, one.view, this.#entries, fragments).cut(),
      }));
    };
    // Twice: a first time to see which leave at all, since only to those may the others refer.
    const left = cutAll(cutAll(permitted).filter(({ cut }) => cut !== undefined));
    this.#withheld += list.length - left.length;
    const cuts = left.flatMap(({ cut }) => cut ?? []);
    this.#withheld += cuts.reduce((sum, { withheld }) => sum + withheld, 0);
    return cuts;
  }

  /** Whom a resource inside names that leaves. */
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
    // ele-1: an element has a value or children, and its id is not one of them.
    const names = Object.keys(members);
    if (names.length === 0 || (!hasValue && names.every((name) => name === "id"))) return undefined;
    if (view.type === "Reference") this.#mention(input, view);
    const cut = this.#require(input, members, view);
    this.#context.note?.(cut, input);
    return cut;
  }

  /** A reference of which anything leaves means somebody, be it by the name in `display` alone. */
  #mention(reference: JsonObject, view: ObjectView): void {
    const mention = mentionOf(reference, this.#bases);
    const isTold = tellsWhom(view);
    if (!isTold) this.#room += 1;
    if (mention.kind === "patient") this.#patients.add(mention.id);
    if (mention.kind === "patient" && isTold) this.#seen.add(mention.id);
    this.#unnamed ||= mention.kind === "somebody";
  }

  #members(input: JsonObject, view: ObjectView): Members | undefined {
    const out: Members = {};
    const names = Object.keys(input);
    const hasSiblings = names.some((name) => name.startsWith("_"));
    for (const name of names) {
      const value = input[name] ?? null;
      if (value === null) continue; // FHIR JSON knows null in arrays of primitives only
      if (name === "resourceType" && input === this.#resource) out[name] = value;
      else if (name === "extension") this.#put(out, name, this.#extensions(value, view.extensions));
      else if (name === "modifierExtension") this.#put(out, name, this.#modifiers(value, view.extensions));
      else {
        const sibling = name.startsWith("_");
        const element = view.elements.get(sibling ? name.slice(1) : name);
        if (element === undefined) continue;
        if (element.kind === "deceased") out["deceasedBoolean"] = true;
        else if (element.kind === "primitive" && !hasSiblings)
          this.#put(out, name, this.#alone(value, name, element, view));
        else if (element.kind === "primitive")
          this.#put(
            out,
            name,
            this.#primitive(input, sibling ? name.slice(1) : name, element, view)[sibling ? 1 : 0],
          );
        else if (sibling) continue;
        else if (element.kind === "object" && !this.#isOthers(value, name, view))
          this.#put(out, name, this.#objects(value, element));
        else if (element.kind === "object") continue; // R4 requires it: `#require` puts the mask
        else if (name === "contained") out[name] = []; // keeps the place of what `cut` puts there
        else {
          const inside = this.#inside(value, element.repeats);
          // what is said about a resource that does not leave goes with it
          if (inside === undefined) return undefined;
          out[name] = inside;
        }
      }
    }
    if (view.type === "Bundle") delete out["total"]; // counts what was dropped
    return out;
  }

  /**
   * The other Patient may be somebody else's record: nothing of the reference leaves, and nobody is named.
   */
  #isOthers(value: Json, name: string, { type }: ObjectView): boolean {
    return type === "Patient.link" && name === "other" && isObject(value) && !this.#context.mayLinkTo(value);
  }

  #put(out: Members, name: string, value: Json | undefined): void {
    if (value !== undefined && !(isArray(value) && value.length === 0)) out[name] = value;
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

  /**
   * A primitive of an object that has no `_` sibling of any, as nearly all are: what `#primitive` makes of
   * it, with less ado.
   */
  #alone(value: Json, name: string, { type, repeats }: PrimitiveView, view: ObjectView): Json | undefined {
    if (isArray(value) !== repeats) return this.#fail("malformed");
    if (!isArray(value)) return this.#scalar(value, name, type, view) ?? undefined;
    return value.map((item) => this.#scalar(item, name, type, view)).filter((item) => item !== null);
  }

  /** A primitive and its `_` sibling, kept aligned where they repeat (FHIR R4 json §2.6.2.2). */
  #primitive(input: JsonObject, name: string, { type, repeats }: PrimitiveView, view: ObjectView) {
    const [value, beside] = [property(input, name) ?? undefined, property(input, `_${name}`) ?? undefined];
    if ([value, beside].some((part) => part !== undefined && isArray(part) !== repeats))
      return [this.#fail("malformed"), undefined] as const;
    const values = isArray(value) ? value : value === undefined ? [] : [value];
    const besides = isArray(beside) ? beside : beside === undefined ? [] : [beside];
    const shown = siblingView(view.extensions);
    const pairs = Array.from({ length: Math.max(values.length, besides.length) }, (_, index) => {
      const scalar = this.#scalar(values[index] ?? null, name, type, view);
      const sibling = besides[index] ?? null;
      return [
        scalar,
        sibling === null ? null : (this.#object(sibling, shown, scalar !== null) ?? null),
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
    const mapped = this.#mapUrls(value, refers || isAddress(view.type, name, type), type);
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

  #mapUrls(value: string, isAddress: boolean, type: string): string | undefined {
    const { urls } = this.#context;
    if (isAddress) return urls.address(value);
    return urlTypes.has(type) ? urls.name(value) : urls.inText(value);
  }

  #extensions(value: Json, shown: ExtensionList): Json | undefined {
    if (!isArray(value)) return this.#fail("malformed");
    return value
      .filter((item) => !isObject(item) || isShown(item, shown))
      .flatMap((item) => this.#object(item, extensionView) ?? []);
  }

  /**
   * One that the policy does not name could negate what is shown (FHIR R4 §2.5.0.1): then nothing of the
   * resource leaves.
   */
  #modifiers(value: Json, { urls }: ExtensionList): Json | undefined {
    if (!isArray(value)) return this.#fail("malformed");
    const known = value.every((item) => isObject(item) && urls.has(textAt(item, "url") ?? ""));
    return known
      ? value.flatMap((item) => this.#object(item, extensionView) ?? [])
      : this.#fail("modifier_extension");
  }

  /** Resources inside (Bundle.entry.resource, Parameters.parameter.resource), each by its own type's rule. */
  #inside(value: Json, repeats: boolean): Json | undefined {
    if (isArray(value) !== repeats) return this.#fail("malformed");
    const items = (isArray(value) ? value : [value]).flatMap((item) => {
      const cut = isObject(item) ? this.#entry(item) : undefined;
      if (cut === undefined) {
        this.#withheld += 1;
        return [];
      }
      this.#name(cut);
      this.#withheld += cut.withheld;
      this.#records += cut.records;
      return [cut.resource];
    });
    return repeats ? items : items[0];
  }

  /** Cut once, whatever holds it: nothing in it refers to what is around it. */
  #entry(resource: JsonObject): RedactedResource | undefined {
    if (this.#entries.has(resource)) return this.#entries.get(resource);
    const view = this.#context.viewInside(resource, "entry");
    const cut = view && new Cutter(this.#context, resource, view, this.#entries).cut();
    this.#entries.set(resource, cut);
    return cut;
  }

  /**
   * Puts data-absent-reason `masked` where R4 requires an element and the cut left none, so that the result
   * is valid and says so.
   */
  #require(
    input: JsonObject,
    members: Members,
    { required, everything, extensions }: ObjectView,
  ): JsonObject {
    for (const { names, at, value } of required) {
      if (names.some((name) => Object.hasOwn(members, name) || Object.hasOwn(members, `_${name}`))) continue;
      // A keep-everything view hides nothing: what its origin left out stays out.
      const lacking = everything && extensions.all && !names.some((name) => Object.hasOwn(input, name));
      if (!lacking) members[at] = value;
    }
    return members;
  }
}
