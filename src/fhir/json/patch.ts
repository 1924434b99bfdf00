import { err, ok, type Result } from "#kernel/result";
import {
  depthMax,
  isArray,
  isObject,
  property,
  resourceBytesMax,
  textAt,
  type Json,
  type JsonObject,
} from "./json.ts";
import { isSameJson } from "./same.ts";

/**
 * An operation of a JSON Patch (RFC 6902 §4); `path` and `from` are the unescaped tokens of a JSON Pointer
 * (RFC 6901 §4).
 */
export type PatchOperation =
  | { readonly op: "add" | "replace" | "test"; readonly path: Pointer; readonly value: Json }
  | { readonly op: "remove"; readonly path: Pointer }
  | { readonly op: "move" | "copy"; readonly path: Pointer; readonly from: Pointer };

type Pointer = readonly string[];

export type PatchRefusal =
  /** The body is no JSON Patch of at most 200 operations. */
  | { readonly reason: "patch_malformed" }
  /** An operation names an absent location, or a `test` found a different value (RFC 6902 §5). */
  | { readonly reason: "patch_not_applicable"; readonly index: number }
  /** An operation copies, moves or nests more than a resource may have. */
  | { readonly reason: "patch_exceeds_limits"; readonly index: number };

const operationsMax = 200;
// The budget for copies: each list and object that the patch changes counts once, and so does all that
// `copy` makes, text included. It is twice the largest resource.
const copiedBytesMax = 2 * resourceBytesMax;
// about as V8 stores them; a value: a list or an object
const [itemBytes, memberBytes, valueBytes] = [8, 32, 128];
// The budget for visited values when depths are measured: `move` may name a large value two hundred times.
const looksMax = 1_000_000;

/** Reads a JSON Patch document. Members that RFC 6902 does not define are ignored (§4). */
export function readPatch(document: Json): Result<readonly PatchOperation[], PatchRefusal> {
  if (!isArray(document) || document.length > operationsMax) return err({ reason: "patch_malformed" });
  const operations = document.map(readOperation).filter((operation) => operation !== undefined);
  return operations.length === document.length ? ok(operations) : err({ reason: "patch_malformed" });
}

function readOperation(operation: Json): PatchOperation | undefined {
  if (!isObject(operation)) return undefined;
  const [op, path, from] = [
    textAt(operation, "op"),
    readPointer(textAt(operation, "path")),
    readPointer(textAt(operation, "from")),
  ];
  const value = property(operation, "value");
  if (path === undefined) return undefined;
  switch (op) {
    case "add":
    case "replace":
    case "test":
      return value === undefined ? undefined : { op, path, value };
    case "remove":
      return { op, path };
    case "move":
    case "copy":
      return from === undefined ? undefined : { op, path, from };
    case undefined:
    default:
      return undefined;
  }
}

/** RFC 6901 §3: a `~` that begins no escape makes the pointer invalid. */
function readPointer(text: string | undefined): Pointer | undefined {
  if (text === undefined || (text !== "" && !text.startsWith("/")) || /~(?![01])/u.test(text))
    return undefined;
  const tokens = text.split("/").slice(1);
  return tokens.length > depthMax
    ? undefined
    : tokens.map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/**
 * Applies a patch, whole or not at all (RFC 5789 §2). The tree itself is not changed.
 * @param startsLists `add` behind the end of an absent list makes the list: no error tells that it was absent.
 * @param carry called for every object that takes the place of an earlier object: changed below, or put
 * there by `replace`.
 */
export function applyPatch(
  tree: Json,
  operations: readonly PatchOperation[],
  carry: (object: JsonObject, replaced: JsonObject) => void = () => {},
  startsLists = false,
): Result<Json, PatchRefusal> {
  const patcher = new Patcher(carry);
  let patched: Json | undefined = tree;
  for (const [operation, step] of operations.entries()) {
    patched = patcher.apply(patched, startsLists ? startingList(patched, step) : step);
    if (patched === undefined)
      return err({
        reason: patcher.isTooCostly ? "patch_exceeds_limits" : "patch_not_applicable",
        index: operation,
      });
  }
  return ok(patched);
}

function startingList(tree: Json, operation: PatchOperation): PatchOperation {
  const list = operation.path.slice(0, -1);
  return operation.op === "add" && operation.path.at(-1) === "-" && at(tree, list) === undefined
    ? { op: "add", path: list, value: [operation.value] }
    : operation;
}

/** The change at a location, and to the list items behind it. */
type Change = { readonly kind: "add" | "replace"; readonly value: Json } | { readonly kind: "remove" };

/**
 * A method returns undefined if the operation names an absent location. A value is copied at its first
 * change, and later changed in place: two hundred operations on a long list copy it only once.
 */
class Patcher {
  isTooCostly = false;
  readonly #carry: (object: JsonObject, replaced: JsonObject) => void;
  /** Lists and objects that this patcher made, each in a single place. */
  readonly #copies = new WeakSet<object>();
  #copiedBytes = 0;
  #looks = 0;

  constructor(carry: (object: JsonObject, replaced: JsonObject) => void) {
    this.#carry = carry;
  }

  apply(tree: Json, operation: PatchOperation): Json | undefined {
    const { path } = operation;
    switch (operation.op) {
      case "add":
      case "replace":
        return this.#put(tree, path, { kind: operation.op, value: operation.value });
      case "remove":
        return this.#change(tree, path, { kind: "remove" });
      case "test": {
        const found = at(tree, path);
        return found !== undefined && isSameJson(found, operation.value) ? tree : undefined;
      }
      case "copy": {
        const value = at(tree, operation.from);
        const copy = value === undefined ? undefined : this.#copyOf(value);
        return copy === undefined ? undefined : this.#put(tree, path, { kind: "add", value: copy });
      }
      case "move": {
        const value = at(tree, operation.from);
        // RFC 6902 §4.4: a value cannot be moved into itself.
        const intoItself =
          operation.from.length < path.length &&
          operation.from.every((token, index) => token === path[index]);
        if (value === undefined || intoItself) return undefined;
        const without =
          operation.from.length === 0 ? tree : this.#change(tree, operation.from, { kind: "remove" });
        return without === undefined ? undefined : this.#put(without, path, { kind: "add", value });
      }
    }
  }

  #put(tree: Json, path: Pointer, change: Extract<Change, { readonly value: Json }>): Json | undefined {
    return this.#isDeeper(change.value, depthMax - path.length)
      ? this.#refuse()
      : this.#change(tree, path, change);
  }

  #change(value: Json, path: Pointer, change: Change, step = 0): Json | undefined {
    const token = path[step];
    if (token === undefined)
      return change.kind === "remove" ? undefined : this.#inPlaceOf(value, change.value);
    if (isArray(value)) return this.#inList(value, token, path, step, change);
    return isObject(value) ? this.#inObject(value, token, path, step, change) : undefined;
  }

  #inList(
    list: readonly Json[],
    token: string,
    path: Pointer,
    step: number,
    change: Change,
  ): Json | undefined {
    const isLast = step === path.length - 1;
    const index =
      isLast && change.kind === "add" && token === "-"
        ? list.length
        : /^(?:0|[1-9]\d{0,6})$/u.test(token)
          ? Number(token)
          : -1;
    const old = list[index];
    if (isLast && change.kind === "add") {
      if (index < 0 || index > list.length) return undefined;
      const copy = this.#copyOfList(list);
      copy?.splice(index, 0, change.value);
      return copy;
    }
    if (old === undefined) return undefined;
    const changed =
      isLast && change.kind === "remove" ? undefined : this.#change(old, path, change, step + 1);
    const isRemoved = isLast && change.kind === "remove";
    if (changed === undefined && !isRemoved) return undefined;
    const copy = this.#copyOfList(list);
    if (changed === undefined) copy?.splice(index, 1);
    else if (copy !== undefined) copy[index] = changed;
    return copy;
  }

  #inObject(
    object: JsonObject,
    token: string,
    path: Pointer,
    step: number,
    change: Change,
  ): Json | undefined {
    const isLast = step === path.length - 1;
    const old = property(object, token);
    const isAdded = isLast && change.kind === "add" && old === undefined;
    if (old === undefined && !isAdded) return undefined;
    const isRemoved = isLast && change.kind === "remove";
    const changed = isRemoved
      ? undefined
      : old === undefined
        ? valueOf(change)
        : this.#change(old, path, change, step + 1);
    if (changed === undefined && !isRemoved) return undefined;
    const copy = this.#copyOfObject(object);
    if (copy === undefined) return undefined;
    if (changed === undefined) delete copy[token];
    // An own property, even for `__proto__`.
    else
      Object.defineProperty(copy, token, {
        value: changed,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    return copy;
  }

  #inPlaceOf(old: Json, value: Json): Json {
    if (isObject(old) && isObject(value)) this.#carry(value, old);
    return value;
  }

  #copyOfList(list: readonly Json[]): Json[] | undefined {
    if (this.#copies.has(list)) return list as Json[]; // made by this patcher
    if (!this.#spend(valueBytes + itemBytes * list.length)) return undefined;
    const copy = [...list];
    this.#copies.add(copy);
    return copy;
  }

  #copyOfObject(object: JsonObject): Record<string, Json> | undefined {
    if (this.#copies.has(object)) return object; // made by this patcher
    if (!this.#spend(valueBytes + memberBytes * Object.keys(object).length)) return undefined;
    const copy = { ...object };
    this.#copies.add(copy);
    this.#carry(copy, object);
    return copy;
  }

  /**
   * A copy of a value, even if this patcher made the value: a copy must not share objects with its source.
   */
  #copyOf(value: Json): Json | undefined {
    if (typeof value === "string") return this.#spend(value.length) ? value : undefined;
    if (isArray(value)) {
      if (!this.#spend(valueBytes + itemBytes * value.length)) return undefined;
      const items: Json[] = [];
      for (const item of value) {
        const copy = this.#copyOf(item);
        if (copy === undefined) return undefined;
        items.push(copy);
      }
      this.#copies.add(items);
      return items;
    }
    if (!isObject(value)) return value;
    if (!this.#spend(valueBytes)) return undefined;
    const members: [string, Json][] = [];
    for (const [name, member] of Object.entries(value)) {
      const copy = this.#spend(memberBytes + name.length) ? this.#copyOf(member) : undefined;
      if (copy === undefined) return undefined;
      members.push([name, copy]);
    }
    const copy = Object.fromEntries(members);
    this.#copies.add(copy);
    return copy;
  }

  #spend(bytes: number): boolean {
    this.#copiedBytes += bytes;
    this.isTooCostly ||= this.#copiedBytes > copiedBytesMax;
    return !this.isTooCostly;
  }

  #isDeeper(value: Json, levels: number): boolean {
    if (typeof value !== "object" || value === null) return false;
    this.#looks += 1;
    if (this.#looks > looksMax) return true;
    if (isArray(value)) return levels < 1 || value.some((item) => this.#isDeeper(item, levels - 1));
    return (
      isObject(value) &&
      (levels < 1 || Object.values(value).some((member) => this.#isDeeper(member, levels - 1)))
    );
  }

  #refuse(): undefined {
    this.isTooCostly = true;
  }
}

const valueOf = (change: Change): Json | undefined => (change.kind === "remove" ? undefined : change.value);

function at(value: Json, [token, ...below]: Pointer): Json | undefined {
  if (token === undefined) return value;
  const inside = isArray(value)
    ? /^(?:0|[1-9]\d{0,6})$/u.test(token)
      ? value[Number(token)]
      : undefined
    : undefined;
  const member = isObject(value) ? property(value, token) : inside;
  return member === undefined ? undefined : at(member, below);
}
