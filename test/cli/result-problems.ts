import type { ResultForm } from "../../cli/output.ts";

/** How a printed document differs from the documented form of its verb's result. */
export function problemsOfResult({ form, members }: ResultForm, out: string): readonly string[] {
  const texts = form === "lines" ? out.split("\n").filter((line) => line !== "") : [out];
  const documents: readonly unknown[] = texts.map((text) => JSON.parse(text));
  return documents.flatMap((document) => {
    if (form === "list" && Array.isArray(document))
      return document.flatMap((row) => problemsOf(members, row));
    return isError(document) ? [] : form === "list" ? ["is no array"] : problemsOf(members, document);
  });
}

function isError(document: unknown): boolean {
  const names = isObject(document) ? Object.keys(document).filter((name) => name !== "reason") : [];
  return names.join() === "error,exitCode";
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function problemsOf(members: ResultForm["members"], row: unknown): readonly string[] {
  if (!isObject(row)) return ["is no object"];
  const unknown = Object.keys(row).filter((name) => !(name in members) && !(`${name}?` in members));
  const absent = Object.keys(members).filter((name) => !name.endsWith("?") && !(name in row));
  return [
    ...unknown.map((name) => `${name} is not documented`),
    ...absent.map((name) => `${name} is absent`),
  ];
}
