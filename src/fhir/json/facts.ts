import { RowWork } from "#fhir/search/row-work";
import { isArray, isObject, property, type Json, type JsonObject } from "./json.ts";

/**
 * The label of one element (DS4P `extension-inline-sec-label`), on any element at any depth. Only a labelling
 * service can weigh it.
 */
export const inlineLabel =
  "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label";

/**
 * A member of a resource that a decision reads, with everything inside it; below `meta` one member of `meta`.
 * A value of `meta` that is neither an object nor a list (malformed) is a fact as it stands.
 */
export type FactPath = readonly [member: string] | readonly ["meta", member: string];

/** Texts that decide about resources wherever they stand in them, for an engine that reads bytes. */
export interface SoughtTexts {
  /** Codes, as `system|code`. */
  readonly codes: readonly string[];
  /** Ids, and types, in references. */
  readonly names: readonly string[];
}

/** The texts that an engine looks for in the bytes of a resource: a resource with any of them is judged whole. */
export interface Sought {
  /** Each code of the value sets is sought. */
  readonly labels: boolean;
  readonly texts: ReadonlySet<SoughtTexts>;
}

const labels = Symbol("inline labels");
const whole = Symbol("whole resource");
const lacks = Symbol("sought and absent");
const work = Symbol("work");

/**
 * The part of a resource that decisions read: the members at some {@link FactPath}s, and the inline labels of
 * the whole resource. A decision takes this record and never a tree, so that the resource's bytes alone are
 * enough to decide, before the resource is read whole. Only {@link Facts.of} and {@link Facts.captured} make
 * it: a tree, or a copy of facts with further members, is not of this type. A Consent in force may ask for
 * any element: {@link Facts.wholeOf} has the tree, unless the facts were captured.
 */
export class Facts {
  readonly [name: string]: Json;
  private readonly [labels]: readonly JsonObject[];

  private readonly [whole]: JsonObject | undefined;
  private readonly [lacks]: Sought | undefined;
  private [work]: RowWork | undefined;

  private constructor(
    members: JsonObject,
    inlineLabels: readonly JsonObject[],
    resource: JsonObject | undefined,
    absent: Sought | undefined,
  ) {
    Object.assign(this, members);
    this[labels] = inlineLabels;
    this[whole] = resource;
    this[lacks] = absent;
    this[work] = undefined;
  }

  static of(resource: JsonObject, paths: readonly FactPath[]): Facts {
    const found: JsonObject[] = [];
    findInlineLabels(resource, found);
    return new Facts(pick(resource, paths), found, resource, undefined);
  }

  /**
   * Makes the record for an engine that reads bytes.
   *
   * @param captured the members found at the paths; every member that no path names is left out.
   * @param inlineLabels every object of the whole resource, at any depth, with {@link inlineLabel} as its
   * `url`.
   * @param absent nothing of this stands anywhere in the resource.
   */
  static captured(
    captured: JsonObject,
    paths: readonly FactPath[],
    inlineLabels: readonly JsonObject[],
    absent?: Sought,
  ): Facts {
    return new Facts(pick(captured, paths), inlineLabels, undefined, absent);
  }

  /** The texts that are known to stand nowhere in the resource; undefined: nothing is known. */
  static absentIn(facts: Facts): Sought | undefined {
    return facts[lacks];
  }

  /** The extensions (or what stands in their place) that label an element inside the resource. */
  static inlineLabelsOf(facts: Facts): readonly JsonObject[] {
    return facts[labels];
  }

  /** The work on the row of these facts, by whatever judge. */
  static workOn(facts: Facts): RowWork {
    return (facts[work] ??= new RowWork());
  }

  /** The resource that the facts were read from; undefined if only its bytes were read. */
  static wholeOf(facts: Facts): JsonObject | undefined {
    return facts[whole];
  }
}

function pick(resource: JsonObject, paths: readonly FactPath[]): JsonObject {
  const picked: Record<string, Json> = {};
  for (const path of paths) {
    const member = path[0];
    const below = path[1]; // a pattern would ask an iterator for each path
    const value = property(resource, member);
    if (value === undefined) continue;
    if (below === undefined) picked[member] = value;
    else picked[member] ??= metaOf(value, paths);
  }
  return picked;
}

/** `meta` with the members that paths name. R4 has no list here; a list stays a list. */
function metaOf(value: Json, paths: readonly FactPath[]): Json {
  if (isArray(value)) return value.map((item) => metaOf(item, paths));
  if (!isObject(value)) return value;
  const picked: Record<string, Json> = {};
  for (const [member, below] of paths) {
    const found = member === "meta" && below !== undefined ? property(value, below) : undefined;
    if (below !== undefined && found !== undefined) picked[below] = found;
  }
  return picked;
}

/** Every element may have an inline label, in its extensions or in the extensions of a primitive. */
function findInlineLabels(value: Json, found: JsonObject[]): void {
  if (isArray(value)) {
    for (const item of value) if (typeof item === "object") findInlineLabels(item, found);
    return;
  }
  if (!isObject(value)) return;
  for (const name in value) {
    const member = value[name];
    if (typeof member === "object") findInlineLabels(member, found);
    else if (name === "url" && member === inlineLabel) found.push(value);
  }
}

const workOnTrees = new WeakMap<JsonObject, RowWork>();

/** The work on a row: the same for the same object. */
export function workOn(row: JsonObject): RowWork {
  if (row instanceof Facts) return Facts.workOn(row);
  const known = workOnTrees.get(row) ?? new RowWork();
  workOnTrees.set(row, known);
  return known;
}
