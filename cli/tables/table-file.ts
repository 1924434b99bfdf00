import { closeSync, openSync, writeSync } from "node:fs";
import { fileWriter, ParquetWriter } from "hyparquet-writer";
import { cellFormOf, type Cell } from "./column-types.ts";
import type { Column } from "./view-definition.ts";

/** A row group is written when it has so many rows, or texts of so many characters: both are held in memory. */
const groupMax = { rows: 10_000, characters: 8 * 2 ** 20 };

/** Writes a table as Parquet and as CSV (RFC 4180), a row group at a time. */
export class TableFile {
  readonly #columns: readonly Column[];
  readonly #parquet: ParquetWriter;
  readonly #csv: number;
  #group: (readonly Cell[])[] = [];
  #characters = 0;
  rows = 0;

  /** @param stem path of both files, without `.parquet` and `.csv`; neither may exist */
  constructor(stem: string, columns: readonly Column[]) {
    this.#columns = columns;
    closeSync(openSync(`${stem}.parquet`, "wx", 0o600)); // the writer opens the file again and keeps its mode
    this.#parquet = new ParquetWriter({
      writer: fileWriter(`${stem}.parquet`),
      schema: [
        { name: "root", num_children: columns.length },
        ...columns.map((column) => ({
          ...cellFormOf(column)?.parquet,
          name: column.name,
          repetition_type: "OPTIONAL" as const,
        })),
      ],
      createdBy: "phylax",
    });
    this.#csv = openSync(`${stem}.csv`, "wx", 0o600);
    writeSync(this.#csv, csvLine(columns.map(({ name }) => name)));
  }

  add(row: readonly Cell[]): void {
    this.#group.push(row);
    this.rows += 1;
    for (const cell of row) this.#characters += typeof cell === "string" ? cell.length : 16;
    if (this.#group.length >= groupMax.rows || this.#characters >= groupMax.characters) this.#write();
  }

  end(): void {
    this.#write();
    void this.#parquet.finish(); // a file's writer returns no promise
    closeSync(this.#csv);
  }

  #write(): void {
    const group = this.#group;
    if (group.length === 0) return;
    void this.#parquet.write({
      columnData: this.#columns.map(({ name }, at) => ({ name, data: group.map((row) => row[at] ?? null) })),
      rowGroupSize: group.length,
    });
    writeSync(this.#csv, group.map(csvLine).join(""));
    this.#group = [];
    this.#characters = 0;
  }
}

/** A line of CSV: an absent value is empty, an empty text is `""`. */
export const csvLine = (cells: readonly Cell[]): string => `${cells.map(csvCell).join(",")}\r\n`;

function csvCell(cell: Cell): string {
  if (cell === null) return "";
  const text = typeof cell === "object" ? JSON.stringify(cell) : String(cell);
  return text === "" || /[",\r\n]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
