import { evalSqlOnFhir } from "@medplum/core";
import { cellFormOf, type Cell } from "./column-types.ts";
import type { View } from "./view-definition.ts";

/** A resource does not fit a view. The message names the view and the column or path, and never a value. */
export class RowFault extends Error {}

/**
 * The rows of a resource in a view, cells in the order of the columns. @medplum/core evaluates the view; nothing of
 * another resource takes part.
 */
export function rowsOf(view: View, resource: object): readonly (readonly Cell[])[] {
  const rows = evaluated(view, resource);
  return rows.map((row) =>
    view.columns.map((column) => {
      const value: unknown = row[column.name] ?? (column.collection === true ? [] : null);
      if (value === null) return null;
      const cell = cellFormOf(column)?.cell(value);
      if (cell !== undefined) return cell;
      const what = column.type === undefined ? "a primitive value" : `of type ${column.type}`;
      throw new RowFault(`view ${view.name}: column ${column.name}: the value is not ${what}`);
    }),
  );
}

function evaluated({ name, document }: View, resource: object): readonly Record<string, unknown>[] {
  try {
    // The document was checked against the standard's form. Its types are Medplum's, with other optional members.
    return evalSqlOnFhir(document as never, [resource as never]);
  } catch (fault) {
    throw new RowFault(`view ${name}: ${reasonOf(fault)}`);
  }
}

/** The engine's messages may quote a value, so only what the view itself says is taken from them. */
function reasonOf(fault: unknown): string {
  const message = fault instanceof Error ? fault.message : "";
  if (message.startsWith("Multiple values"))
    return "a column has several values: mark it as a collection, or choose with first()";
  if (message.startsWith("WHERE")) return "where: the result is not a boolean";
  return `a path cannot be evaluated: ${/^FhirPathError on "(?<path>.*?)": /u.exec(message)?.groups?.["path"] ?? ""}`;
}
