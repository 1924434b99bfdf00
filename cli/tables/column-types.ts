import type { SchemaElement } from "hyparquet";

/** A cell of a table. A list or an object stands as JSON. */
export type Cell = string | number | bigint | boolean | object | null;

/** How the values of a column stand in the files. */
interface CellForm {
  /** The word of the data dictionary. */
  readonly word: string;
  readonly parquet: Omit<SchemaElement, "name" | "repetition_type">;
  /** Returns the cell of a FHIR value; undefined if the value does not fit. */
  readonly cell: (value: unknown) => Cell | undefined;
}

const integerMax = 2 ** 31;
const bytes = { type: "BYTE_ARRAY" } as const;

const text: CellForm = {
  word: "text",
  parquet: { ...bytes, converted_type: "UTF8" },
  cell: (value) => (typeof value === "string" ? value : undefined),
};
/** The form of a column that states no type. */
const anyPrimitive: CellForm = {
  ...text,
  cell: (value) =>
    typeof value === "string" || typeof value === "number" || typeof value === "boolean"
      ? String(value)
      : undefined,
};
const truth: CellForm = {
  word: "boolean",
  parquet: { type: "BOOLEAN" },
  cell: (value) => (typeof value === "boolean" ? value : undefined),
};
const integer: CellForm = {
  word: "integer",
  parquet: { type: "INT32" },
  cell: (value) =>
    Number.isInteger(value) && Math.abs(Number(value)) < integerMax ? Number(value) : undefined,
};
const decimal: CellForm = {
  word: "decimal",
  parquet: { type: "DOUBLE" },
  cell: (value) => (typeof value === "number" ? value : undefined),
};
const json: CellForm = {
  word: "JSON",
  parquet: { ...bytes, converted_type: "JSON" },
  cell: (value) => (typeof value === "object" && value !== null ? value : undefined),
};

const textTypes =
  "string markdown code id uri url canonical oid uuid base64Binary date dateTime instant time xhtml";
const byType = new Map<string, CellForm>([
  ...textTypes.split(" ").map((type) => [type, text] as const),
  ["boolean", truth],
  ...["integer", "positiveInt", "unsignedInt"].map((type) => [type, integer] as const),
  ["decimal", decimal],
]);

/** The form of a column's cells; undefined for a type that is not supported. */
export function cellFormOf(column: {
  readonly type?: string | undefined;
  readonly collection?: boolean | undefined;
}): CellForm | undefined {
  const { type } = column;
  const single = type === undefined ? anyPrimitive : (byType.get(type) ?? complexForm(type));
  return column.collection === true && single !== undefined ? json : single;
}

/** A complex datatype has a capital letter. */
const complexForm = (type: string): CellForm | undefined => (/^[A-Z]\w*$/u.test(type) ? json : undefined);
