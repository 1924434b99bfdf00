import { isObject, property, readJson, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import { hashOf } from "#phi/bytes/name-hash";
import { unusual } from "#phi/bytes/unusual";
import { copyWords, isSame, wordsOf } from "#phi/bytes/words";
import { formBytesMax, type Codes } from "#deid/codes";
import {
  answerInForm,
  isPartOfChosen,
  reached,
  rowOf,
  withCodes,
  noticeOf,
  type FormAnswerRefusal,
  type Row,
  type ShownAnswer,
} from "#deid/form-answer";
import { FormCutter } from "./form-cutter.ts";
import { FormOutput } from "./form-output.ts";

/** How many rows the byte engine cut, and how many it left to the plain engine. */
export const formCounts = { cut: 0, plain: 0 };

/** A tree takes ten times the bytes of its text. */
const treeFactor = 10;
/** The answer, its rows in the form, and the answer with codes. */
const textFactor = 3;

/**
 * {@link answerInForm} by the byte engine: the same bytes. A row that the byte engine does not decide is changed by the
 * plain engine, and so is an answer of an unusual form as a whole.
 *
 * @param hold is told the bytes that wait for codes. It throws if they may not.
 */
export async function cutInForm(
  answer: ShownAnswer,
  codes: Pick<Codes, "codesOf">,
  hold: (bytes: number) => void = () => {},
): Promise<Result<Uint8Array<ArrayBuffer>, FormAnswerRefusal>> {
  const { length } = answer.body;
  if (length > formBytesMax) return err({ reason: "answer_too_large" });
  // The values by which an order was asked for are read in trees.
  const cut = answer.sort.length > 0 ? undefined : cutAnswer(answer);
  hold(textFactor * length + treeFactor * (cut?.plainBytes ?? length));
  if (cut === undefined) return answerInForm(answer, codes);
  if (isPartOfChosen(answer, cut.link)) return err({ reason: "part_of_named_rows" });
  const left = cut.left();
  if (!cut.isList && left.length === 0) return err({ reason: "withheld_by_form" });
  const used = cut.numbersIn(left);
  const coded = await codes.codesOf(used.map((number) => cut.names[number] ?? ""));
  return coded.ok ? ok(new CodedAnswer(cut, left, used, coded.value).write(answer)) : coded;
}

interface CutRow {
  /** The number of its name. */
  readonly number: number;
  mode: Row["mode"];
  /** Its part of the output, and its part of the holes. */
  readonly start: number;
  readonly end: number;
  readonly holes: number;
  readonly holesEnd: number;
  /** The row that the plain engine left, in place of a part of the output. */
  readonly tree: Row | undefined;
}

const names = ["resourceType", "type", "link", "entry", "resource", "search"] as const;
const keys = new Map(names.map((name) => [hashOf(name), { name, bytes: utf8(name) }]));
const [bundle, searchset] = [utf8('"Bundle"'), utf8('"searchset"')];
const [matchMode, includeMode] = [utf8('{"mode":"match"}'), utf8('{"mode":"include"}')];

/** An answer in its form, but for its codes: it is read in one turn, since the scanner is the isolate's. */
class CutAnswer {
  readonly output = new FormOutput();
  readonly rows: CutRow[] = [];
  readonly notices: JsonObject[] = [];
  link: Json = [];
  isList = false;
  /** The bytes of the rows that the plain engine read: their trees wait for codes. */
  plainBytes = 0;
  readonly #answer: ShownAnswer;
  readonly #cutter: FormCutter;

  constructor(answer: ShownAnswer) {
    const { form, year, base, body } = answer;
    this.#answer = answer;
    this.#cutter = new FormCutter({ form, year, base, codeOf: (_, id) => id }, body, this.output);
  }

  /** `Type/id` of each row that was named, by its number. */
  get names(): readonly string[] {
    return this.#cutter.names;
  }

  read(): void {
    const { scanner } = this.#cutter;
    if (scanner.next() !== 0x7b) throw unusual;
    if (this.#cutter.typeAhead() === "Bundle") this.#readList();
    else this.#keep(this.#row());
    if (!scanner.isAtEnd) throw unusual;
    this.output.finish();
  }

  #readList(): void {
    const { scanner } = this.#cutter;
    this.isList = true;
    let found = 0;
    this.#members((name, start) => {
      if (name === "entry" && scanner.bytes[start] === 0x5b) this.#entries();
      else scanner.skipValue();
      if (name === "link") this.link = this.#json(start) ?? [];
      if (name === "resourceType" && isSame(bundle, scanner.bytes, start, scanner.at)) found += 1;
      if (name === "type" && isSame(searchset, scanner.bytes, start, scanner.at)) found += 1;
    });
    if (found !== 2) throw unusual;
  }

  #entries(): void {
    const { scanner } = this.#cutter;
    scanner.pass(0x5b);
    scanner.depth += 1;
    if (scanner.next() !== 0x5d)
      for (;;) {
        if (scanner.bytes[scanner.at] === 0x7b) this.#entry();
        else scanner.skipValue();
        if (scanner.next() === 0x5d) break;
        scanner.pass(0x2c);
        scanner.next();
      }
    scanner.pass(0x5d);
    scanner.depth -= 1;
  }

  #entry(): void {
    const { scanner } = this.#cutter;
    const { at: start } = scanner;
    const { at, holesUsed } = this.output;
    const found: { mode: Row["mode"] | "outcome"; row: CutRow | undefined } = {
      mode: "match",
      row: undefined,
    };
    this.#members((name, value) => {
      if (name === "resource" && scanner.bytes[value] === 0x7b) found.row = this.#row();
      else scanner.skipValue();
      if (name === "search") found.mode = this.#mode(value);
    });
    if (found.mode !== "outcome") return this.#keep(found.row, found.mode);
    this.#cutter.dropOutput(at, holesUsed);
    const entry = this.#json(start);
    const resource = isObject(entry) ? property(entry, "resource") : undefined;
    if (isObject(entry) && isObject(resource)) this.notices.push(noticeOf(entry, resource));
  }

  #keep(row: CutRow | undefined, mode: Row["mode"] = "match"): void {
    if (row === undefined) return;
    row.mode = mode;
    this.rows.push(row);
  }

  #mode(start: number): Row["mode"] | "outcome" {
    const { bytes, at } = this.#cutter.scanner;
    if (isSame(matchMode, bytes, start, at)) return "match";
    if (isSame(includeMode, bytes, start, at)) return "include";
    const search = this.#json(start);
    const mode = isObject(search) ? textAt(search, "mode") : undefined;
    return mode === "include" || mode === "outcome" ? mode : "match";
  }

  /** At a resource: past it. Undefined: it is withheld. */
  #row(): CutRow | undefined {
    const { output } = this;
    const { scanner } = this.#cutter;
    const [from, start, holes] = [scanner.at, output.at, output.holesUsed];
    try {
      const isLeft = this.#cutter.cut();
      formCounts.cut += 1;
      if (!isLeft) return undefined;
      const row = {
        mode: "match",
        start,
        end: output.at,
        holes,
        holesEnd: output.holesUsed,
        tree: undefined,
      } as const;
      return { number: this.#cutter.number, ...row };
    } catch {
      // unusual, or a row that cannot be judged: the plain engine withholds it alone
    }
    formCounts.plain += 1;
    scanner.at = from;
    scanner.skipValue();
    this.plainBytes += scanner.at - from;
    const resource = this.#json(from);
    const [tree] = isObject(resource) ? rowOf(resource, this.#answer) : [];
    if (tree === undefined) return undefined;
    for (const name of tree.names) this.#cutter.numberOf(name);
    const number = this.#cutter.numberOf(tree.name);
    return { number, mode: "match", start, end: start, holes, holesEnd: holes, tree };
  }

  /** At an object: past it. `each` passes a value. */
  #members(each: (name: (typeof names)[number] | undefined, start: number) => void): void {
    const { scanner } = this.#cutter;
    const base = scanner.enter();
    if (scanner.next() !== 0x7d)
      for (;;) {
        const key = keys.get(scanner.key(base));
        each(key !== undefined && scanner.isKey(key.bytes) ? key.name : undefined, scanner.at);
        if (scanner.next() === 0x7d) break;
        scanner.pass(0x2c);
        scanner.next();
      }
    scanner.leave(base);
  }

  /** The value that was passed. */
  #json(start: number): Json {
    const { scanner } = this.#cutter;
    const read = readJson(scanner.bytes.subarray(start, scanner.at));
    if (!read.ok) throw unusual;
    return read.value;
  }

  /** The rows that leave. */
  left(): readonly CutRow[] {
    const matches = this.rows.filter(({ mode }) => mode === "match");
    if (matches.length === this.rows.length) return matches;
    const named = (row: CutRow) => ({
      row,
      name: this.names[row.number] ?? "",
      names: new Set(this.numbersIn([row]).map((number) => this.names[number] ?? "")),
    });
    const others = this.rows.filter(({ mode }) => mode !== "match");
    return [...matches, ...reached(matches.map(named), others.map(named)).map(({ row }) => row)];
  }

  /** The numbers of all rows that these rows name, each once. */
  numbersIn(rows: readonly CutRow[]): readonly number[] {
    const seen = new Uint8Array(this.names.length);
    const found: number[] = [];
    const note = (number: number) => {
      if (seen[number] === 0) found.push(number);
      seen[number] = 1;
    };
    for (const { holes, holesEnd, tree } of rows) {
      for (const name of tree?.names ?? []) note(this.#cutter.numberOf(name));
      for (let hole = holes; hole < holesEnd; hole += 2) note(this.output.holes[hole + 1] ?? 0);
    }
    return found;
  }
}

/** Undefined: the plain engine reads the answer, and decides. */
function cutAnswer(answer: ShownAnswer): CutAnswer | undefined {
  const cut = new CutAnswer(answer);
  try {
    cut.read();
    return cut;
  } catch (fault) {
    if (fault !== unusual) throw fault;
    return undefined;
  }
}

/** The code of each name that is used, by its number. A row without a code throws: nothing leaves. */
class CodeTable {
  readonly texts: string[] = [];
  readonly words: DataView;

  constructor(names: readonly string[], used: readonly number[], codes: ReadonlyMap<string, string>) {
    const bytes = new Uint8Array(codeBytes * names.length);
    this.words = wordsOf(bytes);
    for (const number of used) {
      const code = codes.get(names[number] ?? "");
      if (code?.length !== codeBytes) throw new Error("a row without a code");
      this.texts[number] = code;
      for (let at = 0; at < codeBytes; at += 1) {
        const sign = code.charCodeAt(at);
        // a code of `codeForm`: each sign stands in JSON as it is
        if (!((sign >= 0x30 && sign <= 0x39) || (sign >= 0x61 && sign <= 0x66)))
          throw new Error("a row without a code");
        bytes[number * codeBytes + at] = sign;
      }
    }
  }
}

const codeBytes = 32;

interface CodedRow {
  readonly row: CutRow;
  /** `Type/CODE` */
  readonly name: string;
  /** The text of a row of the plain engine. */
  readonly tree: Uint8Array | undefined;
}

const textOf = (text: string): DataView => wordsOf(utf8(text));
const afterUrl = textOf('","resource":');
const afterRow = {
  match: textOf(',"search":{"mode":"match"}}'),
  include: textOf(',"search":{"mode":"include"}}'),
};

/** The answer with its codes: in the bytes and the order of the plain engine's `searchset`. */
class CodedAnswer {
  readonly #cut: CutAnswer;
  readonly #codes: CodeTable;
  readonly #rows: readonly CodedRow[];
  #bytes = new Uint8Array(0);
  #words = wordsOf(this.#bytes);
  #at = 0;

  constructor(
    cut: CutAnswer,
    left: readonly CutRow[],
    used: readonly number[],
    codes: ReadonlyMap<string, string>,
  ) {
    const table = new CodeTable(cut.names, used, codes);
    this.#cut = cut;
    this.#codes = table;
    this.#rows = left.map((row) => {
      const name = cut.names[row.number] ?? "";
      return {
        row,
        name: `${name.slice(0, name.indexOf("/"))}/${table.texts[row.number] ?? ""}`,
        tree: row.tree && utf8(JSON.stringify(withCodes(row.tree.resource, codes))),
      };
    });
  }

  write({ base }: ShownAnswer): Uint8Array<ArrayBuffer> {
    const { isList, link, notices } = this.#cut;
    if (!isList) return this.#written(0, () => this.#row(this.#rows[0]));
    const beforeUrl = textOf(`{"fullUrl":${JSON.stringify(`${base}/`).slice(0, -1)}`);
    const told = notices.map((notice) => JSON.stringify(notice)).join(",");
    const before = `{"resourceType":"Bundle","type":"searchset","link":${JSON.stringify(link)}`;
    const hasEntries = this.#rows.length + notices.length > 0;
    const head = textOf(hasEntries ? `${before},"entry":[${told}` : before);
    const tail = textOf(hasEntries ? "]}" : "}");
    const each = beforeUrl.byteLength + afterUrl.byteLength + afterRow.include.byteLength + 1;
    return this.#written(head.byteLength + tail.byteLength + each * this.#rows.length, () => {
      this.#text(head);
      let count = notices.length;
      for (const coded of this.#inOrder()) {
        if (count++ > 0) this.#bytes[this.#at++] = 0x2c;
        this.#text(beforeUrl);
        this.#ascii(coded.name);
        this.#text(afterUrl);
        this.#row(coded);
        this.#text(afterRow[coded.row.mode]);
      }
      this.#text(tail);
    });
  }

  #inOrder(): readonly CodedRow[] {
    return this.#rows.toSorted(({ row: { mode }, name }, other) => {
      if (mode !== other.row.mode) return mode === "match" ? -1 : 1;
      return name === other.name ? 0 : name < other.name ? -1 : 1;
    });
  }

  #written(frames: number, write: () => void): Uint8Array<ArrayBuffer> {
    const length = this.#rows.reduce((sum, { row: { start, end, holes, holesEnd }, name, tree }) => {
      const own = tree?.length ?? end - start + ((holesEnd - holes) / 2) * codeBytes;
      return sum + name.length + own;
    }, frames);
    this.#bytes = new Uint8Array(length);
    this.#words = wordsOf(this.#bytes);
    write();
    return this.#bytes.subarray(0, this.#at);
  }

  #row(coded: CodedRow | undefined): void {
    if (coded?.tree !== undefined) return this.#text(wordsOf(coded.tree));
    const { output } = this.#cut;
    const { start = 0, end = 0, holes = 0, holesEnd = 0 } = coded?.row ?? {};
    let from = start;
    for (let hole = holes; hole < holesEnd; hole += 2) {
      const to = output.holes[hole] ?? 0;
      this.#copy(output.words, from, to - from);
      this.#copy(this.#codes.words, (output.holes[hole + 1] ?? 0) * codeBytes, codeBytes);
      from = to;
    }
    this.#copy(output.words, from, end - from);
  }

  #text(text: DataView): void {
    this.#copy(text, 0, text.byteLength);
  }

  #ascii(text: string): void {
    for (let at = 0; at < text.length; at += 1) this.#bytes[this.#at++] = text.charCodeAt(at);
  }

  #copy(source: DataView, from: number, length: number): void {
    copyWords(this.#words, this.#at, source, from, length);
    this.#at += length;
  }
}
