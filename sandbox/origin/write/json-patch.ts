import { copied, isExactObject, numberOf } from "../exact-json.ts";
import { badRequest, ServerRefusal } from "../refusal.ts";
import { field, text } from "../values.ts";

/**
 * A document after a JSON Patch (RFC 6902), applied whole or not at all. Throws 400 for an invalid patch, 422
 * for a patch that cannot be applied.
 */
export function jsonPatched(document: object, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest("A JSON Patch is an array.");
  return patch.reduce<unknown>(apply, copied(document));
}

function apply(document: unknown, operation: unknown): unknown {
  const path = pointer(text(operation, "path"));
  const value = () => {
    if (!isExactObject(operation) || !Object.hasOwn(operation, "value"))
      throw badRequest("An operation of the patch has no value.");
    return copied(operation["value"]); // a copy, so that two places of the document never share an object
  };
  switch (field(operation, "op")) {
    case "add":
      return added(document, path, value());
    case "remove":
      return removed(document, path);
    case "replace":
      at(document, path);
      return path.length === 0 ? value() : added(removed(document, path), path, value());
    case "move": {
      const from = pointer(text(operation, "from"));
      const moved = at(document, from);
      // RFC 6902 §4.4: a value cannot be moved into itself.
      if (path.length > from.length && from.every((token, i) => token === path[i]))
        throw unfit("A move would be into itself.");
      return added(removed(document, from), path, moved);
    }
    case "copy":
      return added(document, path, copied(at(document, pointer(text(operation, "from")))));
    case "test":
      if (!equal(at(document, path), value())) throw unfit("A test of the patch failed.");
      return document;
    default:
      throw badRequest("An operation of the patch is not known.");
  }
}

const unfit = (why: string): ServerRefusal => new ServerRefusal(422, "processing", why);

/** RFC 6901. */
function pointer(written: string | undefined): string[] {
  if (written === undefined || !/^(?:\/(?:[^~]|~[01])*)?$/u.test(written))
    throw badRequest("A path of the patch is no JSON pointer.");
  const tokens = written.split("/").slice(1);
  return tokens.map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** The value at a path. */
const at = (document: unknown, path: readonly string[]): unknown => path.reduce(child, document);

function child(node: unknown, token: string): unknown {
  const found = Array.isArray(node)
    ? (node as unknown[])[index(token, node.length - 1)]
    : isExactObject(node)
      ? field(node, token)
      : undefined;
  if (found === undefined) throw unfit("A path of the patch leads nowhere.");
  return found;
}

function index(token: string, last: number): number {
  const place = /^(?:0|[1-9]\d{0,8})$/u.test(token) ? Number(token) : Number.NaN;
  if (!(place <= last)) throw unfit("A path of the patch is beyond its array.");
  return place;
}

function added(document: unknown, path: readonly string[], value: unknown): unknown {
  const last = path.at(-1);
  if (last === undefined) return value;
  const parent = at(document, path.slice(0, -1));
  if (Array.isArray(parent))
    parent.splice(last === "-" ? parent.length : index(last, parent.length), 0, value);
  // to JavaScript that name is not a member
  else if (isExactObject(parent) && last !== "__proto__") parent[last] = value;
  else throw unfit("A path of the patch leads where nothing can be added.");
  return document;
}

function removed(document: unknown, path: readonly string[]): unknown {
  at(document, path);
  const last = path.at(-1);
  if (last === undefined) throw unfit("The patch would leave nothing.");
  const parent = at(document, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else Reflect.deleteProperty(parent as object, last); // it has that child
  return document;
}

/** RFC 6902 §4.6: compares numbers by value, and objects in any order of their members. */
function equal(a: unknown, b: unknown): boolean {
  if (Array.isArray(a))
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  if (isExactObject(a)) {
    const keys = Object.keys(a);
    return (
      isExactObject(b) &&
      keys.length === Object.keys(b).length &&
      keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]))
    );
  }
  const number = numberOf(a);
  return number === undefined ? a === b : number === numberOf(b);
}
