import { elementsOf, isResourceType, type R4Element } from "#fhir/r4/elements";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { isSameJson, canonicalText } from "#fhir/json/same";
import { baseNames } from "#fhir/r4/reference";
import { issuesMax } from "#fhir/validate/findings";
import { err, ok, type Result } from "#kernel/result";
import type { ResourceView } from "#policy/compile";
import type { Change } from "#policy/evaluate-write";
import type { ElementView, ObjectView } from "#policy/view/view";
import { mergeIssue, type MergeFault, type MergeIssue } from "./merge-issue.ts";
import { matchItems, weave } from "./merge-list.ts";
import {
  idOf,
  isAsShown,
  isCreatable,
  isFormed,
  masksOther,
  mayLeaveUnwhole,
  noPair,
  objectsIn,
  primitivePairs,
  pathOf,
  shownExtension,
  showsSome,
  withMeta,
  type ObjectElement,
  type Pair,
  type ObjectMerge,
  type ObjectVersions,
} from "./object-merge.ts";
import { metaOf, unmasked } from "./merge-stripped.ts";
import type { Bases } from "#phi/origin-urls";
import { urlTypes } from "#phi/primitive";
import { extensionView, siblingView, type PartAccess } from "#phi/redact";

/** A resource as it is stored, and as its writer sees it. */
export interface StoredResource {
  readonly stored: JsonObject;
  readonly shown: JsonObject;
}

/**
 * The facts for a merge besides the view. `viewInside` is the view by which a nested resource may be written, and
 * `mayLinkTo` answers whether the writer may see the linked Patient: only such a link is written. Both read the
 * origin's terms.
 */
export interface MergeContext extends PartAccess {
  readonly bases: Bases;
  /**
   * The stored object of each object in `shown`, and of each object that a patch put in its place. The merge
   * adds to it.
   */
  readonly sources: WeakMap<JsonObject, JsonObject>;
  /**
   * The body is the result of a patch on the shown resource: it is complete, and leaves no element out for
   * lack of knowledge.
   */
  readonly patched?: boolean;
  /** The URL to store in place of a new URL of an attachment; undefined: it may not be written. */
  readonly attached?: (url: string) => string | undefined;
}

/** The resource in its next stored form. */
export interface Merged {
  readonly resource: JsonObject;
  /**
   * The changes of the resource and of each nested resource that is new or changed, at any depth. A resource
   * without an entry here is the stored object itself.
   */
  readonly changes: readonly Change[];
}

/**
 * The resource that a body means: the visible elements are as the body says, all further elements as they are
 * stored. A body that repeats the shown resource changes nothing, whatever the view, and no body changes a
 * hidden element. The view and the shown resource decide, never the hidden elements: a refusal reveals
 * nothing about them.
 *
 * @param submitted structurally valid R4, with the id and type of the stored resource.
 * @param storedResource `undefined`: nothing is stored yet.
 */
export function mergeResource(
  submitted: JsonObject,
  storedResource: StoredResource | undefined,
  view: ResourceView,
  context: MergeContext,
): Result<Merged, readonly MergeIssue[]> {
  const merger = new Merger(context);
  const { sources } = context;
  const carry = (object: JsonObject, original: JsonObject) => {
    const source = sources.get(original);
    if (source !== undefined) sources.set(object, source);
  };
  const [body, shown] = [unmasked(submitted, carry), storedResource && unmasked(storedResource.shown, carry)];
  const at = textAt(submitted, "resourceType") ?? "";
  const resource = merger.resource({ body, shown, stored: storedResource?.stored }, view, undefined, at);
  return merger.issues.length === 0 ? ok({ resource, changes: merger.changes }) : err(merger.issues);
}

class Merger {
  readonly issues: MergeIssue[] = [];
  readonly changes: Change[] = [];
  readonly #bases: Bases;
  readonly #sources: MergeContext["sources"];
  readonly #isPatched: boolean;
  readonly #parts: PartAccess;
  readonly #attached: NonNullable<MergeContext["attached"]>;

  constructor(context: MergeContext) {
    this.#bases = context.bases;
    this.#sources = context.sources;
    this.#isPatched = context.patched === true;
    this.#parts = context;
    this.#attached = context.attached ?? ((url) => url);
  }

  /** Merges the written resource, or a nested resource. */
  resource(
    { body, shown, stored }: ObjectVersions,
    view: ResourceView,
    nesting: Change["nesting"],
    at: string,
  ): JsonObject {
    const inShown = shown && metaOf(shown);
    const meta = stored === undefined ? metaOf(body) : this.#meta(metaOf(body), inShown, at);
    const merged = this.#object(
      { body: withMeta(body, meta), shown: shown && withMeta(shown, inShown), stored },
      view.object,
      at,
    );
    const result = stored === undefined ? merged : this.#underNarrative(merged, stored, view.object, at);
    this.changes.push({ nesting, stored, shown, result, view });
    return result;
  }

  /**
   * Labels and profiles come from the stored version: to accept a requested label and not apply it would be a
   * false assurance. A body without tags leaves the stored tags (FHIR R4 resource, Meta); a patch removes the
   * tags that it names.
   */
  #meta(inBody: JsonObject | undefined, inShown: JsonObject | undefined, at: string): JsonObject | undefined {
    const isPatched = this.#isPatched;
    const { profile, security, ...others } = inBody ?? {};
    const shownAt = (name: string) => inShown && property(inShown, name);
    if (
      inBody !== undefined &&
      (security !== undefined || isPatched) &&
      !isSameJson(security, shownAt("security"))
    )
      this.#fail("read_only", `${at}.meta.security`);
    if (inBody !== undefined && isPatched && !isSameJson(profile, shownAt("profile")))
      this.#fail("read_only", `${at}.meta.profile`);
    if (Object.keys(others).length === 0 && !isPatched) return inShown;
    const inStored = ["profile", "security"].flatMap((name) => {
      const value = shownAt(name);
      return value === undefined ? [] : [[name, value] as const];
    });
    const meta = { ...others, ...Object.fromEntries(inStored) };
    return Object.keys(meta).length === 0 ? undefined : meta;
  }

  /** A hidden narrative was generated from the elements and becomes untrue if they change. */
  #underNarrative(merged: JsonObject, stored: JsonObject, view: ObjectView, at: string): JsonObject {
    const [text, element] = [property(stored, "text"), view.elements.get("text")];
    const isHidden =
      element === undefined || (element.kind === "object" && element.others?.elements.has("div") !== true);
    if (!isObject(text) || !isHidden || isSameJson(merged, stored)) return merged;
    const status = textAt(text, "status");
    if (status === "empty") return merged;
    if (status !== "generated" && status !== "extensions") this.#fail("narrative", `${at}.text`);
    return Object.fromEntries(Object.entries(merged).filter(([name]) => name !== "text"));
  }

  #fail(fault: MergeFault, at: string): void {
    if (this.issues.length < issuesMax) this.issues.push(mergeIssue(fault, at));
  }

  #object(versions: ObjectVersions, view: ObjectView, at: string): JsonObject {
    const { body, stored } = versions;
    const object: ObjectMerge = { ...versions, view, at, out: { ...stored } };
    const type = property(body, "resourceType");
    if (type !== undefined && stored === undefined) object.out["resourceType"] = type;
    const elements = elementsOf(view.type);
    const forms = new Set([...elements.values()].flatMap((element) => element.forms.map(({ name }) => name)));
    for (const name of Object.keys(body)) {
      const isElement = forms.has(name) || (name.startsWith("_") && forms.has(name.slice(1)));
      // The name of an unknown member may itself be data.
      if (!isElement && !(name === "resourceType" && isResourceType(view.type)))
        this.#fail("unknown", /^_?[A-Za-z][A-Za-z0-9]{0,63}$/u.test(name) ? `${at}.${name}` : at);
    }
    for (const element of elements.values()) this.#element(element, object);
    return object.out;
  }

  #element(element: R4Element, object: ObjectMerge): void {
    const { name, forms } = element;
    const { urls } = object.view.extensions;
    if (isAsShown(element, object)) return;
    if (name === "extension" || name === "modifierExtension") {
      const list = property(object.body, name);
      if (list !== undefined && !(isArray(list) && list.every(isObject)))
        return this.#fail("malformed", pathOf(object, name));
    }
    if (name === "extension")
      return this.#items(object, name, { viewOf: (item) => shownExtension(item, object.view.extensions) });
    if (name === "modifierExtension")
      return this.#items(object, name, {
        viewOf: (item) => (urls.has(textAt(item, "url") ?? "") ? extensionView : undefined),
      });
    if (forms.length > 1) return this.#choice(element, object);
    const view = object.view.elements.get(name);
    if (view === undefined) return this.#refuse(element, object);
    return this.#member(name, view, object);
  }

  /** Outside the view: the body may leave the element out, and may not mention it. */
  #refuse({ name, forms }: R4Element, object: ObjectMerge): void {
    const inBody = forms.some(
      (form) =>
        property(object.body, form.name) !== undefined ||
        property(object.body, `_${form.name}`) !== undefined,
    );
    if (inBody) this.#fail("hidden", pathOf(object, name));
  }

  /** All forms of a choice are one path. */
  #choice(element: R4Element, object: ObjectMerge): void {
    const { view, out, body, shown } = object;
    const at = pathOf(object, element.name);
    const formIn = (object: JsonObject | undefined) =>
      object &&
      element.forms.find(
        ({ name }) => property(object, name) !== undefined || property(object, `_${name}`) !== undefined,
      )?.name;
    const [bodyForm, shownForm] = [formIn(body), formIn(shown)];
    const views = element.forms.map((form) => view.elements.get(form.name));
    if (bodyForm !== undefined && (view.elements.get(bodyForm)?.kind ?? "deceased") === "deceased")
      return this.#fail("hidden", at);
    // Only the presence of a hidden date is shown, as a boolean that is not stored.
    if (
      views.some((view) => view?.kind === "deceased") &&
      shownForm !== undefined &&
      shown !== undefined &&
      property(shown, shownForm) === true
    )
      return this.#fail("read_only", at);
    if (shownForm === undefined && views.some((view) => (view?.kind ?? "deceased") === "deceased")) {
      if (bodyForm !== undefined) this.#fail("choice_hidden", at);
      return;
    }
    if (shownForm !== undefined && bodyForm !== undefined && bodyForm !== shownForm && !view.extensions.all)
      return this.#fail("read_only", at);
    if (shownForm !== undefined && bodyForm !== shownForm) this.#form(shownForm, object);
    if (shownForm !== undefined && bodyForm !== undefined && bodyForm !== shownForm) {
      delete out[shownForm];
      delete out[`_${shownForm}`];
    }
    if (bodyForm !== undefined) this.#form(bodyForm, object);
  }

  #form(name: string, object: ObjectMerge): void {
    const view = object.view.elements.get(name);
    if (view !== undefined) this.#member(name, view, object);
  }

  #member(name: string, view: ElementView, object: ObjectMerge): void {
    if (!isFormed(name, view, object.body)) return this.#fail("malformed", pathOf(object, name));
    switch (view.kind) {
      case "primitive":
        return view.repeats
          ? this.#primitives(name, view.type, object)
          : this.#primitive(name, view.type, object);
      case "object":
        return view.repeats ? this.#items(object, name, view) : this.#single(name, view, object);
      case "resource":
        return name === "contained" ? this.#contained(object) : this.#inside(name, view.repeats, object);
      case "deceased":
        return this.#fail("read_only", pathOf(object, name));
    }
  }

  #primitive(name: string, type: string, object: ObjectMerge): void {
    const { body, shown, stored, out, view } = object;
    const [inBody, inShown, inStored] = [
      property(body, name),
      shown && property(shown, name),
      stored && property(stored, name),
    ];
    if (!isSameJson(inBody, inShown)) {
      // A value that is not shown though the view shows its element (a reference to a hidden resource, the
      // origin's address). A reference that may be of this kind never gets a new target: otherwise the
      // refusal would reveal which kind it is.
      const mayBeUnseen =
        inStored !== undefined
          ? name !== "id"
          : shown !== undefined && view.type === "Reference" && name === "reference";
      if (inBody === undefined) delete out[name];
      else if (inShown === undefined && mayBeUnseen) this.#fail("read_only", pathOf(object, name));
      else if (view.type === "Attachment" && name === "url" && typeof inBody === "string")
        this.#attach(inBody, object);
      else out[name] = this.#inward(inBody, name, type, view);
    }
    const siblingName = `_${name}`;
    const [bodySibling, shownSibling, storedSibling] = [
      property(body, siblingName),
      shown && property(shown, siblingName),
      stored && property(stored, siblingName),
    ];
    if (!isSameJson(bodySibling, shownSibling))
      this.#put(object, siblingName, this.#sibling(bodySibling, shownSibling, storedSibling, object));
    const sibling = out[siblingName];
    // Without a value an id belongs to nothing (ele-1).
    if (
      out[name] === undefined &&
      isObject(sibling) &&
      Object.keys(sibling).every((member) => member === "id")
    )
      delete out[siblingName];
  }

  #sibling(
    body: Json | undefined,
    shown: Json | undefined,
    stored: Json | undefined,
    { view, at }: ObjectMerge,
  ): JsonObject {
    const object = (value: Json | undefined) => (isObject(value) ? value : undefined);
    return this.#object(
      { body: object(body) ?? {}, shown: object(shown), stored: object(stored) },
      siblingView(view.extensions),
      at,
    );
  }

  /** A removed value leaves its hidden extensions behind, in its place. */
  #primitives(name: string, type: string, object: ObjectMerge): void {
    const { body, shown, stored, out, view } = object;
    const [inBody, inShown, inStored] = [
      primitivePairs(body, name),
      primitivePairs(shown, name),
      primitivePairs(stored, name),
    ];
    const isSeen = ([value, sibling]: Pair) =>
      value !== null || (isObject(sibling) && showsSome(sibling, view.extensions));
    const visible = inStored.flatMap((pair, index) => (isSeen(pair) ? [index] : []));
    if (visible.length !== inShown.length) return this.#fail("read_only", pathOf(object, name));
    const seenAt = new Map(visible.map((index, at) => [index, inShown[at] ?? noPair]));
    const textOf = (pair: Pair) => canonicalText([...pair]);
    const placed = matchItems(inBody, visible, [
      { ofSubmitted: textOf, ofStored: (index) => textOf(seenAt.get(index) ?? noPair) },
      {
        ofSubmitted: ([value]) => (value === null ? undefined : canonicalText(value)),
        ofStored: (index) => canonicalText(seenAt.get(index)?.[0] ?? null),
      },
    ]);
    const results = placed.map(
      ({ value: pair, index }): { readonly value: Pair; readonly index: number | undefined } => {
        const before = index === undefined ? noPair : (inStored[index] ?? noPair);
        const shownBefore = index === undefined ? noPair : (seenAt.get(index) ?? noPair);
        if (isSameJson([...pair], [...shownBefore])) return { value: before, index };
        const sibling = this.#sibling(pair[1], shownBefore[1], before[1], object);
        const value = index === undefined ? this.#inward(pair[0], name, type, view) : before[0];
        return { index, value: [value, Object.keys(sibling).length === 0 ? null : sibling] };
      },
    );
    const matched = new Set(placed.map(({ index }) => index));
    const retained = inStored.flatMap(([, sibling], index): readonly (readonly [number, Pair])[] => {
      if (matched.has(index)) return [];
      if (!seenAt.has(index)) return [[index, [null, sibling]]];
      const hidden = this.#sibling(undefined, seenAt.get(index)?.[1], sibling, object);
      return Object.keys(hidden).some((member) => member !== "id") ? [[index, [null, hidden]]] : [];
    });
    const pairs = weave(results, new Map(retained));
    const [values, siblings] = [pairs.map(([value]) => value), pairs.map(([, sibling]) => sibling)];
    delete out[name];
    delete out[`_${name}`];
    if (values.some((value) => value !== null)) out[name] = values;
    if (siblings.some((sibling) => sibling !== null)) out[`_${name}`] = siblings;
  }

  #single(name: string, { viewOf }: ObjectElement, object: ObjectMerge): void {
    const { body, shown, stored } = object;
    const [inBody, inShown, inStored] = [body, shown, stored].map((part) => part && property(part, name));
    const at = pathOf(object, name);
    if (!isObject(inBody)) {
      if (!isObject(inShown) || !isObject(inStored)) return;
      const view = viewOf(inStored);
      if (view === undefined) return; // shown for reading, and not writable
      return mayLeaveUnwhole(view)
        ? this.#fail("not_removed", at)
        : this.#put(object, name, this.#erase(inShown, inStored, view, at));
    }
    const view = viewOf(inBody);
    if (view === undefined) return this.#fail("hidden", at);
    if (isObject(inShown) && isObject(inStored) && viewOf(inStored) !== view)
      return this.#fail("read_only", at);
    if (!isObject(inShown) && !isCreatable(view)) return this.#fail("not_added", at);
    const isLinkTarget = object.view.type === "Patient.link" && name === "other";
    // With a hidden reference a new name would mislead, and would reveal whether there is a reference.
    if (isLinkTarget && stored !== undefined && masksOther(object.view, shown ?? {}))
      return this.#fail("read_only", at);
    const versions = {
      body: inBody,
      shown: isObject(inShown) ? inShown : undefined,
      stored: isObject(inStored) ? inStored : undefined,
    };
    const merged = this.#object(versions, view, at);
    if (isLinkTarget && !this.#parts.mayLinkTo(merged)) return this.#fail("hidden", at);
    this.#put(object, name, merged);
  }

  /** The hidden part of an object after its visible part was removed. */
  #erase(shown: JsonObject, stored: JsonObject, view: ObjectView, at: string): JsonObject {
    return this.#object({ body: {}, shown, stored }, view, at);
  }

  #put({ out }: ObjectMerge, name: string, value: JsonObject): void {
    if (
      Object.keys(value).some((member) => member !== "id") ||
      (name.startsWith("_") && Object.keys(value).length > 0)
    )
      out[name] = value;
    else delete out[name];
  }

  /**
   * Items without a hidden part are taken from the body; fully hidden items stay in place; the remaining
   * items have to be recognized.
   */
  #items(object: ObjectMerge, name: string, { viewOf }: ObjectElement): void {
    const { body, shown, stored, out } = object;
    const [inBody, inShown, inStored] = [body, shown, stored].map((part) => objectsIn(part, name));
    if (inBody === undefined || inShown === undefined || inStored === undefined) return;
    const at = pathOf(object, name);
    const sources = this.#sources;
    const indexOf = new Map(inStored.map((item, index) => [item, index]));
    const seenAt = new Map<number, JsonObject>();
    for (const item of inShown) {
      const source = sources.get(item);
      const index = source && indexOf.get(source);
      if (index !== undefined) seenAt.set(index, item);
    }
    const views = inStored.map(viewOf);
    const placed = matchItems(
      inBody,
      [...seenAt.keys()],
      [
        { ofSubmitted: (item) => sources.get(item), ofStored: (index) => inStored[index] },
        { ofSubmitted: (item) => textAt(item, "id"), ofStored: (index) => idOf(seenAt.get(index)) },
        { ofSubmitted: canonicalText, ofStored: (index) => canonicalText(seenAt.get(index) ?? null) },
      ],
    );
    const matched = new Set(placed.map(({ index }) => index));
    const removed = [...seenAt].flatMap(([index, item]) => {
      const [view, before] = [views[index], inStored[index]];
      return matched.has(index) || view === undefined || before === undefined
        ? []
        : [{ index, item, view, before }];
    });
    if (removed.some(({ view }) => !view.everything))
      return this.#fail(placed.some(({ index }) => index === undefined) ? "unmatched" : "not_removed", at);
    if (removed.some(({ view, item }) => mayLeaveUnwhole(view) || masksOther(view, item)))
      return this.#fail("not_removed", at);

    const results = placed.map(({ value, index }, position) => {
      const place = `${at}[${position}]`;
      if (index === undefined) return { index, value: this.#newItem(value, viewOf(value), place) };
      return {
        index,
        value: this.#sameItem(
          { body: value, shown: seenAt.get(index), stored: inStored[index] },
          viewOf,
          place,
        ),
      };
    });
    const retained = new Map(
      inStored.flatMap((item, index) =>
        matched.has(index) || seenAt.has(index) ? [] : [[index, item] as const],
      ),
    );
    for (const [index, item] of inStored.entries())
      if (!matched.has(index) && views[index] === undefined) retained.set(index, item);
    for (const { index, item, view, before } of removed) {
      const hidden = this.#erase(item, before, view, at);
      if (Object.keys(hidden).some((member) => member !== "id")) retained.set(index, hidden);
    }
    const items = weave(results, retained);
    if (items.length > 0) out[name] = items;
    else delete out[name];
  }

  #newItem(body: JsonObject, view: ObjectView | undefined, at: string): JsonObject {
    if (view === undefined) this.#fail("hidden", at);
    else if (!isCreatable(view)) this.#fail("not_added", at);
    else return this.#object({ body, shown: undefined, stored: undefined }, view, at);
    return body;
  }

  #sameItem(
    { body, shown, stored }: ObjectVersions,
    viewOf: ObjectElement["viewOf"],
    at: string,
  ): JsonObject {
    if (stored === undefined || isSameJson(body, shown)) return stored ?? body;
    const view = viewOf(body);
    // The item was moved into a different slice, whose hidden elements are not the same.
    if (view === undefined || view !== viewOf(stored)) {
      this.#fail(view === undefined ? "hidden" : "read_only", at);
      return body;
    }
    return this.#object({ body, shown, stored }, view, at);
  }

  /**
   * Contained resources are recognized by their ids, which belong to the resource; each is merged by the
   * rules for its own type.
   */
  #contained(object: ObjectMerge): void {
    const { body, shown, stored, out } = object;
    const [inBody, inShown, inStored] = [body, shown, stored].map((part) => objectsIn(part, "contained"));
    if (inBody === undefined || inShown === undefined || inStored === undefined) return;
    if (stored === undefined) return this.#inside("contained", true, object);
    const at = pathOf(object, "contained");
    const byId = new Map(inShown.map((item) => [idOf(item), item]));
    if (
      byId.has(undefined) ||
      byId.size !== inShown.length ||
      inBody.length !== inShown.length ||
      !inBody.every((item) => byId.has(idOf(item)))
    )
      return this.#fail("contained", at);
    const submitted = new Map(inBody.map((item, index) => [idOf(item), { item, index }]));
    if (submitted.size !== inBody.length) return this.#fail("contained", at);
    out["contained"] = inStored.map((item) => {
      const [bodyItem, shownItem] = [submitted.get(idOf(item)), byId.get(idOf(item))];
      if (bodyItem === undefined || shownItem === undefined || isSameJson(bodyItem.item, shownItem))
        return item;
      const place = `${at}[${bodyItem.index}]`;
      const view = this.#parts.viewInside(item, "contained");
      if (view === undefined || property(bodyItem.item, "resourceType") !== property(item, "resourceType")) {
        this.#fail("read_only", place);
        return item;
      }
      return this.resource({ body: bodyItem.item, shown: shownItem, stored: item }, view, "contained", place);
    });
  }

  /** Nested resources are written only in a new resource; in a stored resource they stay as they are. */
  #inside(name: string, repeats: boolean, object: ObjectMerge): void {
    const at = pathOf(object, name);
    if (object.stored !== undefined) return this.#fail("read_only", at);
    const nesting = name === "contained" ? "contained" : "entry";
    const value = property(object.body, name);
    const items = (isArray(value) ? value : [value ?? null]).map((item, index) => {
      const place = repeats ? `${at}[${index}]` : at;
      const view = isObject(item) ? this.#parts.viewInside(item, nesting) : undefined;
      if (view !== undefined && isObject(item))
        return this.resource({ body: item, shown: undefined, stored: undefined }, view, nesting, place);
      this.#fail("hidden", place);
      return null;
    });
    const [first = null] = items;
    object.out[name] = repeats ? items : first;
  }

  /** The origin's own address in place of the gateway's. */
  #attach(url: string, object: ObjectMerge): void {
    const attached = this.#attached(url);
    if (attached === undefined) return this.#fail("attached", pathOf(object, "url"));
    object.out["url"] = this.#inward(attached, "url", "url", object.view);
  }

  #inward(value: Json, name: string, type: string, view: ObjectView): Json {
    const bases = this.#bases;
    if (typeof value !== "string" || !value.startsWith(`${bases.public}/`)) return value;
    const below = value.slice(bases.public.length + 1);
    if (view.type === "Reference" && name === "reference") return below;
    return urlTypes.has(type) ? `${baseNames(bases.origin)[0]}/${below}` : value;
  }
}
