import { err, ok, type Result } from "#kernel/result";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "./json.ts";
import { isSame } from "./same.ts";

/** One operation of a JSON Patch (RFC 6902 §4); `path` and `from` are the unescaped tokens of a JSON Pointer (RFC 6901 §4). */
export type PatchOperation =
  | { readonly op: "add" | "replace" | "test"; readonly path: Pointer; readonly value: Json }
  | { readonly op: "remove"; readonly path: Pointer }
  | { readonly op: "move" | "copy"; readonly path: Pointer; readonly from: Pointer };

type Pointer = readonly string[];

export type PatchRefusal =
  /** It is no JSON Patch of at most 200 operations. */
  | { readonly reason: "patch_malformed" }
  /** An operation names a place that is not there, or a `test` found something else (RFC 6902 §5). */
  | { readonly reason: "patch_not_applicable"; readonly index: number };

const operationsMax = 200;
const depthMax = 100; // as of a body (fhir/json)
// Of values that `copy` makes: doubled a few times over a small patch would fill the memory.
const copiedMax = 100_000;

/** Reads a JSON Patch document. Members that RFC 6902 does not define are passed over (§4). */
export function readPatch(document: Json): Result<readonly PatchOperation[], PatchRefusal> {
  if (!isArray(document) || document.length > operationsMax) return err({ reason: "patch_malformed" });
  const operations = document.map(readOperation).filter((operation) => operation !== undefined);
  return operations.length === document.length ? ok(operations) : err({ reason: "patch_malformed" });
}

function readOperation(operation: Json): PatchOperation | undefined {
  if (!isObject(operation)) return undefined;
  const [op, path, from] = [textAt(operation, "op"), readPointer(textAt(operation, "path")), readPointer(textAt(operation, "from"))];
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

/** RFC 6901 §3: a `~` that begins no escape makes it none. */
function readPointer(text: string | undefined): Pointer | undefined {
  if (text === undefined || (text !== "" && !text.startsWith("/")) || /~(?![01])/u.test(text)) return undefined;
  const tokens = text.split("/").slice(1);
  return tokens.length > depthMax ? undefined : tokens.map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/**
 * Applies a patch, whole or not at all (RFC 5789 §2). The tree itself is not changed.
 *
 * @param carry told of every object that stands in place of another one: changed below, or put where it was by `replace`.
 */
export function applyPatch(
  tree: Json,
  operations: readonly PatchOperation[],
  carry: (object: JsonObject, of: JsonObject) => void = () => {},
): Result<Json, PatchRefusal> {
  const patcher = new Patcher(carry);
  let patched: Json | undefined = tree;
  for (const [operation, one] of operations.entries()) {
    patched = patcher.apply(patched, one);
    if (patched === undefined) return err({ reason: "patch_not_applicable", index: operation });
  }
  return ok(patched);
}

/** What becomes of the value at a place, and of a list's items behind it. */
type Change = { readonly kind: "add" | "replace"; readonly value: Json } | { readonly kind: "remove" };

/** A method gives nothing where the operation names no place that is there. */
class Patcher {
  readonly #carry: (object: JsonObject, of: JsonObject) => void;
  #copied = 0;

  constructor(carry: (object: JsonObject, of: JsonObject) => void) {
    this.#carry = carry;
  }

  apply(tree: Json, operation: PatchOperation): Json | undefined {
    const { path } = operation;
    switch (operation.op) {
      case "add":
      case "replace":
        return this.#change(tree, path, { kind: operation.op, value: operation.value });
      case "remove":
        return this.#change(tree, path, { kind: "remove" });
      case "test": {
        const found = at(tree, path);
        return found !== undefined && isSame(found, operation.value) ? tree : undefined;
      }
      case "copy": {
        const value = at(tree, operation.from);
        const copy = value === undefined ? undefined : this.#copyOf(value);
        return copy === undefined ? undefined : this.#change(tree, path, { kind: "add", value: copy });
      }
      case "move": {
        const value = at(tree, operation.from);
        // RFC 6902 §4.4: nothing is moved into itself.
        const intoItself = operation.from.length < path.length && operation.from.every((token, index) => token === path[index]);
        if (value === undefined || intoItself) return undefined;
        const without = operation.from.length === 0 ? tree : this.#change(tree, operation.from, { kind: "remove" });
        return without === undefined ? undefined : this.#change(without, path, { kind: "add", value });
      }
    }
  }

  #change(value: Json, [token, ...below]: Pointer, change: Change): Json | undefined {
    if (token === undefined) return change.kind === "remove" ? undefined : this.#inPlaceOf(value, change.value);
    if (isArray(value)) return this.#inList(value, token, below, change);
    return isObject(value) ? this.#inObject(value, token, below, change) : undefined;
  }

  #inList(list: readonly Json[], token: string, below: Pointer, change: Change): Json | undefined {
    const isLast = below.length === 0;
    if (isLast && change.kind === "add" && token === "-") return [...list, change.value];
    const index = /^(?:0|[1-9]\d{0,6})$/u.test(token) ? Number(token) : -1;
    const old = list[index];
    if (isLast && change.kind === "add") return index >= 0 && index <= list.length ? list.toSpliced(index, 0, change.value) : undefined;
    if (old === undefined) return undefined;
    if (isLast && change.kind === "remove") return list.toSpliced(index, 1);
    const changed = this.#change(old, below, change);
    return changed === undefined ? undefined : list.with(index, changed);
  }

  #inObject(object: JsonObject, token: string, below: Pointer, change: Change): Json | undefined {
    const old = property(object, token);
    if (below.length === 0 && change.kind === "remove") {
      if (old === undefined) return undefined;
      return this.#inPlaceOf(object, Object.fromEntries(Object.entries(object).filter(([name]) => name !== token)));
    }
    if (below.length === 0 && change.kind === "add" && old === undefined)
      return this.#inPlaceOf(object, { ...object, [token]: change.value }); // a computed name is the object's own, `__proto__` too
    const changed = old === undefined ? undefined : this.#change(old, below, change);
    return changed === undefined ? undefined : this.#inPlaceOf(object, { ...object, [token]: changed });
  }

  #inPlaceOf(old: Json, value: Json): Json {
    if (isObject(old) && isObject(value)) this.#carry(value, old);
    return value;
  }

  /** Of its own objects: what is copied is another thing than what it was copied from. */
  #copyOf(value: Json): Json | undefined {
    this.#copied += 1;
    if (this.#copied > copiedMax) return undefined;
    if (isArray(value)) {
      const items = value.map((item) => this.#copyOf(item));
      return items.every((item) => item !== undefined) ? items : undefined;
    }
    if (!isObject(value)) return value;
    const members = Object.entries(value).map(([name, member]) => [name, this.#copyOf(member)] as const);
    if (members.some(([, member]) => member === undefined)) return undefined;
    return Object.fromEntries(members.flatMap(([name, member]) => (member === undefined ? [] : [[name, member] as const])));
  }
}

function at(value: Json, [token, ...below]: Pointer): Json | undefined {
  if (token === undefined) return value;
  const inside = isArray(value) ? (/^(?:0|[1-9]\d{0,6})$/u.test(token) ? value[Number(token)] : undefined) : undefined;
  const member = isObject(value) ? property(value, token) : inside;
  return member === undefined ? undefined : at(member, below);
}
