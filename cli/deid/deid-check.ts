import { findIdentifiers, type LeftIdentifier } from "#deid-check/check";
import { likenessOf } from "#deid-check/quasi-identifiers";
import { insideOf, readLeftJson, type ReadValue } from "#deid-check/read-json";
import { UnusableFile } from "../misuse.ts";
import { complain, giveResult, say } from "../output.ts";
import { deidFormNamed } from "./form-option.ts";
import { resourceTexts } from "./resource-lines.ts";
import { readNamedCall } from "../read-call.ts";

/** Groups that the text shows; `--json` has them all. */
const groupsShown = 5;

/**
 * Names each identifier that a de-identified file still has, by its place, and the groups of patients that the
 * file shows alike. Returns 0 if the file has no identifier, else 1.
 */
export async function deidCheck(args: readonly string[]): Promise<number> {
  const { values, name: file } = readNamedCall(args, {
    form: { type: "string", default: "safe-harbor" },
  });
  const form = deidFormNamed(values.form);
  const year = new Date().getUTCFullYear();
  const read = resourceTexts(file).map((text, at) => parsed(file, text, at + 1));
  const found = read.flatMap((resource, at) =>
    findIdentifiers(resource, form, year).map(({ path, identifier, paragraph }) => ({
      resource: at + 1,
      path,
      identifier,
      paragraph,
    })),
  );
  const groups = likenessOf(read.flatMap(insideOf));
  giveResult({ file, form, resources: read.length, found, groups });
  print(found, groups);
  if (found.length === 0) say(`${file}: no identifier found in ${read.length} resources (${form})`);
  return found.length === 0 ? 0 : 1;
}

function parsed(file: string, text: string, number: number): ReadValue {
  const value = readLeftJson(text);
  if (value === undefined) throw new UnusableFile(`${file}: resource ${number} is not JSON`);
  return value;
}

function print(
  found: readonly (LeftIdentifier & { readonly resource: number })[],
  groups: ReturnType<typeof likenessOf>,
): void {
  for (const { resource, path, identifier, paragraph } of found)
    complain(`resource ${resource}: ${path}: ${identifier} ${paragraph}`);
  for (const { shown, patients } of groups.slice(0, groupsShown)) say(`k=${patients}: ${shown}`);
}
