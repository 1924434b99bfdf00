import type { Nesting } from "#fhir/r4/compartment";
import { elementsOf, isResourceType, type R4Element } from "#fhir/r4/elements";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { isSame, canonicalText } from "#fhir/json/same";
import { baseNames } from "#fhir/r4/reference";
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
import { extensionView, siblingView } from "#phi/redact";

/** A resource as it is stored, and as its writer sees it. */
export interface StoredResource {
  readonly stored: JsonObject;
  readonly shown: JsonObject;
}

export interface MergeContext {
  readonly bases: Bases;
  /**
   * What each object of `shown` was cut from, and what an object that a patch made stands in place of. Added
   * to.
   */
  readonly sources: WeakMap<JsonObject, JsonObject>;
  /**
   * The body is what a patch made of what is shown: it says all that it means, and leaves nothing out for
   * want of knowing it.
   */
  readonly patched?: boolean;
  /** What may be written of a resource inside this one; `undefined`: nothing. */
  readonly viewInside: (resource: JsonObject, nesting: Nesting) => ResourceView | undefined;
  /**
   * Whether the writer may be shown the other Patient of a link; a link to any other Patient is not written.
   * In the origin's terms.
   */
  readonly mayLinkTo: (other: JsonObject) => boolean;
}

/** A resource as it is stored next. */
export interface Merged {
  readonly resource: JsonObject;
  /**
   * What becomes of it and of each resource inside it that is new or changes, at any depth. What is not among
   * them is the very object that is stored.
   */
  readonly changes: readonly Change[];
}

/**
 * The resource that a body means (DESIGN §6 "Writes"): of what its writer sees, what the body says; of all
 * else, what is stored. A body that says what was read changes nothing, whatever the view, and none changes
 * what is hidden. What decides is the view and what is shown, never what is hidden: a refusal tells nothing
 * of that.
 *
 * @param submitted structurally valid R4, of the id and type of the stored one.
 * @param standing `undefined`: nothing is stored yet.
 */
export function mergeResource(
  submitted: JsonObject,
  standing: StoredResource | undefined,
  view: ResourceView,
  context: MergeContext,
): Result<Merged, readonly MergeIssue[]> {
  const merger = new Merger(context);
  const carry = (object: JsonObject, of: JsonObject) => {
    const source = context.sources.get(of);
    if (source !== undefined) context.sources.set(object, source);
  };
  const [body, shown] = [unmasked(submitted, carry), standing && unmasked(standing.shown, carry)];
  const at = textAt(submitted, "resourceType") ?? "";
  const resource = merger.resource({ body, shown, stored: standing?.stored }, view, undefined, at);
  return merger.issues.length === 0 ? ok({ resource, changes: merger.changes }) : err(merger.issues);
}

// As many as of what R4 itself says (fhir/validate/findings).
const issuesMax = 20;

class Merger {
  readonly issues: MergeIssue[] = [];
  readonly changes: Change[] = [];
  readonly #context: MergeContext;

  constructor(context: MergeContext) {
    this.#context = context;
  }

  /** A resource of its own, or one inside another. */
  resource(
    { body, shown, stored }: ObjectVersions,
    view: ResourceView,
    nesting: Change["nesting"],
    at: string,
  ): JsonObject {
    const seen = shown && metaOf(shown);
    const meta = stored === undefined ? metaOf(body) : this.#meta(metaOf(body), seen, at);
    const merged = this.#object(
      { body: withMeta(body, meta), shown: shown && withMeta(shown, seen), stored },
      view.object,
      at,
    );
    const result = stored === undefined ? merged : this.#underNarrative(merged, stored, view.object, at);
    this.changes.push({ nesting, stored, shown, result, view });
    return result;
  }

  /**
   * Labels and profiles come from the stored version: a label that is asked for and not given would be a
   * false assurance. Of tags a body that names none leaves those that are there (FHIR R4 resource, Meta), and
   * a patch takes away what it says.
   */
  #meta(said: JsonObject | undefined, seen: JsonObject | undefined, at: string): JsonObject | undefined {
    const { patched } = this.#context;
    const { profile, security, ...others } = said ?? {};
    const of = (name: string) => seen && property(seen, name);
    if (said !== undefined && (security !== undefined || patched) && !isSame(security, of("security")))
      this.#fail("read_only", `${at}.meta.security`);
    if (said !== undefined && patched && !isSame(profile, of("profile")))
      this.#fail("read_only", `${at}.meta.profile`);
    if (Object.keys(others).length === 0 && !patched) return seen;
    const kept = ["profile", "security"].flatMap((name) => {
      const value = of(name);
      return value === undefined ? [] : [[name, value] as const];
    });
    const meta = { ...others, ...Object.fromEntries(kept) };
    return Object.keys(meta).length === 0 ? undefined : meta;
  }

  /** What a hidden narrative says was generated from the elements, and is not true of others (DESIGN §6). */
  #underNarrative(merged: JsonObject, stored: JsonObject, view: ObjectView, at: string): JsonObject {
    const [text, element] = [property(stored, "text"), view.elements.get("text")];
    const isHidden =
      element === undefined || (element.kind === "object" && element.others?.elements.has("div") !== true);
    if (!isObject(text) || !isHidden || isSame(merged, stored)) return merged;
    const status = textAt(text, "status");
    if (status === "empty") return merged;
    if (status !== "generated" && status !== "extensions") this.#fail("narrative", `${at}.text`);
    return Object.fromEntries(Object.entries(merged).filter(([name]) => name !== "text"));
  }

  #fail(fault: MergeFault, at: string): void {
    if (this.issues.length < issuesMax) this.issues.push(mergeIssue(fault, at));
  }

  #object(three: ObjectVersions, view: ObjectView, at: string): JsonObject {
    const { body, stored } = three;
    const scene: ObjectMerge = { ...three, view, at, out: { ...stored } };
    const type = property(body, "resourceType");
    if (type !== undefined && stored === undefined) scene.out["resourceType"] = type;
    const elements = elementsOf(view.type);
    const forms = new Set([...elements.values()].flatMap((element) => element.forms.map(({ name }) => name)));
    for (const name of Object.keys(body)) {
      const isElement = forms.has(name) || (name.startsWith("_") && forms.has(name.slice(1)));
      // A name that no element has may be data itself.
      if (!isElement && !(name === "resourceType" && isResourceType(view.type)))
        this.#fail("unknown", /^_?[A-Za-z][A-Za-z0-9]{0,63}$/u.test(name) ? `${at}.${name}` : at);
    }
    for (const element of elements.values()) this.#element(element, scene);
    return scene.out;
  }

  #element(element: R4Element, scene: ObjectMerge): void {
    const { name, forms } = element;
    const { urls } = scene.view.extensions;
    if (isAsShown(element, scene)) return;
    if (name === "extension" || name === "modifierExtension") {
      const list = property(scene.body, name);
      if (list !== undefined && !(isArray(list) && list.every(isObject)))
        return this.#fail("malformed", pathOf(scene, name));
    }
    if (name === "extension")
      return this.#items(scene, name, { viewOf: (item) => shownExtension(item, scene.view.extensions) });
    if (name === "modifierExtension")
      return this.#items(scene, name, {
        viewOf: (item) => (urls.has(textAt(item, "url") ?? "") ? extensionView : undefined),
      });
    if (forms.length > 1) return this.#choice(element, scene);
    const view = scene.view.elements.get(name);
    if (view === undefined) return this.#refuse(element, scene);
    return this.#member(name, view, scene);
  }

  /** Outside the view: the body may leave it out, and may not say anything of it. */
  #refuse({ name, forms }: R4Element, scene: ObjectMerge): void {
    const said = forms.some(
      (form) =>
        property(scene.body, form.name) !== undefined || property(scene.body, `_${form.name}`) !== undefined,
    );
    if (said) this.#fail("hidden", pathOf(scene, name));
  }

  /** All forms of a choice are one path (DESIGN §6). */
  #choice(element: R4Element, scene: ObjectMerge): void {
    const { view, out, body, shown } = scene;
    const at = pathOf(scene, element.name);
    const formIn = (of: JsonObject | undefined) =>
      of &&
      element.forms.find(
        ({ name }) => property(of, name) !== undefined || property(of, `_${name}`) !== undefined,
      )?.name;
    const [next, now] = [formIn(body), formIn(shown)];
    const views = element.forms.map((form) => view.elements.get(form.name));
    if (next !== undefined && (view.elements.get(next)?.kind ?? "deceased") === "deceased")
      return this.#fail("hidden", at);
    // What is told of a hidden date is that it is there, in the form of a boolean that is not stored.
    if (
      views.some((one) => one?.kind === "deceased") &&
      now !== undefined &&
      shown !== undefined &&
      property(shown, now) === true
    )
      return this.#fail("read_only", at);
    if (now === undefined && views.some((one) => (one?.kind ?? "deceased") === "deceased")) {
      if (next !== undefined) this.#fail("choice_hidden", at);
      return;
    }
    if (now !== undefined && next !== undefined && next !== now && !view.extensions.all)
      return this.#fail("read_only", at);
    if (now !== undefined && next !== now) this.#form(now, scene);
    if (now !== undefined && next !== undefined && next !== now) {
      delete out[now];
      delete out[`_${now}`];
    }
    if (next !== undefined) this.#form(next, scene);
  }

  #form(name: string, scene: ObjectMerge): void {
    const view = scene.view.elements.get(name);
    if (view !== undefined) this.#member(name, view, scene);
  }

  #member(name: string, view: ElementView, scene: ObjectMerge): void {
    if (!isFormed(name, view, scene.body)) return this.#fail("malformed", pathOf(scene, name));
    switch (view.kind) {
      case "primitive":
        return view.repeats
          ? this.#primitives(name, view.type, scene)
          : this.#primitive(name, view.type, scene);
      case "object":
        return view.repeats ? this.#items(scene, name, view) : this.#one(name, view, scene);
      case "resource":
        return name === "contained" ? this.#contained(scene) : this.#inside(name, view.repeats, scene);
      case "deceased":
        return this.#fail("read_only", pathOf(scene, name));
    }
  }

  #primitive(name: string, type: string, scene: ObjectMerge): void {
    const { body, shown, stored, out, view } = scene;
    const [said, seen, kept] = [
      property(body, name),
      shown && property(shown, name),
      stored && property(stored, name),
    ];
    if (!isSame(said, seen)) {
      // A value that was not shown though the view shows it (a reference to what is hidden, the origin's
      // address). A reference that may be such a one is never given another target: else whether it is one
      // would tell.
      const mayBeUnseen =
        kept !== undefined
          ? name !== "id"
          : shown !== undefined && view.type === "Reference" && name === "reference";
      if (said === undefined) delete out[name];
      else if (seen === undefined && mayBeUnseen) this.#fail("read_only", pathOf(scene, name));
      else out[name] = this.#inward(said, name, type, view);
    }
    const beside = `_${name}`;
    const [extra, seenBeside, keptBeside] = [
      property(body, beside),
      shown && property(shown, beside),
      stored && property(stored, beside),
    ];
    if (!isSame(extra, seenBeside))
      this.#put(scene, beside, this.#beside(extra, seenBeside, keptBeside, scene));
    const left = out[beside];
    // Without a value an id is nobody's (ele-1).
    if (out[name] === undefined && isObject(left) && Object.keys(left).every((one) => one === "id"))
      delete out[beside];
  }

  #beside(
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

  /** A value that is gone leaves the hidden extensions that stood beside it, in its place. */
  #primitives(name: string, type: string, scene: ObjectMerge): void {
    const { body, shown, stored, out, view } = scene;
    const [said, seen, kept] = [
      primitivePairs(body, name),
      primitivePairs(shown, name),
      primitivePairs(stored, name),
    ];
    const isSeen = ([value, beside]: Pair) =>
      value !== null || (isObject(beside) && showsSome(beside, view.extensions));
    const visible = kept.flatMap((pair, index) => (isSeen(pair) ? [index] : []));
    if (visible.length !== seen.length) return this.#fail("read_only", pathOf(scene, name));
    const seenAt = new Map(visible.map((index, at) => [index, seen[at] ?? noPair]));
    const textOf = (pair: Pair) => canonicalText([...pair]);
    const placed = matchItems(said, visible, [
      { ofSubmitted: textOf, ofStored: (index) => textOf(seenAt.get(index) ?? noPair) },
      {
        ofSubmitted: ([value]) => (value === null ? undefined : canonicalText(value)),
        ofStored: (index) => canonicalText(seenAt.get(index)?.[0] ?? null),
      },
    ]);
    const becomes = placed.map(
      ({ value: pair, index }): { readonly value: Pair; readonly index: number | undefined } => {
        const before = index === undefined ? noPair : (kept[index] ?? noPair);
        const before2 = index === undefined ? noPair : (seenAt.get(index) ?? noPair);
        if (isSame([...pair], [...before2])) return { value: before, index };
        const beside = this.#beside(pair[1], before2[1], before[1], scene);
        const value = index === undefined ? this.#inward(pair[0], name, type, view) : before[0];
        return { index, value: [value, Object.keys(beside).length === 0 ? null : beside] };
      },
    );
    const standing = new Set(placed.map(({ index }) => index));
    const left = kept.flatMap(([, beside], index): readonly (readonly [number, Pair])[] => {
      if (standing.has(index)) return [];
      if (!seenAt.has(index)) return [[index, [null, beside]]];
      const hidden = this.#beside(undefined, seenAt.get(index)?.[1], beside, scene);
      return Object.keys(hidden).some((member) => member !== "id") ? [[index, [null, hidden]]] : [];
    });
    const pairs = weave(becomes, new Map(left));
    const [values, besides] = [pairs.map(([value]) => value), pairs.map(([, beside]) => beside)];
    delete out[name];
    delete out[`_${name}`];
    if (values.some((value) => value !== null)) out[name] = values;
    if (besides.some((beside) => beside !== null)) out[`_${name}`] = besides;
  }

  #one(name: string, { viewOf }: ObjectElement, scene: ObjectMerge): void {
    const { body, shown, stored } = scene;
    const [said, seen, kept] = [body, shown, stored].map((of) => of && property(of, name));
    const at = pathOf(scene, name);
    if (!isObject(said)) {
      if (!isObject(seen) || !isObject(kept)) return;
      const view = viewOf(kept);
      if (view === undefined) return; // shown for reading, and not to be written
      return mayLeaveUnwhole(view)
        ? this.#fail("not_removed", at)
        : this.#put(scene, name, this.#erase(seen, kept, view, at));
    }
    const view = viewOf(said);
    if (view === undefined) return this.#fail("hidden", at);
    if (isObject(seen) && isObject(kept) && viewOf(kept) !== view) return this.#fail("read_only", at);
    if (!isObject(seen) && !isCreatable(view)) return this.#fail("not_added", at);
    const isOther = scene.view.type === "Patient.link" && name === "other";
    // Beside a hidden reference a new name would mislead, and whether there is a reference at all would tell.
    if (isOther && stored !== undefined && masksOther(scene.view, shown ?? {}))
      return this.#fail("read_only", at);
    const three = {
      body: said,
      shown: isObject(seen) ? seen : undefined,
      stored: isObject(kept) ? kept : undefined,
    };
    const merged = this.#object(three, view, at);
    if (isOther && !this.#context.mayLinkTo(merged)) return this.#fail("hidden", at);
    this.#put(scene, name, merged);
  }

  /** What is hidden of an object whose visible part goes. */
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
   * Items of which nothing is hidden are the body's; those of which all is hidden stay where they are; the
   * others have to be known again.
   */
  #items(scene: ObjectMerge, name: string, { viewOf }: ObjectElement): void {
    const { body, shown, stored, out } = scene;
    const [said, seen, kept] = [body, shown, stored].map((of) => objectsIn(of, name));
    if (said === undefined || seen === undefined || kept === undefined) return;
    const at = pathOf(scene, name);
    const sources = this.#context.sources;
    const indexOf = new Map(kept.map((item, index) => [item, index]));
    const seenAt = new Map<number, JsonObject>();
    for (const item of seen) {
      const source = sources.get(item);
      const index = source && indexOf.get(source);
      if (index !== undefined) seenAt.set(index, item);
    }
    const views = kept.map(viewOf);
    const placed = matchItems(
      said,
      [...seenAt.keys()],
      [
        { ofSubmitted: (item) => sources.get(item), ofStored: (index) => kept[index] },
        { ofSubmitted: (item) => textAt(item, "id"), ofStored: (index) => idOf(seenAt.get(index)) },
        { ofSubmitted: canonicalText, ofStored: (index) => canonicalText(seenAt.get(index) ?? null) },
      ],
    );
    const standing = new Set(placed.map(({ index }) => index));
    const gone = [...seenAt].flatMap(([index, item]) => {
      const [view, before] = [views[index], kept[index]];
      return standing.has(index) || view === undefined || before === undefined
        ? []
        : [{ index, item, view, before }];
    });
    if (gone.some(({ view }) => !view.everything))
      return this.#fail(placed.some(({ index }) => index === undefined) ? "unmatched" : "not_removed", at);
    if (gone.some(({ view, item }) => mayLeaveUnwhole(view) || masksOther(view, item)))
      return this.#fail("not_removed", at);

    const becomes = placed.map(({ value, index }, position) => {
      const place = `${at}[${position}]`;
      if (index === undefined) return { index, value: this.#newItem(value, viewOf(value), place) };
      return {
        index,
        value: this.#sameItem({ body: value, shown: seenAt.get(index), stored: kept[index] }, viewOf, place),
      };
    });
    const left = new Map(
      kept.flatMap((item, index) =>
        standing.has(index) || seenAt.has(index) ? [] : [[index, item] as const],
      ),
    );
    for (const [index, item] of kept.entries())
      if (!standing.has(index) && views[index] === undefined) left.set(index, item);
    for (const { index, item, view, before } of gone) {
      const hidden = this.#erase(item, before, view, at);
      if (Object.keys(hidden).some((member) => member !== "id")) left.set(index, hidden);
    }
    const items = weave(becomes, left);
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
    if (stored === undefined || isSame(body, shown)) return stored ?? body;
    const view = viewOf(body);
    // One that was moved into another slice: what is hidden of it is not the same.
    if (view === undefined || view !== viewOf(stored)) {
      this.#fail(view === undefined ? "hidden" : "read_only", at);
      return body;
    }
    return this.#object({ body, shown, stored }, view, at);
  }

  /** Known again by their ids, which are the resource's own; each is merged by its own type's rule. */
  #contained(scene: ObjectMerge): void {
    const { body, shown, stored, out } = scene;
    const [said, seen, kept] = [body, shown, stored].map((of) => objectsIn(of, "contained"));
    if (said === undefined || seen === undefined || kept === undefined) return;
    if (stored === undefined) return this.#inside("contained", true, scene);
    const at = pathOf(scene, "contained");
    const byId = new Map(seen.map((item) => [idOf(item), item]));
    if (
      byId.has(undefined) ||
      byId.size !== seen.length ||
      said.length !== seen.length ||
      !said.every((item) => byId.has(idOf(item)))
    )
      return this.#fail("contained", at);
    const submitted = new Map(said.map((item, index) => [idOf(item), { item, index }]));
    if (submitted.size !== said.length) return this.#fail("contained", at);
    out["contained"] = kept.map((item) => {
      const [next, now] = [submitted.get(idOf(item)), byId.get(idOf(item))];
      if (next === undefined || now === undefined || isSame(next.item, now)) return item;
      const place = `${at}[${next.index}]`;
      const view = this.#context.viewInside(item, "contained");
      if (view === undefined || property(next.item, "resourceType") !== property(item, "resourceType")) {
        this.#fail("read_only", place);
        return item;
      }
      return this.resource({ body: next.item, shown: now, stored: item }, view, "contained", place);
    });
  }

  /** Resources inside one that is new; where one is stored they stay as they are. */
  #inside(name: string, repeats: boolean, scene: ObjectMerge): void {
    const at = pathOf(scene, name);
    if (scene.stored !== undefined) return this.#fail("read_only", at);
    const nesting = name === "contained" ? "contained" : "entry";
    const value = property(scene.body, name);
    const items = (isArray(value) ? value : [value ?? null]).map((item, index) => {
      const place = repeats ? `${at}[${index}]` : at;
      const view = isObject(item) ? this.#context.viewInside(item, nesting) : undefined;
      if (view !== undefined && isObject(item))
        return this.resource({ body: item, shown: undefined, stored: undefined }, view, nesting, place);
      this.#fail("hidden", place);
      return null;
    });
    const [first = null] = items;
    scene.out[name] = repeats ? items : first;
  }

  /** The origin's own address for what the gateway's names. */
  #inward(value: Json, name: string, type: string, view: ObjectView): Json {
    const { bases } = this.#context;
    if (typeof value !== "string" || !value.startsWith(`${bases.public}/`)) return value;
    const below = value.slice(bases.public.length + 1);
    if (view.type === "Reference" && name === "reference") return below;
    return urlTypes.has(type) ? `${baseNames(bases.origin)[0]}/${below}` : value;
  }
}
