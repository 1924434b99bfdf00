import { workOf } from "./row-work.ts";
import { isObject, textAt, type Json } from "#fhir/json/json";
import type { SearchParameterType } from "./parameters.ts";
import type { Modifier } from "./condition.ts";
import {
  exactTexts,
  exactTokens,
  foldedText,
  foldedTexts,
  foldedValues,
  lenientTokens,
  rowReferences,
  spansOf,
  tokenKey,
  type FoundValues,
  type RowKeys,
} from "./found-values.ts";
import { exactRangeFinder, lenientRangeFinder, type RangeFinder } from "./range-finder.ts";
import { dateRange, numberRange, type SearchRange } from "./search-range.ts";
import { SortedTexts } from "./sorted-texts.ts";
import type { SearchValue } from "./value.ts";
import { WordFinder } from "./word-finder.ts";

/** Answers whether any searched value finds any value of a row. */
export type ValueFinder = (found: FoundValues) => boolean;

/** How searched values are compared with the values of a row. */
export interface Comparison {
  readonly modifier?: Modifier | undefined;
  /** As some server compares; else as R4 does. */
  readonly isLenient: boolean;
}

/**
 * Prepares the values of a parameter once, so that a row costs the sum of its own and the searched values, and never
 * their product.
 */
export const valueFinder = (
  type: SearchParameterType,
  values: readonly SearchValue[],
  comparison: Comparison,
): ValueFinder => finders[type](values, comparison);

const finders: Readonly<
  Record<SearchParameterType, (values: readonly SearchValue[], comparison: Comparison) => ValueFinder>
> = {
  token: tokenFinder,
  reference: referenceFinder,
  string: (values, comparison) => {
    const texts = values.map(({ text }) => unescaped(text));
    return comparison.isLenient ? wordsFinder(texts) : textFinder(texts, comparison);
  },
  uri: uriFinder,
  date: (values, { isLenient }) => {
    const meets = rangeFinder(
      values.map(({ text }) => text),
      dateRange,
      isLenient,
    );
    return (found) => spansIn(found).some(({ span }) => meets(span));
  },
  number: (values, { isLenient }) => {
    const meets = rangeFinder(
      values.map(({ text }) => text),
      numberRange,
      isLenient,
    );
    return (found) => spansIn(found).some(({ span }) => meets(span));
  },
  quantity: quantityFinder,
  composite:
    (_values, { isLenient }) =>
    () =>
      isLenient,
  special:
    (_values, { isLenient }) =>
    () =>
      isLenient,
};

const unescaped = (text: string): string => text.replaceAll(/\\(?<sign>.)/gu, "$<sign>");

/** FHIR R4 §3.1.1.4.10. A server that does not know the system of a plain code compares the code alone. */
function tokenFinder(values: readonly SearchValue[], { isLenient }: Comparison): ValueFinder {
  const [codes, keys] = [new Set<string>(), new Set<string>()];
  /** The codes without a system, or with an empty one, under "". */
  const bySystem = new Map<string, Set<string>>();
  const isOther = values.some(({ kind }) => kind !== "token");
  for (const value of values) {
    if (value.kind !== "token") continue;
    const { system } = value;
    const code = isLenient ? value.code.toLowerCase() : value.code;
    codes.add(code);
    keys.add(tokenKey(system, code));
    const ofSystem = bySystem.get(system ?? "") ?? new Set();
    bySystem.set(system ?? "", ofSystem.add(code));
  }
  const hasOne = (texts: RowKeys, sought: ReadonlySet<string>) =>
    !texts.isEmpty && (sought.has("") || texts.hasOneOf(sought));
  return (found) => {
    if (found.values.length === 0) return false;
    const tokens = found.as(isLenient ? lenientTokens : exactTokens);
    if (isOther || tokens.isOpen || hasOne(tokens.texts, codes) || tokens.keys.hasOneOf(keys)) return true;
    if (tokens.plain.isEmpty) return false;
    for (const [system, sought] of bySystem)
      if ((system === "" || found.systems?.has(system) !== false) && hasOne(tokens.plain, sought))
        return true;
    return false;
  };
}

/** The resources that reference values name: `Type/id`, and `id` where the search names no type. */
export const searchedReferences = (values: readonly SearchValue[]): ReadonlySet<string> =>
  new Set(
    values.flatMap((value) =>
      value.kind !== "reference" ? [] : [value.type === undefined ? value.id : `${value.type}/${value.id}`],
    ),
  );

/** A server that knows the parameter judges references to other servers: it knows their names. */
function referenceFinder(values: readonly SearchValue[], { isLenient }: Comparison): ValueFinder {
  const names = searchedReferences(values);
  const urls = new Set(values.flatMap((value) => (value.kind === "foreign" ? [value.url] : [])));
  const hasOther = values.some(({ kind }) => kind !== "reference" && kind !== "foreign");
  return (found) => {
    if (found.values.length === 0) return false;
    const references = found.as(rowReferences);
    return (
      (isLenient && (hasOther || (names.size > 0 && references.hasOther))) ||
      references.names.hasOneOf(names) ||
      references.foreign.hasOneOf(urls)
    );
  };
}

/** R4 §3.1.1.4.8. */
function textFinder(searched: readonly string[], { modifier }: Comparison): ValueFinder {
  if (modifier === "exact") {
    const texts = new Set(searched);
    return (found) => found.as(exactTexts).hasOneOf(texts);
  }
  const sought = searched.map(foldedText);
  if (modifier === "contains") {
    const isEmpty = sought.includes("");
    const words = new WordFinder(new Set(sought.filter((text) => text !== "")));
    return (found) => someText(found, workOf.sign, (text) => isEmpty || words.some(text, () => true));
  }
  const sorted = new SortedTexts(sought);
  return (found) => someText(found, 0, (text) => sorted.beginsOneOf(text));
}

function someText(found: FoundValues, unitsPerSign: number, meets: (text: string) => boolean): boolean {
  for (const text of found.as(foldedTexts)) {
    found.work.spend(workOf.comparison + unitsPerSign * text.length);
    if (meets(text)) return true;
  }
  return false;
}

/** Some servers compare word by word, across the parts of a name: every word of a searched text is in the value. */
function wordsFinder(searched: readonly string[]): ValueFinder {
  const texts = searched.map(
    (text) =>
      new Set(
        foldedText(text)
          .split(/[^\p{L}\p{N}]+/u)
          .filter((word) => word !== ""),
      ),
  );
  const isEmpty = texts.some(({ size }) => size === 0);
  const textsWith = new Map<string, number[]>();
  for (const [index, words] of texts.entries())
    for (const word of words) textsWith.set(word, [...(textsWith.get(word) ?? []), index]);
  const finder = new WordFinder(new Set(textsWith.keys()));
  return (found) => {
    if (found.values.length === 0) return false;
    if (isEmpty) return true;
    for (const value of found.as(foldedValues)) {
      found.work.spend(workOf.comparison + workOf.sign * value.length);
      const lacking = new Map<number, number>();
      const isFound = finder.some(value, (word) =>
        (textsWith.get(word) ?? []).some((index) => {
          found.work.spend(workOf.comparison);
          const left = (lacking.get(index) ?? texts[index]?.size ?? 0) - 1;
          lacking.set(index, left);
          return left === 0;
        }),
      );
      if (isFound) return true;
    }
    return false;
  };
}

/** R4 §3.1.1.4.13; some servers compare without case, a closing slash or the version of a canonical URL. */
function uriFinder(values: readonly SearchValue[], { modifier, isLenient }: Comparison): ValueFinder {
  const written = (text: string) => (isLenient ? text.toLowerCase() : text);
  const searched = values.map(({ text }) => written(unescaped(text)));
  const sorted = new SortedTexts(searched);
  const isWhole = modifier === undefined && !isLenient;
  const whole = new Set(searched);
  return (found) =>
    found.values.some((value) => {
      if (typeof value !== "string") return isLenient;
      found.work.spend(workOf.sign * value.length);
      const text = written(value);
      if (isWhole) return whole.has(text);
      return (
        (modifier !== "above" && sorted.beginsOneOf(text)) ||
        (modifier !== "below" && sorted.hasOneFrom(text))
      );
    });
}

function spansIn(found: FoundValues) {
  const spans = found.as(spansOf);
  found.work.spend(spans.length * workOf.comparison);
  return spans;
}

/** By unit: each group of searched quantities has a finder of its own. */
function quantityFinder(values: readonly SearchValue[], { isLenient }: Comparison): ValueFinder {
  const byUnit = new Map<string, string[]>();
  for (const { text } of values) {
    const [number = "", system, unit = ""] = text.split(/(?<!\\)\|/u).map(unescaped);
    const key = isLenient || system === undefined ? anyUnit : tokenKey(system, unit);
    byUnit.set(key, [...(byUnit.get(key) ?? []), number]);
  }
  const finders = new Map(
    [...byUnit].map(([key, numbers]) => [key, rangeFinder(numbers, numberRange, isLenient)]),
  );
  return (found) =>
    spansIn(found).some(({ value, span }) =>
      [anyUnit, ...(isLenient ? [] : unitsOf(value))].some((key) => finders.get(key)?.(span) === true),
    );
}

const anyUnit = "";

/** The units of a quantity as a search may name them: with an empty system, or with the system of its code. */
function unitsOf(value: Json): readonly string[] {
  if (!isObject(value)) return [];
  const codes = ["code", "currency"].flatMap((name) => textAt(value, name) ?? []);
  const [unit, system] = [textAt(value, "unit"), textAt(value, "system")];
  return [
    ...[...codes, ...(unit === undefined ? [] : [unit])].map((code) => tokenKey("", code)),
    ...(system === undefined ? [] : codes.map((code) => tokenKey(system, code))),
  ];
}

function rangeFinder(
  texts: readonly string[],
  read: (text: string) => SearchRange | undefined,
  isLenient: boolean,
): RangeFinder {
  const searched = texts.map((text) => readSearched(text, read));
  return isLenient ? lenientRangeFinder(searched) : exactRangeFinder(searched);
}

function readSearched(text: string, read: (text: string) => SearchRange | undefined) {
  const prefix = /^(?:eq|ne|gt|lt|ge|le|sa|eb|ap)/u.exec(text)?.[0];
  const written = prefix === undefined ? text : text.slice(2);
  const span = read(written);
  // R4 §3.1.1.4.6: the precision of a number counts for equality alone
  const isExact = read === numberRange && prefix !== undefined && !/^(?:eq|ne|ap)$/u.test(prefix);
  const number = Number(written);
  return {
    prefix: prefix ?? "eq",
    span: isExact && span !== undefined ? { ...span, low: number, high: number } : span,
  };
}
