import { parseFhirPath } from "@medplum/core";
import * as z from "zod";
import { err, ok, type Result } from "#kernel/result";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { cellFormOf } from "./column-types.ts";

const name = z.string().regex(/^[A-Za-z]\w*$/u);
const path = z.string().min(1);
const column = z.strictObject({
  name,
  path,
  type: z.string().optional(),
  collection: z.boolean().optional(),
  description: z.string().optional(),
  tag: z.unknown().optional(),
});

interface Select {
  readonly column?: readonly z.infer<typeof column>[] | undefined;
  readonly forEach?: string | undefined;
  readonly forEachOrNull?: string | undefined;
  readonly select?: readonly Select[] | undefined;
  readonly unionAll?: readonly Select[] | undefined;
}
const select: z.ZodType<Select> = z.lazy(() =>
  z.strictObject({
    column: z.array(column).optional(),
    forEach: path.optional(),
    forEachOrNull: path.optional(),
    select: z.array(select).optional(),
    unionAll: z.array(select).min(1).optional(),
  }),
);

const constantTypes =
  "Base64Binary Boolean Canonical Code Date DateTime Decimal Id Instant Integer Oid PositiveInt String Time UnsignedInt Uri Url Uuid";
const values = constantTypes.split(" ").map((type) => [`value${type}`, z.unknown().optional()] as const);
const constant = z
  .strictObject({ name, ...Object.fromEntries(values) })
  .refine((each) => Object.keys(each).length === 2, { error: "has one name and one value" });

/** Members that describe a view and change no row. */
const described =
  "id meta text url identifier version title experimental date publisher contact useContext copyright description purpose jurisdiction";
const view = z.strictObject({
  resourceType: z.literal("ViewDefinition").optional(),
  name,
  status: z.string(),
  resource: z.string().refine((type) => isResourceType(type), { error: "is not a resource type of R4" }),
  fhirVersion: z
    .array(z.string())
    .refine((each) => each.some((version) => version.startsWith("4.0")), { error: "is not R4" })
    .optional(),
  constant: z.array(constant).optional(),
  where: z.array(z.strictObject({ path, description: z.string().optional() })).optional(),
  select: z.array(select).min(1),
  ...Object.fromEntries(described.split(" ").map((member) => [member, z.unknown().optional()])),
});

/** A column of a view, with the paths of the elements that its own path begins at, the outermost first. */
export interface Column extends z.infer<typeof column> {
  readonly within: readonly string[];
}

/** A ViewDefinition of SQL on FHIR 2.0 that was checked. */
export interface View {
  readonly name: string;
  readonly resource: ResourceType;
  readonly columns: readonly Column[];
  /** The document as it was read. */
  readonly document: z.infer<typeof view>;
}

/** Reads a ViewDefinition. The error names the member that is wrong or not supported. */
export function readView(document: unknown): Result<View, string> {
  const read = view.safeParse(document);
  if (!read.success) return err(read.error.issues.flatMap(wordsOf).join("; "));
  const { data } = read;
  const { resource } = data;
  if (!isResourceType(resource)) return err("resource: is not a resource type of R4");
  const columns = columnsOf({ select: data.select }, []);
  if (!columns.ok) return columns;
  const names = columns.value.map((each) => each.name);
  const twice = names.find((each, at) => names.indexOf(each) !== at);
  if (twice !== undefined) return err(`column ${twice}: stands twice`);
  const untyped = columns.value.find((each) => cellFormOf(each) === undefined);
  if (untyped !== undefined) return err(`column ${untyped.name}: type ${untyped.type} is not supported`);
  const known = new Set((data.constant ?? []).map((each) => `%${each.name}`));
  const wrong = pathsOf(data).flatMap((each) => faultOf(each, known) ?? []);
  if (wrong[0] !== undefined) return err(wrong[0]);
  return ok({ name: data.name, resource, columns: columns.value, document: data });
}

function wordsOf(issue: z.core.$ZodIssue): readonly string[] {
  const at = (more: readonly PropertyKey[]) => [...issue.path, ...more].join(".") || "the document";
  return issue.code === "unrecognized_keys"
    ? issue.keys.map((key) => `${at([key])}: not supported`)
    : [`${at([])}: ${issue.message}`];
}

/** The columns in the standard's order: of the selection, of its selections, of its union. */
function columnsOf(structure: Select, within: readonly string[]): Result<readonly Column[], string> {
  const { forEach, forEachOrNull } = structure;
  if (forEach !== undefined && forEachOrNull !== undefined)
    return err("a selection has forEach or forEachOrNull, not both");
  const foci = [...within, ...[forEach ?? forEachOrNull ?? []].flat()];
  const found: Column[] = [];
  for (const each of structure.column ?? []) found.push({ ...each, within: foci });
  for (const inner of structure.select ?? []) {
    const columns = columnsOf(inner, foci);
    if (!columns.ok) return columns;
    found.push(...columns.value);
  }
  const branches: (readonly Column[])[] = [];
  for (const branch of structure.unionAll ?? []) {
    const columns = columnsOf(branch, foci);
    if (!columns.ok) return columns;
    branches.push(columns.value);
  }
  const shapeOf = (columns: readonly Column[] = []) =>
    JSON.stringify(columns.map(({ name: each, type, collection }) => [each, type, collection === true]));
  if (branches.some((branch) => shapeOf(branch) !== shapeOf(branches[0])))
    return err("unionAll: each branch has the same columns, in one order");
  return ok([...found, ...(branches[0] ?? [])]);
}

function pathsOf(data: z.infer<typeof view>): readonly string[] {
  const ofSelect = (each: Select): readonly string[] => [
    ...(each.column ?? []).map((one) => one.path),
    ...[each.forEach ?? [], each.forEachOrNull ?? []].flat(),
    ...[...(each.select ?? []), ...(each.unionAll ?? [])].flatMap(ofSelect),
  ];
  return [...(data.where ?? []).map((each) => each.path), ...data.select.flatMap(ofSelect)];
}

/** The functions that the standard asks of each implementation, and `not`. */
const functions = new Set(
  "where exists empty extension join ofType first not getResourceKey getReferenceKey".split(" "),
);

/** What a path has that is not supported. The engine would find it only at a row that has the element. */
function faultOf(text: string, constants: ReadonlySet<string>): string | undefined {
  let parsed: unknown;
  try {
    parsed = parseFhirPath(text);
  } catch {
    return `${text}: is not FHIRPath`;
  }
  for (const node of nodesOf(parsed)) {
    const called: unknown = Reflect.get(node, "name");
    if (typeof called !== "string") continue;
    if ("args" in node && !functions.has(called)) return `${text}: the function ${called} is not supported`;
    if (called.startsWith("%") && !constants.has(called)) return `${text}: ${called} is not a constant`;
  }
  return undefined;
}

function* nodesOf(value: unknown): Generator<object> {
  if (typeof value !== "object" || value === null) return;
  yield value;
  for (const inner of Object.values(value)) yield* nodesOf(inner);
}
