import { styleText } from "node:util";
import { printable } from "./printable.ts";

/** The documented form of a command's result with `--json`. */
export interface ResultForm {
  /** One object, one array of objects, or (`lines`) one object on each line, as soon as it is known. */
  readonly form: "object" | "list" | "lines";
  /** Each member with its meaning. A name with `?` at its end may be absent. */
  readonly members: Readonly<Record<string, string>>;
}

/** The output of the present run of a command. */
interface Output {
  /** Undefined: the result is printed as text. */
  readonly form: ResultForm["form"] | undefined;
  readonly hasColours: boolean;
  readonly complaints: string[];
  reason: string | undefined;
  hasResult: boolean;
}

const outputOf = (form: ResultForm["form"] | undefined, hasColours = true): Output => ({
  form,
  hasColours,
  complaints: [],
  reason: undefined,
  hasResult: false,
});

let output = outputOf(undefined);

/** Begins the output of a command. A form makes standard output the JSON result alone. */
export function beginOutput(form: ResultForm["form"] | undefined, hasColours = true): void {
  output = outputOf(form, hasColours);
}

/** Answers whether the result is printed as JSON. */
export const printsJson = (): boolean => output.form !== undefined;

/** Prints a line for people; `--json` leaves the line out, because standard output is the document's alone. */
export function say(line: string): void {
  if (!printsJson()) console.log(line);
}

/** Prints a line for people that must be seen with `--json` too: a question, or an address to open. */
export function ask(line: string): void {
  if (printsJson()) console.error(line);
  else console.log(line);
}

/** Prints an error or a warning on standard error. */
export function complain(line: string): void {
  output.complaints.push(line);
  console.error(line);
}

/** Notes the reason code of a refusal, which the error document of `--json` has. */
export function noteReason(reason: unknown): void {
  output.reason = typeof reason === "string" ? reason : undefined;
}

/** Gives the result of the command, which only `--json` prints. */
export function giveResult(result: object): void {
  if (!printsJson()) return;
  if (output.hasResult) throw new Error("a command has one result");
  printJson(result, 2);
}

/** Gives one object of a result that has a line for each. */
export function giveLine(result: object): void {
  printJson(result, 0);
}

function printJson(value: unknown, indent: number): void {
  output.hasResult = true;
  console.log(JSON.stringify(value, undefined, indent).split("\n").map(printable).join("\n"));
}

/**
 * Ends the output: with `--json` a command without a result prints its error as a document. `lines` prints no error
 * document: each line is a record. Afterwards the process prints text, as before its first command.
 */
export function endOutput(exitCode: number): void {
  const { form, hasResult, complaints, reason } = output;
  if (form === "object" || form === "list")
    if (!hasResult)
      printJson({ error: complaints.join("\n"), ...(reason !== undefined && { reason }), exitCode }, 2);
  output = outputOf(undefined);
}

/** Colours a text on a terminal only. `NO_COLOR` switches colours off, too (no-color.org). */
export const inColour = (colour: "green" | "red" | "yellow" | "bold", text: string): string =>
  output.hasColours && process.stdout.isTTY && !printsJson() && !process.env["NO_COLOR"]
    ? styleText(colour, text, { validateStream: false })
    : text;

/**
 * Prints rows: on a terminal a table with a head, elsewhere a line for each, so that a program that reads lines
 * gets lines whose form does not change.
 */
export function sayRows(
  columns: readonly string[],
  rows: readonly { readonly cells: readonly string[]; readonly line: string }[],
): void {
  if (!process.stdout.isTTY || rows.length === 0) {
    for (const { line } of rows) say(printable(line));
    return;
  }
  for (const line of tableOf([columns, ...rows.map(({ cells }) => cells)])) say(line);
}

/** The lines of a table: columns of equal width, two blanks apart, the first row in bold. */
export function tableOf(rows: readonly (readonly string[])[]): readonly string[] {
  const safe = rows.map((row) => row.map(printable));
  const widths = (safe[0] ?? []).map((_, at) => Math.max(...safe.map((row) => row[at]?.length ?? 0)));
  return safe.map((row, index) => {
    const line = row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
    return index === 0 ? inColour("bold", line) : line;
  });
}
