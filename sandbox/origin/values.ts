import type { ServedParameter } from "./search-parameters.ts";

/** A value that a search parameter finds in a resource. */
export interface Value {
  /** FHIR type: `CodeableConcept`, `dateTime` … */
  readonly type: string;
  readonly value: unknown;
}

/** Every value that a search parameter finds in a resource, in document order of each place. */
export function valuesOf(resource: object, { at }: ServedParameter): Value[] {
  return at.flatMap(({ path, type, only }) => {
    if (type === "present")
      return [{ type: "boolean", value: path.split(",").some((key) => truthy(field(resource, key))) }];
    const found = path.split(".").reduce<unknown[]>(step, [resource]);
    return found
      .filter((value) => only === undefined || refersTo(value, only))
      .map((value) => ({ type, value }));
  });
}

/** The value of a key; undefined also when `from` is not an object. */
export function field(from: unknown, key: string): unknown {
  return typeof from === "object" && from !== null && Object.hasOwn(from, key)
    ? (from as Record<string, unknown>)[key]
    : undefined; // an object, by the check before
}

/** A value's text, if it is a string. */
export function text(from: unknown, key: string): string | undefined {
  const value = field(from, key);
  return typeof value === "string" ? value : undefined;
}

export function items(value: unknown): unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

const truthy = (value: unknown) => value !== undefined && value !== false;

function step(nodes: unknown[], part: string): unknown[] {
  const {
    key = part,
    name,
    wanted,
  } = /^(?<key>\w+)\[(?<name>\w+)=(?<wanted>[^\]]+)\]$/u.exec(part)?.groups ?? {};
  const found = nodes.flatMap((node) => items(field(node, key)));
  return name === undefined ? found : found.filter((item) => field(item, name) === wanted);
}

function refersTo(value: unknown, type: string): boolean {
  const reference = text(value, "reference");
  return reference === undefined
    ? text(value, "type") === type
    : new RegExp(`(?:^|/)${type}/[A-Za-z0-9.-]+(?:/_history/|$)`, "u").test(reference);
}
