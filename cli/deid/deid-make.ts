import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { deidentify } from "#deid/deidentify";
import { isArray, isObject, objectAt, property, readJson, textAt, type JsonObject } from "#fhir/json/json";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { Misuse, UnusableFile } from "../misuse.ts";
import { complain, giveResult, say } from "../output.ts";
import { deidFormNamed } from "./form-option.ts";
import { resourceTexts } from "./resource-lines.ts";
import { readCall } from "../read-call.ts";

/**
 * Writes a file's resources in a de-identified form, with random codes in the place of ids. No code can be made
 * twice: the codes of a run are in memory alone, and end with the run.
 */
export async function deidMake(args: readonly string[]): Promise<number> {
  const { positionals, values } = readCall(args, {
    form: { type: "string", default: "safe-harbor" },
    base: { type: "string", default: "urn:none" },
  });
  const [file, out, ...others] = positionals;
  if (file === undefined || out === undefined || others.length > 0) throw new Misuse();
  const codes = new Map<string, string>();
  const read = resourceTexts(file).map((text, at) => parsed(file, text, at + 1));
  const rows = new Map(read.flatMap(rowsByUrl));
  const context = {
    rowAt: (url: string) => rows.get(url),
    form: deidFormNamed(values.form),
    year: new Date().getUTCFullYear(),
    base: values.base,
    codeOf: (type: string, id: string) => {
      const code = codes.get(`${type}/${id}`) ?? randomCode();
      codes.set(`${type}/${id}`, code);
      return code;
    },
  };
  const left = read.flatMap((resource) => deidentify(resource, context) ?? []);
  writeFileSync(out, left.map((resource) => `${JSON.stringify(resource)}\n`).join(""), {
    flag: "wx",
    mode: 0o600,
  });
  const withheld = read.length - left.length;
  giveResult({ file: out, form: context.form, resources: left.length, withheld });
  say(`${out}: ${left.length} resources (${context.form})`);
  if (withheld > 0)
    complain(`${withheld} resources are withheld whole: docs/deid-elements.txt says which types`);
  return 0;
}

function parsed(file: string, text: string, number: number): JsonObject {
  const read = readJson(new TextEncoder().encode(text));
  if (read.ok && isObject(read.value)) return read.value;
  throw new UnusableFile(`${file}: resource ${number} is not FHIR JSON, or is too large`);
}

/** The rows of a Bundle's entries by their `fullUrl`, to which references may refer. */
function rowsByUrl(bundle: JsonObject): (readonly [url: string, row: Row])[] {
  const entries = property(bundle, "entry");
  return (isArray(entries) ? entries : []).flatMap((entry) => {
    const resource = isObject(entry) ? objectAt(entry, "resource") : undefined;
    if (!isObject(entry) || resource === undefined) return [];
    const [url, type = "", id] = [
      textAt(entry, "fullUrl"),
      textAt(resource, "resourceType"),
      textAt(resource, "id"),
    ];
    return url !== undefined && id !== undefined && isResourceType(type)
      ? [[url, { type, id }] as const]
      : [];
  });
}

interface Row {
  readonly type: ResourceType;
  readonly id: string;
}

const letters = "abcdefghijklmnopqrstuvwxyz234567";

/** 130 random bits in base 32. */
const randomCode = (): string =>
  Array.from(randomBytes(26), (byte) => letters.charAt(byte % letters.length)).join("");
