import { depthMax, isArray, isObject, readJson, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { utf8 } from "#kernel/encoded";
import { asciiText } from "#phi/bytes/ascii-text";
import { strictClasses } from "#phi/bytes/byte-classes";
import { hashOf } from "#phi/bytes/name-hash";
import { ByteScanner } from "#phi/bytes/scanner";
import { unusual } from "#phi/bytes/unusual";
import { isSame, isSameWords, wordsOf } from "#phi/bytes/words";
import { Deidentification, extensionsLeft, siblingsLeft, type DeidContext } from "#deid/deidentify";
import { isKnownCode, spellsOldAge } from "#deid/known-codes";
import { isOfAges } from "#deid/questions";
import { ageOf, unitOf, unitSystem } from "#deid/units";
import { yearIn } from "./date-form.ts";
import type { FormOutput } from "./form-output.ts";
import {
  mayLeave,
  nodeOf,
  pick,
  picksMax,
  rootNodeOf,
  ruleMax,
  type FormMember,
  type FormNode,
  type ValueKind,
} from "./form-plan.ts";
import { KnownTexts } from "./known-texts.ts";

const resourceTypeHash = hashOf("resourceType");
const resourceTypeName = utf8("resourceType");
const [systemRule, unitRule, typeRule] = [1, 2, 3];
const textBytesMax = 1_048_576;
const system = utf8(JSON.stringify(unitSystem));
const comparators = ["<", "<=", ">=", ">"].map((each) => utf8(JSON.stringify(each)));
const textOf = (text: string): DataView => wordsOf(utf8(text));
const subsettedCode = "SUBSETTED";
const subsetted = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"${subsettedCode}"}`;
const tagText = textOf(subsetted);
const tagAlone = textOf(`,"tag":[${subsetted}]`);
const metaAlone = textOf(`,"meta":{"tag":[${subsetted}]}`);
const measureParts = { value: textOf('{"value":'), comparator: textOf(',"comparator":') };
/** The end of a Quantity in a unit. */
const unitText = (code: string): string => {
  const text = JSON.stringify(code);
  return `,"unit":${text},"system":${JSON.stringify(unitSystem)},"code":${text}}`;
};
const quote = textOf('"');
const referenceEnd = textOf('"}');

// An isolate remembers R4's names and the codes of public lists between two answers.
const scanner = new ByteScanner();
const known = new KnownTexts();
/** Each code system has a rule of its own. A number is never used again. */
let lastSystem = ruleMax;
/** The number of the last text, or of the last part of a text whose output counts. */
let lastText = 0;
/** The values in a unit that may tell an age: only thousands of `%` and `h` do, and 366 `d` are a year. */
const [noAge, anyAge, ageOfThousands] = [0, 1, 2];
/** A shorter value is read again: a comparison takes as long. */
const repeatBytesMin = 12;

/**
 * Cuts the resources of an answer to a form in a single pass over their bytes, by the table of fates: the result of
 * `deidentify` without a tree. Unusual and malformed bytes end with `unusual`, and the plain engine decides. The rules of
 * the plain engine change rare values.
 */
export class FormCutter {
  readonly scanner = scanner;
  readonly output: FormOutput;
  /** `Type/id` of each named row, by its number. */
  readonly names: string[] = [];
  /** The number of the last resource that was cut. */
  number = 0;
  readonly #context: DeidContext;
  readonly #rules: Deidentification;
  readonly #numberOf = new Map<string, number>();
  /** Ranges of the picked members of an object. */
  readonly #from = new Int32Array(picksMax);
  readonly #to = new Int32Array(picksMax);
  #part = ++lastText;
  /** Grows with each value whose result depends on the row around the value, or decides about that row. */
  #effects = 0;
  #isWithheld = false;
  #hasId = false;
  /** The type of the last resource, and its node: most rows have the type of the row before. */
  #type = "";
  #root: FormNode | undefined;
  /** The object around the member. */
  #around = 0;
  /** The written references to contained resources, and the number of all such references. */
  #fragments: string[] = [];
  #fragmentsMet = 0;
  /** The contained resources: those to which the resource refers leave. */
  #contained: readonly JsonObject[] = [];

  constructor(context: DeidContext, text: Uint8Array, output: FormOutput) {
    this.#context = context;
    this.#rules = new Deidentification(context);
    this.output = output;
    scanner.load(text);
  }

  /**
   * At the opening brace of a resource: past the resource. False: the resource is withheld. Nothing is written of a
   * resource that is withheld or ends with `unusual`.
   */
  cut(): boolean {
    const { output } = this;
    const start = scanner.at;
    const depth = scanner.depth;
    const names = scanner.namesUsed;
    const at = output.at;
    const holes = output.holesUsed;
    let leaves = false;
    try {
      leaves = this.#cut(true);
      if (leaves && this.#rules.tellsOldAge) {
        this.dropOutput(at, holes);
        scanner.at = start;
        leaves = this.#cut(false);
      }
    } finally {
      scanner.depth = depth;
      scanner.namesUsed = names;
      if (!leaves) this.dropOutput(at, holes);
    }
    return leaves;
  }

  /** Drops the bytes of a resource, so that no later row repeats them. */
  dropOutput(at: number, holes: number): void {
    this.output.goBack(at, holes);
    this.#part = ++lastText;
  }

  /** The number of a row `Type/id`: a hole has it, and its code fills the hole. */
  numberOf(name: string): number {
    const number = this.#numberOf.get(name);
    if (number !== undefined) return number;
    this.#numberOf.set(name, this.names.length);
    return this.names.push(name) - 1;
  }

  #cut(keepsTimes: boolean): boolean {
    this.#rules.begin(keepsTimes);
    this.#isWithheld = false;
    this.#hasId = false;
    this.#fragments = [];
    this.#fragmentsMet = 0;
    this.#contained = [];
    let root = this.#root;
    if (root === undefined || !isAtOpening(root)) {
      this.#type = this.typeAhead();
      if (this.#type === "Bundle") throw unusual; // the resources inside it have rows of their own
      root = rootNodeOf(this.#type, this.#context.form);
      this.#root = root;
    }
    if (root === undefined) {
      scanner.skipValue();
      return false;
    }
    const isLeft = this.#object(root);
    return isLeft && this.#hasId && !this.#isWithheld;
  }

  /** The type of the resource at this place; "" if the resource states no type. */
  typeAhead(): string {
    const { bytes } = scanner;
    let at = scanner.space(scanner.at + 1);
    while (bytes[at] === 0x22) {
      const hash = scanner.name(at);
      const isType = hash === resourceTypeHash && scanner.isKey(resourceTypeName);
      const valueAt = scanner.valueAt(scanner.keyEnd);
      at = scanner.pastValue(valueAt);
      if (isType) {
        if (bytes[valueAt] !== 0x22) return "";
        if (hasEscape(bytes, valueAt, at)) throw unusual;
        return asciiText(bytes, valueAt + 1, at - 1);
      }
      at = scanner.space(at);
      if (bytes[at] !== 0x2c) return "";
      at = scanner.space(at + 1);
    }
    return "";
  }

  /** At an opening brace: past the object. True if a member was written. */
  #object(node: FormNode): boolean {
    const { output } = this;
    const { bytes, words } = scanner;
    if (++scanner.depth > depthMax) throw unusual;
    const base = scanner.namesUsed;
    const start = scanner.at;
    const isRoot = node.part === "resource";
    output.text(node.opening);
    let at = start + 1;
    let count = 0;
    let seen = 0;
    let seenFurther = 0;
    let satisfied = 0;
    let deaths = 0;
    let lostDeath = false;
    let hasMeta = false;
    let hasTag = false;
    let siblings: FormMember[] | undefined;
    let guess = node.first;
    let previous: FormMember | undefined;
    let sign = bytes[at] ?? 0;
    if (sign <= 0x20) {
      at = scanner.space(at);
      sign = bytes[at] ?? 0;
    }
    if (sign !== 0x7d) {
      for (;;) {
        if (sign !== 0x22) throw unusual;
        const name = at;
        let member = guess;
        let hash = 0;
        if (member !== undefined) {
          const length = member.label.byteLength - 1;
          if (isSameWords(member.label, 1, words, name, length)) at = name + length;
          else member = undefined;
        }
        if (member === undefined) {
          hash = scanner.name(name);
          member = memberAt(node, hash, name, scanner.keyEnd);
          at = scanner.valueAt(scanner.keyEnd);
          if (previous === undefined) node.first = member;
          else previous.next = member;
        }
        previous = member;
        guess = member?.next;
        const ordinal = member?.ordinal ?? 62;
        const bit = 1 << (ordinal < 31 ? ordinal : ordinal - 31);
        // A known member is itself alone; further names are compared by their hashes.
        if (ordinal < 31) {
          if ((seen & bit) !== 0) throw unusual;
          seen |= bit;
        } else if (ordinal < 62) {
          if ((seenFurther & bit) !== 0) throw unusual;
          seenFurther |= bit;
        } else scanner.noteName(member?.hash ?? hash, base);
        sign = bytes[at] ?? 0;
        if (sign <= 0x20) {
          at = scanner.space(at);
          sign = bytes[at] ?? 0;
        }

        if (member === undefined || (member.kind === "out" && member.lost === undefined)) {
          at = scanner.skip(at, sign, 0);
        } else if (member.kind === "picked") {
          this.#from[member.pick] = at;
          at = scanner.skip(at, sign, 0);
          this.#to[member.pick] = at;
        } else {
          const before = output.at;
          const holes = output.holesUsed;
          output.copy(member.label, count > 0 || isRoot ? 0 : 1, member.label.byteLength);
          scanner.at = at;
          this.#around = start;
          let isKept = member.mayRepeat ? this.#repeated(member, sign) : this.#member(member, sign);
          at = scanner.at;
          if (!isKept && member.beside?.lost !== undefined) throw unusual; // a modifier is masked
          if (isKept && member.beside !== undefined) {
            const { ordinal: own } = member.beside;
            if (own >= 62) throw unusual;
            const isSeen = ((own < 31 ? seen : seenFurther) & (1 << (own < 31 ? own : own - 31))) !== 0;
            if (isSeen) isKept = false;
            else (siblings ??= []).push(member.beside);
          } else if (siblings?.includes(member) === true) throw unusual;
          if (member.isDeath) deaths += 1;
          if (isKept) {
            if (member.isMeta) hasMeta = true;
            else if (member.isTag) hasTag = true;
          } else {
            output.goBack(before, holes);
            if (member.lost !== undefined) {
              output.copy(member.lost, count > 0 || isRoot ? 0 : 1, member.lost.byteLength);
              lostDeath ||= member.isDeath;
              isKept = true;
            }
          }
          if (isKept) {
            count += 1;
            satisfied |= member.groups;
          }
        }

        sign = bytes[at] ?? 0;
        if (sign <= 0x20) {
          at = scanner.space(at);
          sign = bytes[at] ?? 0;
        }
        if (sign === 0x7d) break;
        if (sign !== 0x2c) throw unusual;
        at += 1;
        sign = bytes[at] ?? 0;
        if (sign <= 0x20) {
          at = scanner.space(at);
          sign = bytes[at] ?? 0;
        }
      }
    }
    scanner.depth -= 1;
    scanner.namesUsed = base;
    scanner.at = at + 1;
    if (lostDeath && deaths > 1) throw unusual; // two members would become one
    if (count === 0) return false;
    for (const { bit, text } of node.required) if ((satisfied & bit) === 0) output.text(text);
    if (node.part === "meta" && !hasTag) output.text(tagAlone);
    if (isRoot && this.#contained.length > 0) this.#writeContained();
    if (isRoot && !hasMeta) output.text(metaAlone);
    output.byte(0x7d);
    return true;
  }

  /**
   * As {@link #member}: the rows of a page repeat categories, codes and subjects. The same bytes of the same member leave
   * the same bytes, so a comparison replaces the reading, unless the result depends on the row.
   */
  #repeated(member: FormMember, sign: number): boolean {
    const { last } = member;
    const { output } = this;
    const { at: start, words, length } = scanner;
    const known = last.end - last.start;
    if (
      last.text === this.#part &&
      last.depth === scanner.depth &&
      start + known <= length &&
      isSameWords(words, last.start, words, start, known)
    ) {
      scanner.at = start + known;
      if (!last.isKept) return false;
      const moved = output.at - last.output;
      output.copy(output.words, last.output, last.outputEnd);
      for (let hole = last.holes; hole < last.holesEnd; hole += 2) output.repeatHole(hole, moved);
      return true;
    }
    const effects = this.#effects;
    const from = output.at;
    const holes = output.holesUsed;
    const isKept = this.#member(member, sign);
    if (this.#effects !== effects || scanner.at - start < repeatBytesMin) return isKept;
    last.text = this.#part;
    last.depth = scanner.depth;
    last.start = start;
    last.end = scanner.at;
    last.isKept = isKept;
    last.output = from;
    last.outputEnd = output.at;
    last.holes = holes;
    last.holesEnd = output.holesUsed;
    return isKept;
  }

  /** At the value of a member whose name is written: past the value. False: the written bytes do not count. */
  #member(member: FormMember, sign: number): boolean {
    switch (member.kind) {
      case "withholds":
        this.#isWithheld = true;
        this.#effects += 1;
        return this.#skip(sign);
      case "unusual":
      case "picked":
        throw unusual;
      case "extension":
        return this.#extensions(sign);
      case "sibling":
        return this.#put(siblingsLeft(this.#readValue()));
      case "contained":
        return this.#passContained(sign);
      case "out":
        return this.#skip(sign);
      case "boolean":
      case "number":
      case "text":
      case "date":
      case "year":
      case "listed":
      case "beside":
      case "parts":
      case "coding":
      case "measure":
      case "reference":
      case "id":
      case "plain":
        if ((sign === 0x5b) !== member.repeats) return this.#skip(sign);
        return member.repeats ? this.#list(member, member.kind) : this.#value(member, member.kind, sign);
    }
  }

  #list(member: FormMember, kind: ValueKind): boolean {
    const { output } = this;
    const { bytes } = scanner;
    if (++scanner.depth > depthMax) throw unusual;
    output.byte(0x5b);
    let at = scanner.space(scanner.at + 1);
    let [count, marks] = [0, 0];
    if (bytes[at] !== 0x5d) {
      for (;;) {
        const before = output.at;
        const holes = output.holesUsed;
        if (count > 0) output.byte(0x2c);
        scanner.at = at;
        this.#isMark = false;
        const isKept = this.#value(member, kind, bytes[at] ?? 0);
        if (isKept && member.isTag && this.#isMark) marks += 1;
        if (isKept && !(member.isTag && this.#isMark)) count += 1;
        else output.goBack(before, holes);
        at = scanner.space(scanner.at);
        if (bytes[at] === 0x5d) break;
        if (bytes[at] !== 0x2c) throw unusual;
        at = scanner.space(at + 1);
      }
    }
    scanner.depth -= 1;
    scanner.at = at + 1;
    if (member.isTag && count + marks > 0) {
      if (count > 0) output.byte(0x2c);
      output.text(tagText);
    } else if (count === 0) return false;
    output.byte(0x5d);
    return true;
  }

  /** At a value or an item. */
  #value(member: FormMember, kind: ValueKind, sign: number): boolean {
    const isText = sign === 0x22;
    switch (kind) {
      case "parts":
        if (sign !== 0x7b) return this.#skip(sign);
        return this.#object(childOf(member, this.#context.form));
      case "coding":
        return sign === 0x7b ? this.#coding(member) : this.#skip(sign);
      case "measure":
        return sign === 0x7b ? this.#measure(member) : this.#skip(sign);
      case "reference":
        return sign === 0x7b ? this.#reference(member) : this.#skip(sign);
      case "boolean":
        return sign === 0x74 || sign === 0x66 ? this.#copy(sign) : this.#skip(sign);
      case "number":
        return sign === 0x2d || (sign >= 0x30 && sign <= 0x39)
          ? this.#number(member, sign)
          : this.#skip(sign);
      case "listed":
        return isText ? this.#listed(member) : this.#skip(sign);
      case "year":
      case "date":
        return isText ? this.#date(member) : this.#skip(sign);
      case "text":
        return isText ? this.#text(member) : this.#skip(sign);
      case "id":
        return isText ? this.#id() : this.#skip(sign);
      case "beside":
        return this.#beside(member);
      case "plain":
        return this.#plain(member, {});
    }
  }

  #skip(sign: number): false {
    scanner.at = scanner.skip(scanner.at, sign, 0);
    return false;
  }

  /** Copies a value that leaves unchanged. */
  #copy(sign: number): true {
    const start = scanner.at;
    scanner.at = scanner.skip(start, sign, 0);
    this.output.copy(scanner.words, start, scanner.at);
    return true;
  }

  /** At a value that the plain engine changes. */
  #plain({ slot, change }: FormMember, around: JsonObject): boolean {
    this.#effects += 1;
    const value = this.#readValue();
    return this.#put(slot && this.#rules.value(value, slot, change, around));
  }

  /** As {@link #plain}: the object around the value decides too. */
  #beside(member: FormMember): boolean {
    const around = this.#read(this.#around, scanner.pastValue(this.#around));
    return this.#plain(member, isObject(around) ? around : {});
  }

  #put(value: Json | undefined): boolean {
    if (value === undefined) return false;
    this.output.text(textOf(JSON.stringify(value)));
    return true;
  }

  /** Past a value: the value. */
  #readValue(): Json {
    const start = scanner.at;
    scanner.skipValue();
    return this.#read(start, scanner.at);
  }

  #read(start: number, end: number): Json {
    const read = readJson(scanner.bytes.subarray(start, end));
    if (!read.ok) throw unusual;
    return read.value;
  }

  #number(member: FormMember, sign: number): boolean {
    if (member.slot?.type === "decimal") return this.#copy(sign);
    const start = scanner.at;
    const end = scanner.number(start, sign);
    let at = start;
    while ((scanner.bytes[at] ?? 0) >= 0x30 && (scanner.bytes[at] ?? 0) <= 0x39) at += 1;
    // Up to nine digits are an integer of R4 for certain. Zero is not positive.
    return at === end && end - start < 10 && sign !== 0x30 ? this.#copy(sign) : this.#plain(member, {});
  }

  #listed(member: FormMember): boolean {
    const start = scanner.at;
    const end = scanner.skip(start, 0x22, 0);
    const entry = known.find(scanner.words, start, end, member.rule);
    if (entry < 0) return this.#learn(member, start, end);
    scanner.at = end;
    this.output.text(known.textOf(entry));
    return true;
  }

  #learn({ slot, change, rule }: FormMember, start: number, end: number): boolean {
    const left = slot && this.#rules.value(this.#readValue(), slot, change, {});
    if (left !== undefined) known.learn(scanner.words, start, end, rule, JSON.stringify(left));
    return this.#put(left);
  }

  #date(member: FormMember): boolean {
    const start = scanner.at;
    const end = scanner.skip(start, 0x22, 0);
    const year = yearIn(scanner.bytes, start + 1, end - 1, member.slot?.type ?? "");
    if (year < 0) return this.#plain(member, {});
    scanner.at = end;
    if (member.kind === "date") {
      this.output.copy(scanner.words, start, end);
      return true;
    }
    this.#effects += 1;
    if (!this.#rules.keepsYear(year)) return false;
    this.output.copy(scanner.words, start, start + 5);
    this.output.text(quote);
    return true;
  }

  /** A text of R4 that leaves unchanged. */
  #text(member: FormMember): boolean {
    const { bytes } = scanner;
    const start = scanner.at;
    const end = scanner.text(start, strictClasses);
    const length = end - start - 2;
    // An escape may be written in another way, and may be of a character that R4 refuses.
    if (length === 0 || length > textBytesMax || hasEscape(bytes, start, end)) return this.#plain(member, {});
    this.output.copy(scanner.words, start, end);
    scanner.at = end;
    return true;
  }

  /** At the id of the resource. */
  #id(): boolean {
    const { bytes } = scanner;
    const start = scanner.at;
    const end = scanner.skip(start, 0x22, 0);
    scanner.at = end;
    const length = end - start - 2;
    if (length < 1 || length > 64) return false;
    for (let at = start + 1; at < end - 1; at += 1) {
      const sign = bytes[at] ?? 0;
      if (sign === 0x5c) throw unusual;
      if (!isIdSign(sign) && sign !== 0x2e) return false;
    }
    this.#hasId = true;
    this.number = this.numberOf(`${this.#type}/${asciiText(bytes, start + 1, end - 1)}`);
    this.output.text(quote);
    this.output.hole(this.number);
    this.output.text(quote);
    return true;
  }

  /** Reads the picked members of an object, and writes nothing. */
  #pick(member: FormMember): void {
    const { output } = this;
    const before = output.at;
    for (let place = 0; place < picksMax; place += 1) this.#to[place] = 0;
    this.#object(childOf(member, this.#context.form));
    output.at = before;
  }

  #isTextAt(place: number): boolean {
    return (this.#to[place] ?? 0) !== 0 && scanner.bytes[this.#from[place] ?? 0] === 0x22;
  }

  /** The last coding is the mark of a part. */
  #isMark = false;

  #coding(member: FormMember): boolean {
    this.#pick(member);
    if (!this.#isTextAt(pick.system) || !this.#isTextAt(pick.code)) return false;
    const { words } = scanner;
    const from = this.#from;
    const to = this.#to;
    const systemAt = from[pick.system] ?? 0;
    const systemEnd = to[pick.system] ?? 0;
    const codeAt = from[pick.code] ?? 0;
    const codeEnd = to[pick.code] ?? 0;
    const systemEntry = known.find(words, systemAt, systemEnd, systemRule);
    if (systemEntry >= 0) {
      const entry = known.find(words, codeAt, codeEnd, known.noteOf(systemEntry));
      if (entry >= 0) {
        this.#isMark = known.noteOf(entry) === 1;
        this.output.text(known.textOf(entry));
        return true;
      }
    }
    const systemText = this.#read(systemAt, systemEnd);
    const code = this.#read(codeAt, codeEnd);
    if (typeof systemText !== "string" || typeof code !== "string" || !isKnownCode(systemText, code))
      return false;
    // The engine does not remember these codes: the plain engine reads each of their rows.
    if (isOfAges(systemText, code) || spellsOldAge(systemText, code)) throw unusual;
    this.#isMark = code === subsettedCode;
    const text = JSON.stringify({ system: systemText, code });
    let rule = systemEntry < 0 ? 0 : known.noteOf(systemEntry);
    if (rule === 0) {
      rule = ++lastSystem;
      known.find(words, systemAt, systemEnd, systemRule);
      known.learn(words, systemAt, systemEnd, systemRule, "", rule);
    }
    known.find(words, codeAt, codeEnd, rule);
    known.learn(words, codeAt, codeEnd, rule, text, this.#isMark ? 1 : 0);
    this.output.text(textOf(text));
    return true;
  }

  #measure(member: FormMember): boolean {
    const start = scanner.at;
    this.#pick(member);
    const { bytes, words } = scanner;
    const from = this.#from;
    const to = this.#to;
    const again = (): boolean => {
      scanner.at = start;
      if (this.#plain(member, {})) return true;
      scanner.at = start; // the question around a score decides
      return this.#beside(member);
    };
    for (const place of [pick.system, pick.comparator, pick.code, pick.unit])
      if (this.#isTextAt(place) && hasEscape(bytes, from[place] ?? 0, to[place] ?? 0)) return again();
    const value = bytes[from[pick.value] ?? 0] ?? 0;
    if (to[pick.value] === 0 || !(value === 0x2d || (value >= 0x30 && value <= 0x39))) return false;
    const hasSystem = this.#isTextAt(pick.system);
    if (hasSystem && !isSame(system, bytes, from[pick.system] ?? 0, to[pick.system] ?? 0)) return false;
    const hasComparator = this.#isTextAt(pick.comparator);
    if (hasComparator && !this.#isComparator()) return false;
    const unitAt = this.#isTextAt(pick.code) ? pick.code : pick.unit;
    if (!this.#isTextAt(unitAt)) return false;
    const unitFrom = from[unitAt] ?? 0;
    const unitTo = to[unitAt] ?? 0;
    let entry = known.find(words, unitFrom, unitTo, unitRule);
    if (entry < 0) {
      const text = this.#read(unitFrom, unitTo);
      const code = typeof text === "string" ? unitOf(text) : undefined;
      if (code === undefined) return false;
      const age = ageOf(code);
      const note =
        age === undefined
          ? noAge
          : age.years > (age.kind === "time" ? 0.001 : 0.01)
            ? anyAge
            : ageOfThousands;
      entry = known.learn(words, unitFrom, unitTo, unitRule, unitText(code), note);
      if (entry < 0) return again();
    }
    const note = known.noteOf(entry);
    if (member.change === "cappedMeasure" && note !== noAge)
      if (note === anyAge || !isBelowThousand(bytes, from[pick.value] ?? 0, to[pick.value] ?? 0))
        return again();
    const { output } = this;
    output.text(measureParts.value);
    output.copy(words, from[pick.value] ?? 0, to[pick.value] ?? 0);
    if (hasComparator) {
      output.text(measureParts.comparator);
      output.copy(words, from[pick.comparator] ?? 0, to[pick.comparator] ?? 0);
    }
    output.text(known.textOf(entry));
    return true;
  }

  #isComparator(): boolean {
    const from = this.#from[pick.comparator] ?? 0;
    const to = this.#to[pick.comparator] ?? 0;
    return comparators.some((each) => isSame(each, scanner.bytes, from, to));
  }

  #reference(member: FormMember): boolean {
    const start = scanner.at;
    this.#pick(member);
    if (!this.#isTextAt(pick.reference)) return false;
    const { bytes } = scanner;
    const from = this.#from[pick.reference] ?? 0;
    const to = this.#to[pick.reference] ?? 0;
    let slash = from + 1;
    while (isLetter(bytes[slash] ?? 0)) slash += 1;
    let end = slash + 1;
    while (isIdSign(bytes[end] ?? 0)) end += 1;
    const isPlain = bytes[slash] === 0x2f && end === to - 1 && end - slash > 1 && end - slash <= 65;
    if (!isPlain) return this.#unusualReference(member, start);
    const typed = this.#typeEntry(from, slash);
    if (typed < 0) return false;
    this.output.text(known.textOf(typed));
    this.output.hole(this.numberOf(asciiText(bytes, from + 1, end)));
    this.output.text(referenceEnd);
    return true;
  }

  /** The entry of a reference's beginning `"Patient/`; -1: no row of the type leaves. */
  #typeEntry(from: number, slash: number): number {
    const { bytes, words } = scanner;
    const entry = known.find(words, from, slash + 1, typeRule);
    if (entry >= 0) return entry;
    const type = asciiText(bytes, from + 1, slash);
    if (!mayLeave(type)) return -1;
    const text = `{"reference":"${type}/`;
    return known.learn(words, from, slash + 1, typeRule, text);
  }

  /** An address, a fragment, or a text that is no reference. */
  #unusualReference({ slot, change }: FormMember, start: number): boolean {
    const end = scanner.at;
    this.#effects += 1;
    const value = this.#read(start, end);
    if (isObject(value) && textAt(value, "reference")?.startsWith("#") === true) this.#fragmentsMet += 1;
    const left = slot && this.#rules.value(value, slot, change, {});
    const reference = isObject(left) ? left["reference"] : undefined;
    if (typeof reference !== "string") return false;
    if (reference.startsWith("#")) {
      this.#fragments.push(reference);
      return this.#put(left);
    }
    const slash = reference.indexOf("/") + 1;
    this.output.text(textOf(`{"reference":"${reference.slice(0, slash)}`));
    this.output.hole(this.numberOf(reference));
    this.output.text(referenceEnd);
    return true;
  }

  #extensions(sign: number): boolean {
    if (sign !== 0x5b) return this.#skip(sign);
    return this.#put(extensionsLeft(this.#readValue()));
  }

  #passContained(sign: number): boolean {
    if (sign !== 0x5b) return this.#skip(sign);
    if (this.#fragmentsMet > 0) throw unusual; // a reference before the list
    this.#effects += 1;
    const list = this.#readValue();
    this.#contained = this.#rules.contained(isArray(list) ? list : []);
    if (this.#rules.hasRows) throw unusual; // only references are written as codes below
    if (this.#rules.isUnreadable) this.#isWithheld = true;
    return false;
  }

  /** Writes the contained resources to which a reference leads: behind the other members, as the plain engine does. */
  #writeContained(): void {
    const all = JSON.stringify(this.#contained);
    const referred = this.#contained.filter((each) => {
      const fragment = `#${textAt(each, "id") ?? ""}`;
      return this.#fragments.includes(fragment) || all.includes(`"reference":"${fragment}"`);
    });
    if (referred.length === 0) return;
    // Every second part is the reference to a row.
    for (const [index, part] of `,"contained":${JSON.stringify(referred)}`.split(rowReference).entries()) {
      const isText = index % 2 === 0;
      this.output.text(textOf(isText ? part : part.slice(0, part.indexOf("/") + 1)));
      if (!isText) this.output.hole(this.numberOf(part));
    }
  }
}

/** A reference in a contained resource that leaves. A quote inside of a text is escaped. */
const rowReference = /(?<="reference":")([A-Za-z]+\/[A-Za-z0-9.-]+)(?=")/u;

/** Answers whether a resource begins with its type, and the type is this one. */
const isAtOpening = ({ opening }: FormNode): boolean =>
  isSameWords(opening, 0, scanner.words, scanner.at, opening.byteLength);

const isLetter = (sign: number): boolean => (sign | 0x20) >= 0x61 && (sign | 0x20) <= 0x7a;
const isIdSign = (sign: number): boolean => isLetter(sign) || (sign >= 0x30 && sign <= 0x39) || sign === 0x2d;

function hasEscape(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) if (bytes[at] === 0x5c) return true;
  return false;
}

/** Answers whether a number has at most three digits before its point, and no exponent. */
function isBelowThousand(bytes: Uint8Array, from: number, to: number): boolean {
  let point = to;
  for (let at = from; at < to; at += 1) {
    const sign = bytes[at] ?? 0;
    if (sign === 0x2e) point = at;
    else if (sign !== 0x2d && (sign < 0x30 || sign > 0x39)) return false;
  }
  return point - from <= 3;
}

const childOf = (member: FormMember, form: DeidContext["form"]): FormNode =>
  (member.child ??= nodeOf(
    member.slot?.type ?? "",
    form,
    member.kind !== "parts" ? "picked" : member.isMeta ? "meta" : "element",
  ));

function memberAt(node: FormNode, hash: number, quote: number, keyEnd: number): FormMember | undefined {
  const member = node.members.get(hash);
  if (member === undefined) return undefined;
  const { label } = member;
  const length = keyEnd + 1 - quote;
  // A name with the hash of a known name is another name.
  const isKnown = label.byteLength === length + 2 && isSameWords(label, 1, scanner.words, quote, length);
  return isKnown ? member : undefined;
}
