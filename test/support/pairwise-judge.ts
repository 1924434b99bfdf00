import { isArray, isObject, property, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
import { elementsOf, isResourceType } from "#fhir/r4/elements";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import type { SearchParameterDefinition, SearchParameterType } from "#fhir/search/parameters";
import { systemsOfCodes } from "#fhir/search/plain-token";
import type { SearchParameter } from "#fhir/search/search";
import { dateRange, numberRange, valueRange, type SearchRange } from "#fhir/search/search-range";
import type { SearchValue } from "#fhir/search/value";

/*
 * The twin of `fhir/search/row-judge` and of `fhir/search/criteria`: it compares each searched value with each value of a row, and reads both anew
 * for each pair. It is as slow as it is plain.
 */

/** How a value of a row is compared with a searched value. */
interface Reading {
  readonly row: Json;
  readonly base: FhirBase;
  readonly isLenient: boolean;
  /** The systems of plain codes, where they are compared. */
  readonly systems?: ReadonlySet<string> | undefined;
}

/** False if no correct server would return the row for this parameter. */
export const mayMatchByPairs = (row: JsonObject, parameter: SearchParameter, base: FhirBase): boolean =>
  judge(row, parameter, base, true);

/** True if the row matches the parameter by R4 §3.1.1.4; dates and times without a zone are UTC. */
export const matchesByPairs = (row: JsonObject, parameter: SearchParameter, base: FhirBase): boolean =>
  judge(row, parameter, base, false);

function judge(
  row: JsonObject,
  { definition, modifier, values }: SearchParameter,
  base: FhirBase,
  isLenient: boolean,
): boolean {
  const { code, type, paths, components } = definition;
  if (paths === undefined) return isLenient;
  if (components !== undefined && modifier !== "missing") {
    // the type and the value of `:of-type` are of one Identifier in every reading
    const isOfType = components.every((component) => component.code === code);
    const meets = (value: SearchValue) =>
      isLenient && !isOfType
        ? mayMatchParts(row, components, value, base)
        : matchesParts(row, components, value, base, isLenient);
    return (isLenient || modifier === undefined) && values.some(meets);
  }
  if (code === "_id")
    return values.some((value) => value.kind === "token" && value.code === textAt(row, "id"));
  const found = paths
    .flatMap((path) => valuesOfRow(row, path))
    .filter((value) => isTarget(value, definition.targets, base) && isOfContact(value, definition));
  if (code === "deceased" && type === "token" && modifier !== "missing")
    return isDeceased(found, values, isLenient && modifier === undefined) !== (modifier === "not");
  if (modifier === "missing") return values.some(({ text }) => (text === "true") === (found.length === 0));
  // a server may keep the time, the profile or the tags of a row outside of its JSON
  if (found.length === 0 && isLenient && code.startsWith("_")) return true;
  const namesSystem = values.some((value) => value.kind === "token" && value.system);
  const systems =
    namesSystem && (!isLenient || modifier === "not")
      ? systemsOfCodes(textAt(row, "resourceType") ?? "", paths)
      : undefined;
  const isMet = found.some((each) => {
    const reading = { row: each, base, isLenient, systems };
    return values.some((value) => comparisons[type](reading, value, modifier));
  });
  // For `:not` every reading of "equal" is too wide: the exact one hides fewer rows.
  if (modifier !== "not") return isMet;
  const exactly = found.some((each) =>
    values.some((value) =>
      comparisons[type]({ row: each, base, isLenient: false, systems }, value, undefined),
    ),
  );
  return !exactly;
}

/** R4's parameter of Patient: `deceased.exists() and deceased != false`. A server may read the code in any case. */
const isDeceased = (found: readonly Json[], values: readonly SearchValue[], isAnyCase: boolean): boolean => {
  const text = String(found.some((value) => value !== false));
  return values.some(
    (value) => value.kind === "token" && (isAnyCase ? value.code?.toLowerCase() : value.code) === text,
  );
};

/**
 * A server finds a row by one item that has all parts (FHIR R4 §3.1.1.4.13): the row then has each part
 * somewhere.
 */
const mayMatchParts = (
  row: JsonObject,
  components: readonly SearchParameterDefinition[],
  value: SearchValue,
  base: FhirBase,
): boolean =>
  value.kind === "composite" &&
  components.every((definition, index) => {
    const part = value.parts[index];
    return part !== undefined && judge(row, { definition, values: [part] }, base, true);
  });

/** R4 §3.1.1.4.13: a single item of the row has each part. */
const matchesParts = (
  row: JsonObject,
  components: readonly SearchParameterDefinition[],
  value: SearchValue,
  base: FhirBase,
  isLenient: boolean,
): boolean =>
  value.kind === "composite" &&
  itemPathsOf(components).some((path) =>
    (path.length === 0 ? [row] : valuesOfRow(row, path)).some((item) =>
      components.every(({ paths = [], type, targets }, index) => {
        const part = value.parts[index];
        const found = paths
          .filter((each) => isItemPath(each, path))
          .flatMap((each) => (path.length === 0 ? valuesOfRow(row, each) : valuesBelow(item, each.slice(-1))))
          .filter((each) => isTarget(each, targets, base));
        return (
          part !== undefined &&
          found.some((each) => comparisons[type]({ row: each, base, isLenient }, part, undefined))
        );
      }),
    ),
  );

const isItemPath = (path: readonly string[], item: readonly string[]): boolean =>
  path.length === item.length + 1 && item.every((step, index) => step === path[index]);

/** The paths of the items that may have all parts of a composite. */
const itemPathsOf = ([
  first,
  ...others
]: readonly SearchParameterDefinition[]): readonly (readonly string[])[] =>
  (first?.paths ?? [])
    .map((path) => path.slice(0, -1))
    .filter((item) => others.every(({ paths = [] }) => paths.some((path) => isItemPath(path, item))));

/** `patient` reads the same element as `subject`: a reference to another type is no value of it. */
function isTarget(value: Json, targets: ReadonlySet<string> | undefined, base: FhirBase): boolean {
  const text = targets !== undefined && isObject(value) ? textAt(value, "reference") : undefined;
  const named = text === undefined ? undefined : parseReference(text, base);
  return named?.kind !== "local" || targets?.has(named.type) !== false;
}

/** R4's `email` and `phone` read the contact points of that system: `telecom.where(system='email')`. */
const isOfContact = (value: Json, { code }: SearchParameterDefinition): boolean =>
  (code !== "email" && code !== "phone") || (isObject(value) && textAt(value, "system") === code);

/** Every value at a path. A step with `[x]` is every form of the choice. */
function valuesBelow(value: Json | undefined, path: readonly string[]): readonly Json[] {
  if (value === undefined || value === null) return [];
  if (isArray(value)) return value.flatMap((item) => valuesBelow(item, path));
  const [step, ...below] = path;
  if (step === undefined) return [value];
  if (!isObject(value)) return [];
  if (!step.endsWith("[x]")) return valuesBelow(property(value, step), below);
  const stem = step.slice(0, -"[x]".length);
  return Object.keys(value)
    .filter((name) => name.startsWith(stem) && /^[A-Z]/u.test(name.slice(stem.length)))
    .flatMap((name) => valuesBelow(property(value, name), below));
}

/**
 * As {@link valuesBelow}, of a row. It may be facts, whose members are asked for by their names: a choice is each
 * of the forms that R4 has for the row's type.
 */
function valuesOfRow(row: JsonObject, [step = "", ...below]: readonly string[]): readonly Json[] {
  if (!step.endsWith("[x]")) return valuesBelow(property(row, step), below);
  const type = textAt(row, "resourceType") ?? "";
  const forms = isResourceType(type) ? (elementsOf(type).get(step)?.forms ?? []) : [];
  return forms.flatMap(({ name }) => valuesBelow(property(row, name), below));
}

type Compare = (reading: Reading, value: SearchValue, modifier: SearchParameter["modifier"]) => boolean;

const comparisons: Readonly<Record<SearchParameterType, Compare>> = {
  token: ({ row, isLenient, systems }, value) =>
    value.kind !== "token" ||
    (!isLenient && (typeof row === "string" || typeof row === "boolean")
      ? isPlainToken(row, value, systems)
      : isToken(row, value, isLenient)),
  reference: ({ row, base, isLenient }, value) => isReference(row, value, base, isLenient),
  string: ({ row, isLenient }, { text }, modifier) => isString(row, unescaped(text), modifier, isLenient),
  uri: ({ row, isLenient }, { text }, modifier) => isUri(row, unescaped(text), modifier, isLenient),
  date: ({ row, isLenient }, { text }) => isWithin(row, text, dateRange, isLenient),
  number: ({ row, isLenient }, { text }) => isWithin(row, text, numberRange, isLenient),
  quantity: ({ row, isLenient }, { text }) => {
    const [number = "", system, unit = ""] = text.split(/(?<!\\)\|/u).map(unescaped);
    const isUnit = isLenient || system === undefined || isOfUnit(row, system, unit);
    return isUnit && isWithin(row, number, numberRange, isLenient);
  },
  composite: ({ isLenient }) => isLenient,
  special: ({ isLenient }) => isLenient,
};

const unescaped = (text: string): string => text.replaceAll(/\\(?<sign>.)/gu, "$<sign>");

type TokenValue = Extract<SearchValue, { kind: "token" }>;

const telecomSystems: ReadonlySet<string> = new Set("phone fax email pager url sms other".split(" "));

/** FHIR R4 §3.1.1.4.10. A server that does not know the system of a plain code compares the code alone. */
function isToken(row: Json, { system, code }: TokenValue, isLenient: boolean): boolean {
  const equals = (text: string) => (isLenient ? text.toLowerCase() === code.toLowerCase() : text === code);
  if (typeof row === "string" || typeof row === "boolean") return code === "" || equals(String(row));
  if (!isObject(row)) return isLenient;
  const coding = property(row, "coding");
  if (isArray(coding))
    return coding.some((each) => isToken(each, { kind: "token", text: "", system, code }, isLenient));
  const systemOfRow = textAt(row, "system");
  const value = textAt(row, "code") ?? textAt(row, "value");
  // servers compare telephone numbers without their signs
  if (isLenient && systemOfRow !== undefined && telecomSystems.has(systemOfRow)) return true;
  if (value === undefined && systemOfRow === undefined) return false;
  return (
    (system === undefined || (systemOfRow ?? "") === system) &&
    (code === "" || (value !== undefined && equals(value)))
  );
}

/** A reference that is none to this server is left to a server that knows the parameter: it knows its names. */
function isReference(row: Json, value: SearchValue, base: FhirBase, isLenient: boolean): boolean {
  if (value.kind === "foreign") return isForeignReference(row, value, base);
  if (value.kind !== "reference") return isLenient;
  const text = isObject(row) ? textAt(row, "reference") : typeof row === "string" ? row : undefined;
  const named = text === undefined ? undefined : parseReference(text, base);
  if (named?.kind !== "local") return isLenient;
  return named.id === value.id && (value.type === undefined || value.type === named.type);
}

/** Without case and accents, as R4 §3.1.1.4.8 compares strings. */
const folded = (text: string): string =>
  text
    .normalize("NFKD")
    .replaceAll(/\p{Mark}/gu, "")
    .toLowerCase();

const stringParts: ReadonlySet<string> = new Set(
  "text family given prefix suffix line city district state postalCode country".split(" "),
);

function textsOf(row: Json): readonly string[] {
  if (typeof row === "string") return [row];
  if (!isObject(row)) return [];
  return Object.entries(row).flatMap(([name, part]) =>
    stringParts.has(name) ? (isArray(part) ? part : [part]).filter((one) => typeof one === "string") : [],
  );
}

function isString(
  row: Json,
  searched: string,
  modifier: SearchParameter["modifier"],
  isLenient: boolean,
): boolean {
  const texts = textsOf(row);
  if (isLenient) {
    // some servers compare word by word, across the parts of a name
    const all = folded(texts.join(" "));
    return folded(searched)
      .split(/[^\p{L}\p{N}]+/u)
      .every((word) => all.includes(word));
  }
  if (modifier === "exact") return texts.includes(searched);
  const sought = folded(searched);
  return texts.some((text) =>
    modifier === "contains" ? folded(text).includes(sought) : folded(text).startsWith(sought),
  );
}

/** R4 §3.1.1.4.13; some servers compare without case, a closing slash or the version of a canonical URL. */
function isUri(
  row: Json,
  searched: string,
  modifier: SearchParameter["modifier"],
  isLenient: boolean,
): boolean {
  const text = typeof row === "string" ? row : undefined;
  if (text === undefined) return isLenient;
  if (text === searched) return true;
  const [a, b] = isLenient ? [text.toLowerCase(), searched.toLowerCase()] : [text, searched];
  if (modifier === undefined && !isLenient) return false;
  return (modifier !== "above" && a.startsWith(b)) || (modifier !== "below" && b.startsWith(a));
}

function isOfUnit(row: Json, system: string, unit: string): boolean {
  if (!isObject(row)) return false;
  const isCode = textAt(row, "code") === unit || textAt(row, "currency") === unit;
  return system === "" ? isCode || textAt(row, "unit") === unit : textAt(row, "system") === system && isCode;
}

const spansOf = new Map<string, ReturnType<typeof readSearched>>();
const spansMax = 256;

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

/** The prefixes of R4 §3.1.1.4.5, for dates, numbers and quantities. */
function isWithin(
  row: Json,
  text: string,
  read: (text: string) => SearchRange | undefined,
  isLenient: boolean,
): boolean {
  const key = `${read.name} ${text}`;
  let searched = spansOf.get(key);
  if (searched === undefined) {
    searched = readSearched(text, read);
    if (spansOf.size >= spansMax) spansOf.clear();
    spansOf.set(key, searched);
  }
  const span = valueRange(row);
  if (span === undefined || searched.span === undefined) return isLenient;
  return compareRanges(searched.prefix, span, searched.span, isLenient);
}

/**
 * Compares the span of a row's value with the searched span by a prefix of R4 §3.1.1.4.5. Lenient: false only
 * if every server, whatever its zone and its reading of the prefix, says no.
 */
function compareRanges(prefix: string, row: SearchRange, searched: SearchRange, isLenient: boolean): boolean {
  const { low, high } = searched;
  const isWithin = low <= row.low && row.high <= high;
  if (!isLenient) {
    switch (prefix) {
      case "eq":
        return isWithin;
      case "ne":
        return !isWithin;
      case "gt":
        return row.high > high;
      case "lt":
        return row.low < low;
      case "ge":
        return row.high > high || isWithin;
      case "le":
        return row.low < low || isWithin;
      case "sa": // a number is no span: 5 does not start after 5
        return row.low >= high && (low < high || row.low > high);
      case "eb":
        return row.high <= low && (low < high || row.high < low);
    }
    return false;
  }
  const slack = row.slack + searched.slack;
  const [isAllBefore, isAllAfter] = [row.high + slack < low, row.low - slack > high];
  switch (prefix) {
    case "eq":
      return !isAllBefore && !isAllAfter;
    case "gt":
    case "ge":
    case "sa":
      return !isAllBefore;
    case "lt":
    case "le":
    case "eb":
      return !isAllAfter;
  }
  return true; // `ne`, `ap`: servers differ
}

/** No row states the system of a plain code: it is compared with the systems that R4 defines for the element. */
const isPlainToken = (
  found: string | boolean,
  { system, code }: Pick<TokenValue, "system" | "code">,
  systems: ReadonlySet<string> | undefined,
): boolean =>
  (!system || systems === undefined || systems.has(system)) && (code === "" || String(found) === code);

/** Literally, and never a reference of this server, by whatever name of its base. */
function isForeignReference(
  found: Json,
  { url }: Extract<SearchValue, { kind: "foreign" }>,
  base: FhirBase,
): boolean {
  const text = isObject(found) ? textAt(found, "reference") : undefined;
  return text === url && parseReference(text, base).kind === "foreign";
}

/** True if a row meets all these parameters, each by any of its values. */
export const meetsByPairs = (
  row: JsonObject,
  parameters: readonly SearchParameter[],
  base: FhirBase,
): boolean =>
  parameters.every(({ definition, values }) => {
    const { code, paths = [], components } = definition;
    if (components !== undefined)
      return values.some(
        (value) =>
          value.kind === "composite" &&
          components.every((component, index) => {
            const part = value.parts[index];
            if (part === undefined) return false;
            return (
              component.type !== "token" ||
              meetsByPairs(row, [{ definition: component, values: [part] }], base)
            );
          }),
      );
    const found =
      code === "_id" ? [property(row, "id") ?? null] : paths.flatMap((path) => valuesAt(row, path));
    const systems = systemsOfCodes(textAt(row, "resourceType") ?? "", paths);
    return values.some((value) => found.some((each) => isMet(each, value, base, systems)));
  });

function isMet(
  found: Json,
  value: SearchValue,
  base: FhirBase,
  systems: ReadonlySet<string> | undefined,
): boolean {
  if (value.kind === "foreign") return isForeignReference(found, value, base);
  if (value.kind === "token") {
    const isPlain = typeof found === "string" || typeof found === "boolean";
    return isPlain ? isPlainToken(found, value, systems) : isCoded(found, value);
  }
  const text = isObject(found) ? textAt(found, "reference") : undefined;
  const named = parseReference(text ?? "", base);
  return (
    value.kind === "reference" &&
    named.kind === "local" &&
    named.id === value.id &&
    (value.type === undefined || value.type === named.type)
  );
}

function isCoded(found: Json, { system, code }: Pick<TokenValue, "system" | "code">): boolean {
  if (!isObject(found)) return false;
  const coding = property(found, "coding");
  if (isArray(coding)) return coding.some((each) => isCoded(each, { system, code }));
  const isOfSystem = system === undefined || (textAt(found, "system") ?? "") === system;
  const value = textAt(found, "code") ?? textAt(found, "value");
  return isOfSystem && (code === "" ? value !== undefined : value === code);
}
