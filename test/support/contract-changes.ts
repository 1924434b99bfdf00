import { isDeepStrictEqual } from "node:util";

type Schema = Readonly<Record<string, unknown>>;

/** The side of a schema: `input` is what users send, `output` is what they get. */
type Side = "input" | "output";

/** The contracts of a release, as its folder below `contracts/` has them. */
export interface Contracts {
  readonly openApi: Schema;
  /** JSON Schemas of files that users write, by name. */
  readonly files: Readonly<Record<string, Schema>>;
  readonly devFile: readonly string[];
  /** Each reason code with the status and the code that its callers see. */
  readonly reasons: Readonly<Record<string, unknown>>;
  /** Each verb of the command with its options, and the form of its result. */
  readonly verbs: Readonly<Record<string, VerbContract>>;
}

interface VerbContract {
  readonly options: readonly string[];
  readonly form: string;
  /** A name with `?` at its end may be absent. */
  readonly members: readonly string[];
}

/**
 * The differences by which users of the first contracts break under the second: a removed or narrowed part. An
 * addition is no difference: a user ignores members, codes and operations that it does not know.
 */
export function breakingChanges(before: Contracts, after: Contracts): readonly string[] {
  return [
    ...openApiChanges(before.openApi, after.openApi),
    ...Object.entries(before.files).flatMap(([name, schema]) => {
      const now = after.files[name];
      return now === undefined ? [`${name}: removed`] : schemaChanges(name, schema, now, "input");
    }),
    ...gone("dev.json", before.devFile, after.devFile),
    ...Object.entries(before.reasons).flatMap(([reason, face]) =>
      isDeepStrictEqual(face, after.reasons[reason]) ? [] : [`reason ${reason}: removed or changed`],
    ),
    ...Object.entries(before.verbs).flatMap(([verb, was]) => verbChanges(verb, was, after.verbs[verb])),
  ];
}

function verbChanges(verb: string, was: VerbContract, now: VerbContract | undefined): readonly string[] {
  if (now === undefined) return [`phylax ${verb}: removed`];
  const kept = new Set([...now.members, ...now.members.map((name) => `${name}?`)]);
  const lost = was.members.filter((name) => !kept.has(name)); // a member that may be absent now is lost, too
  return [
    ...(was.form === now.form ? [] : [`phylax ${verb}: form of its result`]),
    ...lost.map((name) => `phylax ${verb}: member ${name}`),
    ...gone(`phylax ${verb}`, was.options, now.options),
  ];
}

const gone = (place: string, before: readonly string[], after: readonly string[]): readonly string[] =>
  before.filter((name) => !after.includes(name)).map((name) => `${place}: ${name} removed`);

// OpenAPI 3.1

function openApiChanges(before: Schema, after: Schema): readonly string[] {
  return entries(before["paths"]).flatMap(([path, methods]) =>
    entries(methods).flatMap(([method, operation]) => {
      const now = member(member(after["paths"], path), method);
      const place = `${method.toUpperCase()} ${path}`;
      if (now === undefined) return [`${place}: removed`];
      return operationChanges(place, object(operation), object(now), { before, after });
    }),
  );
}

function operationChanges(
  place: string,
  was: Schema,
  now: Schema,
  roots: { readonly before: Schema; readonly after: Schema },
): readonly string[] {
  const name = was["operationId"] === now["operationId"] ? [] : [`${place}: operationId`];
  const parameters = list(was["parameters"]).flatMap((parameter) => {
    const found = list(now["parameters"]).find((each) => nameOf(each) === nameOf(parameter));
    if (found === undefined) return [`${place}: parameter ${nameOf(parameter)} removed`];
    return compare(`${place} ${nameOf(parameter)}`, parameter["schema"], found["schema"], "input", roots);
  });
  const demanded = list(now["parameters"])
    .filter((each) => each["required"] === true)
    .filter(
      (each) =>
        !list(was["parameters"]).some((old) => nameOf(old) === nameOf(each) && old["required"] === true),
    )
    .map((each) => `${place}: parameter ${nameOf(each)} is now required`);
  const hadBody = was["requestBody"] !== undefined;
  const body =
    hadBody || now["requestBody"] === undefined
      ? compare(`${place} body`, jsonOf(was["requestBody"]), jsonOf(now["requestBody"]), "input", roots)
      : [`${place}: a body is now required`];
  const responses = entries(was["responses"]).flatMap(([status, response]) => {
    const found = member(now["responses"], status);
    if (found === undefined) return [`${place}: status ${status} removed`];
    return compare(`${place} ${status}`, jsonOf(response), jsonOf(found), "output", roots);
  });
  const roles = gone(`${place}: role`, strings(was["x-roles"]), strings(now["x-roles"]));
  return [...name, ...parameters, ...demanded, ...body, ...responses, ...roles];
}

const nameOf = (parameter: Schema): string => `${String(parameter["in"])} ${String(parameter["name"])}`;

/** The schema of a body's JSON, problem details included. */
function jsonOf(body: unknown): unknown {
  const [media] = entries(member(body, "content"));
  return member(media?.[1], "schema");
}

// JSON Schema 2020-12, the keywords that Zod writes

interface Roots {
  readonly before: Schema;
  readonly after: Schema;
}

const schemaChanges = (name: string, before: Schema, after: Schema, side: Side): readonly string[] =>
  compare(name, before, after, side, { before, after });

const tighterAtMost = ["maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties"];
const tighterAtLeast = ["minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties"];

function compare(
  place: string,
  before: unknown,
  after: unknown,
  side: Side,
  roots: Roots,
  seen: ReadonlySet<string> = new Set(),
): readonly string[] {
  if (before === undefined || before === true || isDeepStrictEqual(before, {}))
    return side === "output" || after === undefined || isOpen(after) ? [] : [`${place}: now restricted`];
  if (after === undefined) return [`${place}: removed`];
  const pair = `${String(member(before, "$ref"))} ${String(member(after, "$ref"))}`;
  if (member(before, "$ref") !== undefined && seen.has(pair)) return [];
  const visited = new Set([...seen, pair]);
  const [was, now] = [resolved(object(before), roots.before), resolved(object(after), roots.after)];
  const deeper = (where: string, left: unknown, right: unknown) =>
    compare(`${place}${where}`, left, right, side, roots, visited);
  const choices = [branchesOf(was), branchesOf(now)] as const;
  if (choices[0] !== undefined || choices[1] !== undefined)
    return choiceChanges(place, choices[0] ?? [was], choices[1] ?? [now], side, (left, right) =>
      deeper("", left, right),
    );
  return [
    ...valueChanges(place, was, now, side),
    ...(side === "input" ? limitChanges(place, was, now) : []),
    ...memberChanges(place, was, now, side, deeper),
    ...(was["items"] === undefined ? [] : deeper("[]", was["items"], now["items"])),
    ...(isSchema(was["additionalProperties"]) && isSchema(now["additionalProperties"])
      ? deeper("{}", was["additionalProperties"], now["additionalProperties"])
      : []),
  ];
}

/** Input: each old form is still accepted. Output: each new form is one of the old forms. */
function choiceChanges(
  place: string,
  was: readonly unknown[],
  now: readonly unknown[],
  side: Side,
  deeper: (left: unknown, right: unknown) => readonly string[],
): readonly string[] {
  const [covered, by] = side === "input" ? [was, now] : [now, was];
  return covered.flatMap((branch, at) => {
    const tried = by.map((other) => (side === "input" ? deeper(branch, other) : deeper(other, branch)));
    if (tried.some((problems) => problems.length === 0)) return [];
    const [nearest = [`${place}: form ${at}`]] = tried.toSorted((a, b) => a.length - b.length);
    return nearest;
  });
}

function valueChanges(place: string, was: Schema, now: Schema, side: Side): readonly string[] {
  const [old, present] = [valuesOf(was), valuesOf(now)];
  // A new value in an answer is an addition; a value that is no longer accepted narrows a question.
  if (side === "input" && present !== undefined)
    return old === undefined ? [`${place}: now a list of values`] : gone(place, old, present);
  if (side === "output" && old !== undefined && present === undefined) return [`${place}: any value`];
  const [types, presentTypes] = [strings(was["type"]), strings(now["type"])];
  if (isDeepStrictEqual(types, presentTypes)) return [];
  const [covered, by] = side === "input" ? [types, presentTypes] : [presentTypes, types];
  const isCovered = by.length === 0 || (covered.length > 0 && covered.every((type) => typeIn(type, by)));
  return isCovered ? [] : [`${place}: type ${types.join("|")} is now ${presentTypes.join("|")}`];
}

const typeIn = (type: string, types: readonly string[]): boolean =>
  types.includes(type) || (type === "integer" && types.includes("number"));

function limitChanges(place: string, was: Schema, now: Schema): readonly string[] {
  const tightened = [
    ...tighterAtMost.filter((key) => number(now[key], Infinity) < number(was[key], Infinity)),
    ...tighterAtLeast.filter((key) => number(now[key], -Infinity) > number(was[key], -Infinity)),
    ...["pattern", "format", "multipleOf"].filter((key) => now[key] !== undefined && now[key] !== was[key]),
    ...(was["additionalProperties"] !== false && now["additionalProperties"] === false
      ? ["additionalProperties"]
      : []),
    ...(was["uniqueItems"] !== true && now["uniqueItems"] === true ? ["uniqueItems"] : []),
  ];
  return tightened.map((key) => `${place}: ${key}`);
}

function memberChanges(
  place: string,
  was: Schema,
  now: Schema,
  side: Side,
  deeper: (where: string, left: unknown, right: unknown) => readonly string[],
): readonly string[] {
  const [required, present] = [strings(was["required"]), strings(now["required"])];
  const changed =
    side === "input"
      ? present.filter((name) => !required.includes(name)).map((name) => `${place}.${name}: now required`)
      : required
          .filter((name) => !present.includes(name))
          .map((name) => `${place}.${name}: may now be absent`);
  const members = entries(was["properties"]).flatMap(([name, schema]) => {
    const found = member(now["properties"], name);
    return found === undefined ? [`${place}.${name}: removed`] : deeper(`.${name}`, schema, found);
  });
  return [...changed, ...members];
}

const branchesOf = (schema: Schema): readonly unknown[] | undefined => {
  const branches = schema["anyOf"] ?? schema["oneOf"];
  return Array.isArray(branches) ? branches : undefined;
};

function valuesOf(schema: Schema): readonly string[] | undefined {
  if ("const" in schema) return [JSON.stringify(schema["const"])];
  return Array.isArray(schema["enum"]) ? schema["enum"].map((value) => JSON.stringify(value)) : undefined;
}

/** A reference of the document itself: `#/$defs/name`. */
function resolved(schema: Schema, root: Schema): Schema {
  const { $ref: reference } = schema as { readonly $ref?: unknown };
  if (typeof reference !== "string") return schema;
  if (reference === "#") return root;
  const found = reference
    .slice(2)
    .split("/")
    .reduce<unknown>((place, name) => member(place, name.replaceAll("~1", "/").replaceAll("~0", "~")), root);
  if (!isSchema(found)) throw new Error(`${reference} is not in its document`);
  return resolved(found, root);
}

const isOpen = (schema: unknown): boolean => schema === true || isDeepStrictEqual(schema, {});
const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const object = (value: unknown): Schema => (isSchema(value) ? value : {});
const entries = (value: unknown): readonly (readonly [string, unknown])[] => Object.entries(object(value));
const member = (value: unknown, name: string): unknown =>
  Object.hasOwn(object(value), name) ? object(value)[name] : undefined;
const list = (value: unknown): readonly Schema[] => (Array.isArray(value) ? value.filter(isSchema) : []);
const strings = (value: unknown): readonly string[] =>
  (Array.isArray(value) ? value : [value]).filter((each): each is string => typeof each === "string");
const number = (value: unknown, absent: number): number => (typeof value === "number" ? value : absent);
