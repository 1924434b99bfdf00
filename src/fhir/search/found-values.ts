import { normalForm } from "#kernel/normal-form";
import { type RowWork, workOf } from "./row-work.ts";
import { isArray, isObject, property, textAt, type Json } from "#fhir/json/json";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import { systemsOfCodes } from "./plain-token.ts";
import { valueRange, type SearchRange } from "./search-range.ts";

/** The places of plain codes. */
export interface PlainCodes {
  readonly type: string;
  readonly paths: readonly (readonly string[])[];
}

/** The values that a row has for a search parameter. Each form of them is read once, for all searched values. */
export class FoundValues {
  readonly values: readonly Json[];
  readonly base: FhirBase;
  readonly work: RowWork;
  readonly #plain: PlainCodes | undefined;
  #forms: Map<object, object> | undefined;
  /** The form that was read first: most rows are asked for one. */
  #first: object | undefined;
  #firstBy: object | undefined;

  /** @param plain undefined: a system that a search states excludes no plain code. */
  constructor(values: readonly Json[], base: FhirBase, work: RowWork, plain?: PlainCodes) {
    work.spend(values.length * workOf.value);
    this.values = values;
    this.base = base;
    this.work = work;
    this.#plain = plain;
  }

  /** The systems of plain codes at the paths; undefined: R4 does not define them. */
  get systems(): ReadonlySet<string> | undefined {
    return this.#plain && systemsOfCodes(this.#plain.type, this.#plain.paths);
  }

  /** The values in the form that `read` gives them. */
  as<Form extends object>(read: (found: FoundValues) => Form): Form {
    const settled = this.#firstBy === read ? this.#first : this.#forms?.get(read);
    if (settled !== undefined) return settled as Form;
    const form = read(this);
    if (this.#firstBy === undefined) [this.#firstBy, this.#first] = [read, form];
    else (this.#forms ??= new Map()).set(read, form);
    return form;
  }
}

/** The keys under which a search finds a row. */
export class RowKeys {
  readonly #all: string[] = [];
  #set: ReadonlySet<string> | undefined;

  add(key: string): void {
    this.#all.push(key);
  }

  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  /** Answers whether one of the keys is sought. It costs the keys, or what is sought where that is less. */
  hasOneOf(sought: ReadonlySet<string>): boolean {
    const all = this.#all;
    if (all.length <= sought.size) {
      for (const key of all) if (sought.has(key)) return true;
      return false;
    }
    this.#set ??= new Set(all);
    for (const key of sought) if (this.#set.has(key)) return true;
    return false;
  }
}

/** The tokens of a row, by the keys under which a search finds them. */
export interface RowTokens {
  /** Plain codes and booleans, whose system no row states. */
  readonly plain: RowKeys;
  /** Texts that are found by their code under any system. */
  readonly texts: RowKeys;
  /** By {@link tokenKey}. */
  readonly keys: RowKeys;
  /** There is a value that any token may find. */
  readonly isOpen: boolean;
}

/** The key of a code of a system. No system: of any. No code: any of the system. No text makes two keys alike. */
export const tokenKey = (system: string | undefined, code: string): string =>
  system === undefined ? `|${code}` : `${system.length}|${system}${code}`;

export const exactTokens = (found: FoundValues): RowTokens => readTokens(found, false);
/** Codes in small letters: some servers compare codes in any case. */
export const lenientTokens = (found: FoundValues): RowTokens => readTokens(found, true);

const telecomSystems: ReadonlySet<string> = new Set("phone fax email pager url sms other".split(" "));

function readTokens({ values, work }: FoundValues, isLenient: boolean): RowTokens {
  const [plain, texts, keys] = [new RowKeys(), new RowKeys(), new RowKeys()];
  let isOpen = false;
  const written = (code: string) => (isLenient ? code.toLowerCase() : code);
  const read = (value: Json, isInside: boolean): void => {
    work.spend(workOf.key);
    if (typeof value === "string" || typeof value === "boolean") {
      (isLenient || isInside ? texts : plain).add(written(String(value)));
      return;
    }
    if (!isObject(value)) {
      isOpen ||= isLenient;
      return;
    }
    const coding = property(value, "coding");
    if (isArray(coding)) {
      for (const each of coding) read(each, true);
      return;
    }
    const system = textAt(value, "system");
    const code = textAt(value, "code") ?? textAt(value, "value");
    // servers compare telephone numbers without their signs
    if (isLenient && system !== undefined && telecomSystems.has(system)) isOpen = true;
    if (system === undefined && code === undefined) return;
    keys.add(tokenKey(undefined, ""));
    keys.add(tokenKey(system ?? "", ""));
    if (code === undefined) return;
    keys.add(tokenKey(undefined, written(code)));
    keys.add(tokenKey(system ?? "", written(code)));
  };
  for (const value of values) read(value, false);
  return { plain, texts, keys, isOpen };
}

/** The references of a row. */
export interface RowReferences {
  /** `id` and `Type/id` of each resource of this server. */
  readonly names: RowKeys;
  /** The URLs that are of a foreign server for certain. */
  readonly foreign: RowKeys;
  /** A value is no reference of this server: a server that knows the parameter knows its names. */
  readonly hasOther: boolean;
}

export function rowReferences({ values, base, work }: FoundValues): RowReferences {
  const [names, foreign] = [new RowKeys(), new RowKeys()];
  let hasOther = false;
  for (const value of values) {
    work.spend(workOf.reference);
    const text = isObject(value) ? textAt(value, "reference") : typeof value === "string" ? value : undefined;
    const named = text === undefined ? undefined : parseReference(text, base);
    if (named?.kind === "local") {
      names.add(named.id);
      names.add(`${named.type}/${named.id}`);
    } else hasOther = true;
    if (named?.kind === "foreign" && text !== undefined && isObject(value)) foreign.add(text);
  }
  return { names, foreign, hasOther };
}

const stringParts: ReadonlySet<string> = new Set(
  "text family given prefix suffix line city district state postalCode country".split(" "),
);

function textsIn(value: Json): readonly string[] {
  if (typeof value === "string") return [value];
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, part]) =>
    stringParts.has(name) ? (isArray(part) ? part : [part]).filter((one) => typeof one === "string") : [],
  );
}

/** Without case and accents, as R4 §3.1.1.4.8 compares strings. */
export const foldedText = (text: string): string =>
  normalForm(text, "NFKD")
    .replaceAll(/\p{Mark}/gu, "")
    .toLowerCase();

function foldedIn(work: RowWork, text: string): string {
  work.spend(text.length);
  return foldedText(text);
}

/** The texts of a row as they are written. */
export function exactTexts({ values, work }: FoundValues): RowKeys {
  const texts = new RowKeys();
  for (const text of values.flatMap(textsIn)) {
    work.spend(workOf.value);
    texts.add(text);
  }
  return texts;
}

/** Each text of a row, folded. */
export const foldedTexts = ({ values, work }: FoundValues): ReadonlySet<string> =>
  new Set(values.flatMap(textsIn).map((text) => foldedIn(work, text)));

/** Each value as one folded text: some servers compare word by word, across the parts of a name. */
export const foldedValues = ({ values, work }: FoundValues): ReadonlySet<string> =>
  new Set(values.map((value) => foldedIn(work, textsIn(value).join(" "))));

/** A value of a row as a span; undefined: it is neither a time nor a number. */
export interface RowSpan {
  readonly value: Json;
  readonly span: SearchRange | undefined;
}

export const spansOf = ({ values, work }: FoundValues): readonly RowSpan[] =>
  values.map((value) => {
    const events = isObject(value) ? property(value, "event") : undefined;
    work.spend(workOf.date * (isArray(events) ? events.length : 1));
    return { value, span: valueRange(value) };
  });
