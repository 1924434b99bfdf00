import { isResourceType, type ResourceType } from "./elements.ts";
import { isId } from "./reference.ts";
import type { SearchParameterDefinition, SearchParameterType } from "./search-parameters.ts";

/** One value of a search parameter. `text` is as FHIR writes it, its escapes (`\,` `\|` `\$` `\\`) kept. */
export type SearchValue =
  /** `system` is `undefined` without a bar (any system) and empty for `|code` (no system). */
  | { readonly kind: "token"; readonly text: string; readonly system: string | undefined; readonly code: string }
  /** `type` is `undefined` for a bare id. */
  | { readonly kind: "reference"; readonly text: string; readonly type: ResourceType | undefined; readonly id: string }
  | { readonly kind: "other"; readonly text: string };

/** The values between the commas; a value is one of them, so a comma list is OR (FHIR R4 §3.1.1.4.3). */
export const splitValues = (text: string): readonly string[] => text.split(comma);

// A sign that an odd number of backslashes precedes is escaped; a pair of backslashes is a backslash.
const comma = /(?<=(?:^|[^\\])(?:\\\\)*),/u;
const bar = /(?<=(?:^|[^\\])(?:\\\\)*)\|/u;

const date =
  /^(?:eq|ne|gt|lt|ge|le|sa|eb|ap)?(?<year>(?!0000)\d{4})(?:-(?<month>0[1-9]|1[0-2])(?:-(?<day>0[1-9]|[12]\d|3[01])(?:T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))?)?)?)?$/u;
const number = /^(?:eq|ne|gt|lt|ge|le|sa|eb|ap)?-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?$/u;

/** Reads one value by its parameter's type (FHIR R4 §3.1.1.4), or gives nothing when it has not the form of that type. */
export function readValue(text: string, definition: SearchParameterDefinition): SearchValue | undefined {
  const brokenEscape = /\\(?![,|$])/u.test(text.replaceAll("\\\\", ""));
  return text === "" || brokenEscape ? undefined : readers[definition.type](text, definition);
}

type Reader = (text: string, definition: SearchParameterDefinition) => SearchValue | undefined;

const readers: Readonly<Record<SearchParameterType, Reader>> = {
  token: (text, { code }) => (code === "_id" && !isId(text) ? undefined : readToken(text)),
  reference: (text, { targets }) => readReference(text, targets),
  date: (text) => (isDate(text) ? { kind: "other", text } : undefined),
  number: (text) => (number.test(text) ? { kind: "other", text } : undefined),
  quantity: (text) => {
    const parts = text.split(bar);
    return number.test(parts[0] ?? "") && (parts.length === 1 || parts.length === 3) ? { kind: "other", text } : undefined;
  },
  string: (text) => ({ kind: "other", text }),
  uri: (text) => ({ kind: "other", text }),
  composite: () => undefined,
  special: () => undefined,
};

/** A date of the calendar (FHIR R4 §2.24.0.1, §3.1.1.4.6): origins differ in what they take 30 February for. */
function isDate(text: string): boolean {
  const { year, month, day } = date.exec(text)?.groups ?? {};
  if (year === undefined) return false;
  if (month === undefined || day === undefined) return true;
  return Number(day) <= new Date(Date.UTC(2000 + (Number(year) % 400), Number(month), 0)).getUTCDate(); // the calendar repeats every 400 years
}

function readToken(text: string): SearchValue | undefined {
  const parts = text.split(bar);
  const [first = "", second] = parts.map((part) => part.replaceAll(/\\(?<sign>.)/gu, "$<sign>"));
  if (parts.length > 2 || text === "|") return undefined;
  return second === undefined
    ? { kind: "token", text, system: undefined, code: first }
    : { kind: "token", text, system: first, code: second };
}

/** `id` or `Type/id` of this origin. An absolute URL is none: it would be compared by the origin's rules, not ours. */
function readReference(text: string, targets: ReadonlySet<string> | undefined): SearchValue | undefined {
  const [type, id, ...more] = text.includes("/") ? text.split("/") : [undefined, text];
  if (id === undefined || more.length > 0 || !isId(id)) return undefined;
  if (type === undefined) return { kind: "reference", text, type, id };
  return isResourceType(type) && (targets?.has(type) ?? true) ? { kind: "reference", text, type, id } : undefined;
}
