import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { isId } from "#fhir/r4/reference";
import type { SearchParameterDefinition, SearchParameterType } from "./parameters.ts";

/**
 * A value of a search parameter. `text` is as FHIR writes it, including its escapes (`\,` `\|` `\$` `\\`).
 */
export type SearchValue =
  /** `system` is `undefined` without a bar (any system) and empty for `|code` (no system). */
  | {
      readonly kind: "token";
      readonly text: string;
      readonly system: string | undefined;
      readonly code: string;
    }
  /** `type` is `undefined` for a bare id. */
  | {
      readonly kind: "reference";
      readonly text: string;
      readonly type: ResourceType | undefined;
      readonly id: string;
    }
  /** The URL of a resource of another server: it finds the rows that refer by exactly this URL (§3.1.1.4.12). */
  | { readonly kind: "foreign"; readonly text: string; readonly url: string }
  /** The values of a composite parameter's components, in order. */
  | { readonly kind: "composite"; readonly text: string; readonly parts: readonly SearchValue[] }
  | { readonly kind: "other"; readonly text: string };

/** The values between the commas, which mean OR (FHIR R4 §3.1.1.4.3). */
export const splitValues = (text: string): readonly string[] => text.split(comma);

// A character after an odd number of backslashes is escaped; a pair of backslashes is a backslash.
const comma = /(?<=(?:^|[^\\])(?:\\\\)*),/u;
const dollar = /(?<=(?:^|[^\\])(?:\\\\)*)\$/u;
const bar = /(?<=(?:^|[^\\])(?:\\\\)*)\|/u;

const date =
  /^(?:eq|ne|gt|lt|ge|le|sa|eb|ap)?(?<year>(?!0000)\d{4})(?:-(?<month>0[1-9]|1[0-2])(?:-(?<day>0[1-9]|[12]\d|3[01])(?:T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))?)?)?)?$/u;
const number = /^(?:eq|ne|gt|lt|ge|le|sa|eb|ap)?-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?$/u;

/** Facts that the parameter's type leaves open. */
export interface ValueContext {
  /**
   * The FHIR base that the client calls (no trailing slash): a reference below it is a reference of this
   * origin.
   */
  readonly base: string | undefined;
  /** The type that the request states for a reference: `subject:Patient=1`. */
  readonly type: ResourceType | undefined;
  /** A reference may be to another server. */
  readonly isOpen?: boolean;
}

/**
 * Reads a value by its parameter's type (FHIR R4 §3.1.1.4); undefined if it does not have the form of that
 * type.
 */
export function readValue(
  text: string,
  definition: SearchParameterDefinition,
  context: ValueContext,
): SearchValue | undefined {
  return isEmptyOrBroken(text) ? undefined : readers[definition.type](text, definition, context);
}

const isEmptyOrBroken = (text: string): boolean =>
  text === "" || /\\(?![,|$])/u.test(text.replaceAll("\\\\", ""));

/** `system|code|value` of `:of-type`: a type of an Identifier, and its value (FHIR R4 §3.1.1.4.10). */
export function readTyped(text: string): SearchValue | undefined {
  const texts = text.split(bar);
  const [system, code, value = ""] = texts;
  if (texts.length !== 3 || texts.some(isEmptyOrBroken)) return undefined;
  return {
    kind: "composite",
    text,
    parts: [`${system}|${code}`, value].flatMap((one) => readToken(one) ?? []),
  };
}

type Reader = (
  text: string,
  definition: SearchParameterDefinition,
  context: ValueContext,
) => SearchValue | undefined;

const readers: Readonly<Record<SearchParameterType, Reader>> = {
  token: (text, { code }) => (code === "_id" && !isId(text) ? undefined : readToken(text)),
  reference: readReference,
  date: readDate,
  number: (text) => (number.test(text) ? { kind: "other", text } : undefined),
  quantity: (text) => {
    const parts = text.split(bar);
    return number.test(parts[0] ?? "") && (parts.length === 1 || parts.length === 3)
      ? { kind: "other", text }
      : undefined;
  },
  string: (text) => ({ kind: "other", text }),
  uri: (text) => ({ kind: "other", text }),
  composite: readComposite,
  special: () => undefined,
};

/** A date of the calendar (FHIR R4 §2.24.0.1, §3.1.1.4.6): origins interpret 30 February differently. */
function readDate(raw: string): SearchValue | undefined {
  // A raw `+` in a time zone arrives as a space, and no date has a space.
  const text = raw.replace(/ (?=\d\d:\d\d$)/u, "+");
  const { year, month, day } = date.exec(text)?.groups ?? {};
  if (year === undefined) return undefined;
  // the calendar repeats every 400 years
  const days = new Date(Date.UTC(2000 + (Number(year) % 400), Number(month ?? 1), 0)).getUTCDate();
  return Number(day ?? 1) <= days ? { kind: "other", text } : undefined;
}

/** `part$part`, each by the type of its component (FHIR R4 §3.1.1.4.13). */
function readComposite(
  text: string,
  { components = [] }: SearchParameterDefinition,
  context: ValueContext,
): SearchValue | undefined {
  const texts = text.split(dollar);
  const read = components.map((component, index) => readValue(texts[index] ?? "", component, context));
  const parts = read.flatMap((part) => part ?? []);
  return parts.length < components.length || texts.length > components.length || parts.length === 0
    ? undefined
    : { kind: "composite", text: parts.map((part) => part.text).join("$"), parts };
}

function readToken(text: string): SearchValue | undefined {
  const parts = text.split(bar);
  const [first = "", second] = parts.map((part) => part.replaceAll(/\\(?<sign>.)/gu, "$<sign>"));
  if (parts.length > 2 || text === "|") return undefined;
  return second === undefined
    ? { kind: "token", text, system: undefined, code: first }
    : { kind: "token", text, system: first, code: second };
}

/** True for a URL of another server. */
export const isForeignUrl = (text: string, base: string | undefined): boolean =>
  /^https?:\/\/[^\s/]+\/\S+$/iu.test(text) && (base === undefined || !text.startsWith(`${base}/`));

/** `id` or `Type/id` of this origin, with or without its own base. */
function readReference(
  raw: string,
  { targets }: SearchParameterDefinition,
  { base, type: stated, isOpen = false }: ValueContext,
): SearchValue | undefined {
  if (isOpen && stated === undefined && isForeignUrl(raw, base))
    return { kind: "foreign", text: raw, url: raw.replaceAll(/\\(?<sign>.)/gu, "$<sign>") };
  const below = base !== undefined && raw.startsWith(`${base}/`) ? raw.slice(base.length + 1) : raw;
  const [named, id, ...more] = below.includes("/") ? below.split("/") : [stated, below];
  if (id === undefined || more.length > 0 || !isId(id) || (stated !== undefined && named !== stated))
    return undefined;
  if (named === undefined) return { kind: "reference", text: id, type: named, id };
  return isResourceType(named) && (targets?.has(named) ?? true)
    ? { kind: "reference", text: `${named}/${id}`, type: named, id }
    : undefined;
}
