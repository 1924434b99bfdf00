import { utf8 } from "#kernel/encoded";
import { inlineLabel } from "#fhir/json/facts";
import { depthMax, isObject, readJson, resourceBytesMax, type Json, type JsonObject } from "#fhir/json/json";
import { subsetted } from "#phi/contained";
import { isShown } from "#phi/extension";
import type { Bases, OriginUrls } from "#phi/origin-urls";
import type { ObjectView } from "#policy/view/view";
import { asciiText } from "./ascii-text.ts";
import { byteClass, strictClasses, type ByteClasses, type Needle } from "./byte-classes.ts";
import { isSame, mayNamePatient, Mentions } from "./mentions.ts";
import {
  absentReasonUrl,
  factsMax,
  groupSize,
  hashOf,
  memberField,
  memberFlag,
  memberKind,
  nodeField,
  nodeFlag,
  type Plan,
  type SystemSlices,
} from "./plan.ts";
import { unusual } from "./unusual.ts";

/** Members of one object. A resource of R4 has at most 60; every name is compared with all before it. */
const namesMax = 128;
/** Zeros behind the text: no look-ahead leaves the array. */
const padding = 128;
/** Bytes of free output behind each run, for the signs between two runs. */
const slack = 16;
/** A run of at least this many bytes is copied by the runtime. */
const longRun = 256;
/** Texts that are remembered within an answer. */
const [unchangedMax, unchangedBytesMax] = [16, 64];
/** Longer texts are read into an array of their own, which is dropped afterwards. */
export const keptBytesMax = 1_048_576;
const outBytesMin = 65_536;

const urlHash = hashOf("url");
const systemHash = hashOf("system");
const systemName = utf8("system");
const urlName = utf8('"url"');
const label = utf8(inlineLabel);
const subsettedText = JSON.stringify(subsetted);
const subsettedTag = utf8(subsettedText);
const subsettedCode = utf8("SUBSETTED");
const tagAlone = utf8(`"tag":[${subsettedText}]`);
const metaAlone = utf8(`"meta":{"tag":[${subsettedText}]}`);
const deceasedTrue = utf8('"deceasedBoolean":true');

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The string needs a closer look: an address may be in it. */
const flagLook = 1;
/** The string has an escape that is written in another way when it leaves. */
const flagRewrite = 2;
/** The mapped form of a string is the text itself. */
const asWritten = new Uint8Array();

/** What an answer's resources are cut by, besides their plans. */
export interface CutContext {
  readonly bases: Bases;
  readonly classes: ByteClasses;
  readonly urls: OriginUrls;
  /** Answers whether the linked record of a Patient may be named. */
  readonly mayLinkTo: (other: JsonObject) => boolean;
}

/**
 * Cuts resources by their plans in one pass over their bytes. It is strict like `readJson`: UTF-8, control
 * characters, escapes, numbers, depth and repeated names are all checked, in hidden elements too. Whatever is
 * unusual or malformed ends with `unusual`: then nothing of the output counts. One instance is used between two
 * awaits only, by one answer at a time.
 */
export class ByteCutter {
  /** The text, with zeros behind it. */
  #bytes: Uint8Array = new Uint8Array(65_536 + padding);
  /** The text is read where it stands, so nothing is written to its array. */
  #isBorrowed = false;
  #length = 0;
  /** Position in the text. */
  #at = 0;
  #out = new Uint8Array(outBytesMin);
  #written = 0;
  /** Bytes of the text that leave as they are and are not yet copied: `[runStart, runEnd)`. */
  #runStart = 0;
  #runEnd = 0;
  #depth = 0;
  /** The hashes of the names of all open objects. */
  readonly #names = new Int32Array(depthMax * namesMax + namesMax);
  #namesUsed = 0;
  /** For each depth of a hidden value: where the names of the object around it begin, or -1 for a list. */
  readonly #outer = new Int32Array(depthMax + 2);
  #keyEnd = 0;
  #flags = 0;
  /** Number tokens read so far. */
  #numbers = 0;
  #rewritten: Uint8Array = asWritten;
  /** Free texts of this answer that needed a closer look and leave as they are, as JSON. */
  #unchanged: Uint8Array[] = [];
  #lastUpdated: string | undefined;
  /** The members that were written, by their index in the plan, if asked for. */
  #journal: number[] | undefined;

  #context: CutContext | undefined;
  #classes: Uint8Array = strictClasses;
  #needles: readonly Needle[] = [];
  #urls: OriginUrls | undefined;
  #mayLinkTo: (other: JsonObject) => boolean = () => false;
  readonly mentions = new Mentions();

  /** Ranges of the facts of the last resource, by their index in the plan; the end is 0 for an absent fact. */
  readonly factStart = new Int32Array(factsMax);
  readonly factEnd = new Int32Array(factsMax);
  /** True if a fact contains a number, whose own text counts. */
  factHasNumber = false;

  /** Before a text of an answer; the patients of its references are remembered until the next answer. */
  begin(context: CutContext): void {
    if (context === this.#context) return;
    const { bases, classes, urls, mayLinkTo } = context;
    this.#context = context;
    this.#unchanged = [];
    this.#classes = classes.table;
    this.#needles = classes.needles;
    this.#urls = urls;
    this.#mayLinkTo = mayLinkTo;
    this.mentions.begin([bases.origin, bases.public]);
  }

  /** Takes a text of at most 8 MiB. */
  load(text: Uint8Array): void {
    const { length } = text;
    if (length > resourceBytesMax) throw unusual;
    if (this.#out.length > 2 * keptBytesMax) this.#out = new Uint8Array(outBytesMin);
    const padded = length > keptBytesMax ? paddedFrom(text) : undefined;
    if (padded === undefined) {
      if (
        this.#isBorrowed ||
        this.#bytes.length < length + padding ||
        this.#bytes.length > keptBytesMax + padding
      )
        this.#bytes = new Uint8Array(Math.max(65_536, Math.min(2 * length, keptBytesMax), length) + padding);
      this.#bytes.set(text);
      this.#bytes.fill(0, length, length + padding);
    } else this.#bytes = padded;
    this.#isBorrowed = padded !== undefined;
    this.#length = length;
    this.#at = 0;
    this.#depth = 0;
    this.#namesUsed = 0;
    this.#written = 0;
    this.#runStart = 0;
    this.#runEnd = 0;
  }

  /** The text that was loaded, with zeros behind it. It changes with the next text. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Position in the text. */
  get at(): number {
    return this.#at;
  }

  /** Past white space: the next byte, 0 at the end. */
  next(): number {
    this.#at = this.#space(this.#at);
    return this.#bytes[this.#at] ?? 0;
  }

  get isAtEnd(): boolean {
    return this.next() === 0 && this.#at === this.#length;
  }

  /** Past a sign. */
  pass(sign: number): void {
    if (this.#bytes[this.#at] !== sign) throw unusual;
    this.#at += 1;
  }

  /** Enters an object or leaves it: for members outside of resources. */
  enter(): number {
    this.pass(0x7b);
    if (++this.#depth > depthMax) throw unusual;
    return this.#namesUsed;
  }

  leave(base: number): void {
    this.pass(0x7d);
    this.#depth -= 1;
    this.#namesUsed = base;
  }

  /**
   * At the opening quote of a name: past the colon, at the value.
   *
   * @param base result of `enter`. @returns the hash of the name, see `hashOf`.
   */
  key(base: number): number {
    const quote = this.#at;
    this.pass(0x22);
    const hash = this.#name(quote);
    this.#noteName(hash, base);
    this.#at = this.#valueAt(this.#keyEnd);
    return hash;
  }

  /** Answers whether the last name is this one: another name may have its hash. */
  isKey(name: Uint8Array): boolean {
    return isSame(name, this.#bytes, this.#keyEnd - name.length, this.#keyEnd)
      ? this.#bytes[this.#keyEnd - name.length - 1] === 0x22
      : false;
  }

  /** At a value that does not leave: past it. @param hash of its name, if it is part of a resource. */
  skip(hash = 0): void {
    this.#at = this.#skip(this.#at, this.#bytes[this.#at] ?? 0, hash);
  }

  /** The output of the last resource, until the next. */
  get output(): Uint8Array {
    return this.#out.subarray(0, this.#written);
  }

  get lastUpdated(): string | undefined {
    return this.#lastUpdated;
  }

  /**
   * At the opening brace of a resource: past it. The output is what its plan shows.
   *
   * @param journal gets the written members, by their index in the plan.
   */
  cut(plan: Plan, journal?: number[]): void {
    this.mentions.reset();
    this.factEnd.fill(0);
    this.factHasNumber = false;
    this.#lastUpdated = undefined;
    this.#rewritten = asWritten;
    this.#journal = journal;
    if (journal !== undefined) journal.length = 0;
    this.#written = 0;
    this.#runStart = this.#runEnd = this.#at;
    if (this.#bytes[this.#at] !== 0x7b) throw unusual;
    this.#object(plan, plan.root);
    this.#flush();
  }

  /** Goes back to where the last resource began, to cut it again. */
  rewind(at: number): void {
    this.#at = at;
  }

  /** Goes to where a text begins inside the text that was loaded. */
  start(at: number): void {
    this.#at = at;
    this.#depth = 0;
    this.#namesUsed = 0;
  }

  /** Writes the output of the last resource into an array. */
  copyOutput(target: Uint8Array, at: number): void {
    target.set(this.#out.subarray(0, this.#written), at);
  }

  /** The output between two texts, in the array that it was written to: it is not copied. */
  takeOutput(before: Uint8Array, after: Uint8Array): Uint8Array {
    this.#reserve(before.length + after.length);
    const length = before.length + this.#written + after.length;
    const text = this.#out.subarray(0, length);
    text.copyWithin(before.length, 0, this.#written);
    text.set(before);
    text.set(after, length - after.length);
    this.#out = new Uint8Array(outBytesMin);
    this.#written = 0;
    return text;
  }

  get outputLength(): number {
    return this.#written;
  }

  /** At an opening brace, where a run ends: past the object. True if anything was written. */
  #object(plan: Plan, node: number): boolean {
    const bytes = this.#bytes;
    const { table, names } = plan;
    if (++this.#depth > depthMax) throw unusual;
    const base = this.#namesUsed;
    const isWhole = ((table[node] ?? 0) & nodeFlag.whole) !== 0;
    let at = this.#at;
    this.#runEnd = at + 1;
    at += 1;
    let count = 0;
    let seen = 0;
    let seenFurther = 0;
    let satisfied = 0;
    let present = 0;
    let isIdAlone = true;
    let hasMeta = false;
    let hasTag = false;
    let deceased = 0;
    let referenceStart = 0;
    let referenceEnd = 0;
    let isReferencePlain = true;
    let typeStart = 0;
    let typeEnd = 0;
    let isTypePlain = true;
    let guess = table[node + nodeField.first] ?? 0;
    let previous = 0;
    let sign = bytes[at] ?? 0;
    if (sign <= 0x20) {
      at = this.#space(at);
      sign = bytes[at] ?? 0;
    }
    if (sign !== 0x7d) {
      for (;;) {
        if (sign !== 0x22) throw unusual;
        const quote = at;
        let member = 0;
        let hash = 0;
        let keyEnd = 0;
        if (guess !== 0) {
          const from = table[guess + memberField.name] ?? 0;
          const length = table[guess + memberField.length] ?? 0;
          let same = 0;
          while (same < length && bytes[quote + 1 + same] === names[from + same]) same += 1;
          if (same === length && bytes[quote + 1 + length] === 0x22) {
            member = guess;
            hash = table[guess] ?? 0;
            keyEnd = quote + 1 + length;
          }
        }
        if (member === 0) {
          hash = this.#name(quote);
          keyEnd = this.#keyEnd;
          member = this.#find(plan, node, hash, quote + 1, keyEnd);
          if (previous === 0) table[node + nodeField.first] = member;
          else table[previous + memberField.next] = member;
        }
        previous = member;
        guess = member === 0 ? 0 : (table[member + memberField.next] ?? 0);
        // A known member is itself alone; further names are compared by their hashes.
        const ordinal = member === 0 ? 62 : (table[member + memberField.ordinal] ?? 0);
        if (ordinal < 31) {
          const bit = 1 << ordinal;
          if ((seen & bit) !== 0) throw unusual;
          seen |= bit;
        } else if (ordinal < 62) {
          const bit = 1 << (ordinal - 31);
          if ((seenFurther & bit) !== 0) throw unusual;
          seenFurther |= bit;
        } else this.#noteName(hash, base);
        at = keyEnd + 1;
        sign = bytes[at] ?? 0;
        if (sign !== 0x3a) {
          at = this.#space(at);
          if (bytes[at] !== 0x3a) throw unusual;
        }
        at += 1;
        sign = bytes[at] ?? 0;
        if (sign <= 0x20) {
          at = this.#space(at);
          sign = bytes[at] ?? 0;
        }

        const valueAt = at;
        const numbers = this.#numbers;
        if (member === 0) at = this.#skip(at, sign, hash);
        else {
          const kind = table[member + memberField.kind] ?? 0;
          const flags = table[member + memberField.flags] ?? 0;
          let isKept = false;
          if (kind === memberKind.text && (flags & memberFlag.repeats) === 0) {
            if (sign === 0x22) {
              at = this.#text(at, this.#classes);
              const look = this.#flags;
              if (hash === urlHash) this.#passLabel(valueAt, at, look);
              if ((flags & memberFlag.reference) !== 0) {
                referenceStart = valueAt;
                referenceEnd = at;
                isReferencePlain = look === 0;
              } else if ((flags & memberFlag.referenceType) !== 0) {
                typeStart = valueAt;
                typeEnd = at;
                isTypePlain = look === 0;
              }
              if (look === 0 && (flags & memberFlag.follows) === 0) isKept = true;
              else isKept = this.#look(look, flags, valueAt, at);
              if (isKept) {
                this.#open(quote, count);
                if (valueAt !== keyEnd + 2) this.#key(keyEnd, valueAt);
                if (this.#rewritten === asWritten) this.#runEnd = at;
                else this.#replace(valueAt, at);
                if ((flags & memberFlag.lastUpdated) !== 0) this.#noteLastUpdated(look, valueAt, at);
              }
            } else if (sign === 0x6e) at = this.#word(at, 0x75, 0x6c, 0x6c, 4);
            else throw unusual;
          } else if (kind === memberKind.hidden) {
            at = this.#skip(at, sign, hash);
            if (sign === 0x22 && (flags & memberFlag.reference) !== 0) {
              referenceStart = valueAt;
              referenceEnd = at;
              isReferencePlain = false;
            } else if (sign === 0x22 && (flags & memberFlag.referenceType) !== 0) {
              typeStart = valueAt;
              typeEnd = at;
              isTypePlain = false;
            }
          } else if (sign === 0x6e && kind !== memberKind.unusual) {
            // A fact below a `meta` of null is null, not absent: a rule for rows without a label covers it not.
            if ((flags & memberFlag.meta) !== 0) throw unusual;
            at = this.#word(at, 0x75, 0x6c, 0x6c, 4); // FHIR JSON allows null only in lists of primitives
          } else {
            const written = this.#written;
            const runStart = this.#runStart;
            const runEnd = this.#runEnd;
            const journalled = this.#journal === undefined ? 0 : this.#journal.length;
            this.#open(quote, count);
            if (kind === memberKind.deceased) {
              at = this.#skip(at, sign, hash);
              this.#insert(deceasedTrue, at);
              isKept = true;
            } else {
              if (valueAt !== keyEnd + 2) this.#key(keyEnd, valueAt);
              else this.#runEnd = valueAt;
              this.#at = at;
              isKept = this.#value(plan, node, member, kind, flags, sign);
              at = this.#at;
            }
            if (!isKept) {
              this.#written = written;
              this.#runStart = runStart;
              this.#runEnd = runEnd;
              if (this.#journal !== undefined) this.#journal.length = journalled;
            } else if ((flags & memberFlag.meta) !== 0) hasMeta = true;
            else if ((flags & memberFlag.tag) !== 0) hasTag = true;
            if ((flags & memberFlag.deceased) !== 0) deceased += 1;
          }
          const groups = table[member + memberField.groups] ?? 0;
          if (isKept) {
            count += 1;
            satisfied |= groups;
            if ((flags & memberFlag.id) === 0) isIdAlone = false;
            if (this.#journal !== undefined) this.#journal.push(table[member + memberField.index] ?? 0);
          }
          if (isWhole && kind !== memberKind.sibling) present |= groups;
          const fact = table[member + memberField.fact] ?? 0;
          if (fact !== 0) {
            this.factStart[fact - 1] = valueAt;
            this.factEnd[fact - 1] = at;
            if (this.#numbers !== numbers) this.factHasNumber = true;
          }
        }

        sign = bytes[at] ?? 0;
        if (sign <= 0x20) {
          at = this.#space(at);
          sign = bytes[at] ?? 0;
        }
        if (sign === 0x7d) break;
        if (sign !== 0x2c) throw unusual;
        at += 1;
        sign = bytes[at] ?? 0;
        if (sign <= 0x20) {
          at = this.#space(at);
          sign = bytes[at] ?? 0;
        }
      }
    }
    this.#depth -= 1;
    this.#namesUsed = base;
    this.#at = at + 1;
    if (deceased > 1) throw unusual; // two forms of one member
    const nodeFlags = table[node] ?? 0;
    if ((nodeFlags & nodeFlag.resource) === 0) {
      if (count === 0) return false;
      // ele-1: an id alone is no element
      if (isIdAlone && (nodeFlags & nodeFlag.sibling) !== 0) throw unusual; // with a value it is
      if (isIdAlone) return false;
      if ((nodeFlags & nodeFlag.reference) !== 0) {
        const isIdentified = (nodeFlags & nodeFlag.identifies) !== 0;
        if (isReferencePlain && typeEnd === 0)
          this.mentions.mention(
            bytes,
            referenceStart + 1,
            referenceEnd === 0 ? 0 : referenceEnd - 1,
            isIdentified,
          );
        else if (isReferencePlain && isTypePlain && !mayNamePatient(bytes, typeStart, typeEnd))
          this.mentions.mention(
            bytes,
            referenceStart + 1,
            referenceEnd === 0 ? 0 : referenceEnd - 1,
            isIdentified,
          );
        else this.#mention(referenceStart, referenceEnd, typeStart, typeEnd, isIdentified);
      }
    }
    const groups = table[node + nodeField.requiredCount] ?? 0;
    if (groups > 0) {
      const start = table[node + nodeField.required] ?? 0;
      for (let group = start; group < start + groups * groupSize; group += groupSize) {
        const bit = table[group] ?? 0;
        if ((satisfied & bit) !== 0 || (isWhole && (present & bit) === 0)) continue;
        this.#append(count, names.subarray(table[group + 1], table[group + 2]), at);
        count += 1;
      }
    }
    if ((nodeFlags & nodeFlag.subsettedMeta) !== 0 && !hasTag) {
      this.#append(count, tagAlone, at);
      count += 1;
    }
    if ((nodeFlags & nodeFlag.resource) !== 0 && plan.subsetted && !hasMeta)
      this.#append(count, metaAlone, at);
    this.#close(at);
    return true;
  }

  /** At a value of a member whose run is open. True if anything of it was written. */
  #value(plan: Plan, node: number, member: number, kind: number, flags: number, sign: number): boolean {
    const repeats = (flags & memberFlag.repeats) !== 0;
    switch (kind) {
      case memberKind.object:
        if (!repeats)
          return this.#child(plan, plan.table[member + memberField.child] || plan.childOf(member), sign);
        return this.#objects(plan, member, kind, flags, sign);
      case memberKind.sliced:
        if (!repeats) return this.#sliced(plan, member, sign);
        return this.#objects(plan, member, kind, flags, sign);
      case memberKind.text:
      case memberKind.boolean:
      case memberKind.number:
        if (repeats) return this.#primitives(kind, flags, sign);
        this.#at = kind === memberKind.boolean ? this.#boolean(this.#at, sign) : this.#number(this.#at, sign);
        this.#runEnd = this.#at;
        return true;
      case memberKind.type:
        if (sign !== 0x22) throw unusual;
        this.#at = this.#text(this.#at, strictClasses);
        if ((this.#flags & flagRewrite) !== 0) throw unusual;
        this.#runEnd = this.#at;
        return true;
      case memberKind.extension:
        return this.#extensions(plan, node, member, sign);
      case memberKind.sibling:
        return this.#sibling(plan, node, member, flags, sign);
      case memberKind.link: {
        if (repeats || sign !== 0x7b) throw unusual;
        const start = this.#at;
        this.skip();
        const other = this.#read(start, this.#at);
        if (!isObject(other)) throw unusual;
        if (!this.#mayLinkTo(other)) return false;
        this.#at = start;
        return this.#child(plan, plan.childOf(member), sign);
      }
      default:
        throw unusual;
    }
  }

  #child(plan: Plan, node: number, sign: number): boolean {
    if (sign !== 0x7b) throw unusual;
    return this.#object(plan, node);
  }

  /** At a list of objects. */
  #objects(plan: Plan, member: number, kind: number, flags: number, sign: number): boolean {
    if (sign !== 0x5b) throw unusual;
    const bytes = this.#bytes;
    const start = this.#at;
    let at = this.#openList();
    let count = 0;
    const child =
      kind === memberKind.sliced ? 0 : plan.table[member + memberField.child] || plan.childOf(member);
    let item = bytes[at] ?? 0;
    if (item !== 0x5d) {
      for (;;) {
        const written = this.#written;
        const runStart = this.#runStart;
        const runEnd = this.#runEnd;
        const journalled = this.#journal === undefined ? 0 : this.#journal.length;
        this.#open(at, count);
        this.#at = at;
        const isKept =
          kind === memberKind.sliced ? this.#sliced(plan, member, item) : this.#child(plan, child, item);
        if (isKept) count += 1;
        else {
          this.#written = written;
          this.#runStart = runStart;
          this.#runEnd = runEnd;
          if (this.#journal !== undefined) this.#journal.length = journalled;
        }
        at = this.#itemEnd(this.#at);
        if (bytes[at] === 0x5d) break;
        at = this.#space(at + 1);
        item = bytes[at] ?? 0;
      }
    }
    if ((flags & memberFlag.tag) !== 0 && plan.subsetted && count > 0) {
      // The origin's own mark is not doubled: the plain engine knows it in every spelling.
      for (let each = start; each < at; each += 1)
        if (bytes[each] === 0x5c || (bytes[each] === 0x53 && this.#isAt(each, subsettedCode))) throw unusual;
      this.#append(1, subsettedTag, at);
    }
    this.#closeList(at);
    return count > 0;
  }

  /** At an item of which the slices decide. */
  #sliced(plan: Plan, member: number, sign: number): boolean {
    if (sign !== 0x7b) throw unusual;
    const start = this.#at;
    const slices = plan.slicesOf(member);
    const view =
      slices === "other" ? plan.viewOfItem(member, this.#readItem(start)) : this.#viewBySystem(slices);
    if (view === undefined) return false;
    this.#at = start;
    return this.#object(plan, plan.nodeOf(view, plan.pathOf(member)));
  }

  #readItem(start: number): JsonObject {
    this.skip();
    const item = this.#read(start, this.#at);
    if (!isObject(item)) throw unusual;
    return item;
  }

  /** At an item: past it. */
  #viewBySystem({ texts, views, others }: SystemSlices): ObjectView | undefined {
    const bytes = this.#bytes;
    const base = this.enter();
    let view = others;
    if (this.next() !== 0x7d) {
      for (;;) {
        const hash = this.key(base);
        const isSystem = hash === systemHash && this.isKey(systemName);
        const valueAt = this.#at;
        this.skip(hash);
        if (isSystem && bytes[valueAt] === 0x22) {
          for (let each = valueAt; each < this.#at; each += 1) if (bytes[each] === 0x5c) throw unusual;
          for (const [index, text] of texts.entries())
            if (isSame(text, bytes, valueAt, this.#at)) view = views[index];
        }
        if (this.next() === 0x7d) break;
        this.pass(0x2c);
        this.next();
      }
    }
    this.leave(base);
    return view;
  }

  /** At a list of primitives. */
  #primitives(kind: number, flags: number, sign: number): boolean {
    if (sign !== 0x5b) throw unusual;
    const bytes = this.#bytes;
    let at = this.#openList();
    let count = 0;
    let item = bytes[at] ?? 0;
    if (item !== 0x5d) {
      for (;;) {
        const valueAt = at;
        if (item === 0x6e) at = this.#word(at, 0x75, 0x6c, 0x6c, 4);
        else if (kind === memberKind.text) {
          if (item !== 0x22) throw unusual;
          at = this.#text(at, this.#classes);
          const look = this.#flags;
          if ((look === 0 && (flags & memberFlag.follows) === 0) || this.#look(look, flags, valueAt, at)) {
            this.#open(valueAt, count);
            count += 1;
            if (this.#rewritten === asWritten) this.#runEnd = at;
            else this.#replace(valueAt, at);
          }
        } else {
          at = kind === memberKind.boolean ? this.#boolean(at, item) : this.#number(at, item);
          this.#open(valueAt, count);
          count += 1;
          this.#runEnd = at;
        }
        at = this.#itemEnd(at);
        if (bytes[at] === 0x5d) break;
        at = this.#space(at + 1);
        item = bytes[at] ?? 0;
      }
    }
    this.#closeList(at);
    return count > 0;
  }

  #extensions(plan: Plan, node: number, member: number, sign: number): boolean {
    if (sign !== 0x5b) throw unusual;
    const bytes = this.#bytes;
    const showsAll = ((plan.table[node] ?? 0) & nodeFlag.allExtensions) !== 0;
    let at = this.#openList();
    let count = 0;
    let item = bytes[at] ?? 0;
    if (item !== 0x5d) {
      for (;;) {
        if (item !== 0x7b) throw unusual;
        this.#at = at;
        if (showsAll || this.#isExtensionShown(plan, node)) {
          const written = this.#written;
          const runStart = this.#runStart;
          const runEnd = this.#runEnd;
          const journalled = this.#journal === undefined ? 0 : this.#journal.length;
          this.#open(at, count);
          this.#at = at;
          if (this.#object(plan, plan.extensionOf(member))) count += 1;
          else {
            this.#written = written;
            this.#runStart = runStart;
            this.#runEnd = runEnd;
            if (this.#journal !== undefined) this.#journal.length = journalled;
          }
        } else {
          this.#at = at;
          this.skip();
        }
        at = this.#itemEnd(this.#at);
        if (bytes[at] === 0x5d) break;
        at = this.#space(at + 1);
        item = bytes[at] ?? 0;
      }
    }
    this.#closeList(at);
    return count > 0;
  }

  /** At an extension. Its URL usually comes first. */
  #isExtensionShown(plan: Plan, node: number): boolean {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = this.#space(start + 1);
    if (this.#isAt(at, urlName)) {
      at = this.#space(at + urlName.length);
      if (bytes[at] === 0x3a) {
        at = this.#space(at + 1);
        if (bytes[at] === 0x22) {
          const end = this.#text(at, strictClasses);
          for (let each = at; each < end; each += 1) if (bytes[each] === 0x5c) throw unusual;
          for (const url of plan.extensionUrls) if (isSame(url, bytes, at, end)) return true;
          if (!isSame(absentReasonUrl, bytes, at, end)) return false;
        }
      }
    }
    return isShown(this.#readItem(start), plan.viewAt(node).extensions);
  }

  /** At the object beside a primitive, or a list of them. */
  #sibling(plan: Plan, node: number, member: number, flags: number, sign: number): boolean {
    // The plain engine meets it with its primitive, so the order of the patients may differ.
    if ((flags & memberFlag.follows) !== 0) throw unusual;
    const named = this.mentions.patients.length;
    const child = plan.siblingOf(member, node);
    let isKept = false;
    if ((flags & memberFlag.repeats) === 0) isKept = this.#child(plan, child, sign);
    else {
      // A list is usual only if nothing of it leaves: then it aligns with any values.
      if (sign !== 0x5b) throw unusual;
      const bytes = this.#bytes;
      let at = this.#openList();
      let item = bytes[at] ?? 0;
      if (item !== 0x5d) {
        for (;;) {
          this.#at = at;
          if (item === 0x6e) this.#at = this.#word(at, 0x75, 0x6c, 0x6c, 4);
          else {
            this.#open(at, 0);
            if (this.#child(plan, child, item)) throw unusual;
          }
          at = this.#itemEnd(this.#at);
          if (bytes[at] === 0x5d) break;
          at = this.#space(at + 1);
          item = bytes[at] ?? 0;
        }
      }
      this.#closeList(at);
    }
    if (this.mentions.patients.length !== named || this.mentions.unnamed) throw unusual;
    return isKept;
  }

  #mention(from: number, to: number, typeFrom: number, typeTo: number, isIdentified: boolean): void {
    const reference: Record<string, Json> = {};
    if (to > 0) reference["reference"] = this.#read(from, to);
    if (typeTo > 0) reference["type"] = this.#read(typeFrom, typeTo);
    this.mentions.mentionRead(reference, isIdentified);
  }

  /**
   * A string that has flags, or that a reader may follow. False: it does not leave. `#rewritten` becomes the
   * text in its place.
   */
  #look(look: number, flags: number, start: number, end: number): boolean {
    const bytes = this.#bytes;
    this.#rewritten = asWritten;
    if (look === 0) {
      if ((flags & memberFlag.fragment) !== 0 && bytes[start + 1] === 0x23) return end === start + 3;
      this.mentions.followPlain(bytes, start + 1, end - 1);
      return true;
    }
    // `%` as a unit stands in each row of a page, and each takes longer than the rest of its row.
    const isRemembered = (flags & (memberFlag.follows | memberFlag.fragment | memberFlag.address)) === 0;
    if (isRemembered) for (const text of this.#unchanged) if (isSame(text, bytes, start, end)) return true;
    const value: unknown = JSON.parse(decoder.decode(bytes.subarray(start, end))); // a string, read strictly
    const urls = this.#urls;
    if (typeof value !== "string" || urls === undefined) throw unusual;
    if ((flags & memberFlag.fragment) !== 0 && value.startsWith("#") && value !== "#") return false;
    const mapped =
      (flags & memberFlag.address) !== 0
        ? urls.address(value)
        : (flags & memberFlag.name) !== 0
          ? urls.name(value)
          : urls.inText(value);
    if ((flags & memberFlag.follows) !== 0) {
      this.mentions.follow(value);
      if (mapped !== undefined && mapped !== value) this.mentions.follow(mapped);
    }
    if (mapped === undefined) return false;
    if (mapped !== value || (look & flagRewrite) !== 0) this.#rewritten = utf8(JSON.stringify(mapped));
    else if (isRemembered && end - start <= unchangedBytesMax && this.#unchanged.length < unchangedMax)
      this.#unchanged.push(bytes.slice(start, end));
    return true;
  }

  #noteLastUpdated(look: number, start: number, end: number): void {
    if (look !== 0) throw unusual;
    // plain, but it may have an escaped quote
    for (let each = start; each < end; each += 1) if (this.#bytes[each] === 0x5c) throw unusual;
    this.#lastUpdated = asciiText(this.#bytes, start + 1, end - 1);
  }

  /** A range of the text that was found to be JSON. */
  #read(start: number, end: number): Json {
    const value = readJson(this.#bytes.subarray(start, end));
    if (!value.ok) throw unusual;
    return value.value;
  }

  /** The label of one element, or a text that may spell it. */
  #passLabel(start: number, end: number, look: number): void {
    if ((look & flagRewrite) !== 0) throw unusual;
    if (end - start === label.length + 2 && this.#isAt(start + 1, label)) throw unusual;
  }

  #isAt(at: number, text: Uint8Array): boolean {
    return isSame(text, this.#bytes, at, at + text.length);
  }

  // Output

  /** Makes the output end where a member or item begins, behind a comma if it is not the first. */
  #open(at: number, count: number): void {
    if (count > 0) {
      if (this.#runEnd === at - 1) this.#runEnd = at;
      else {
        this.#flush();
        this.#out[this.#written++] = 0x2c;
        this.#runStart = this.#runEnd = at;
      }
    } else if (this.#runEnd !== at) {
      this.#flush();
      this.#runStart = this.#runEnd = at;
    }
  }

  /** Writes a name and its colon without the white space around it. */
  #key(keyEnd: number, valueAt: number): void {
    this.#runEnd = keyEnd + 1;
    this.#flush();
    this.#out[this.#written++] = 0x3a;
    this.#runStart = this.#runEnd = valueAt;
  }

  #close(at: number): void {
    if (this.#runEnd !== at) {
      this.#flush();
      this.#runStart = at;
    }
    this.#runEnd = at + 1;
  }

  /** In a list, whose bracket follows the run: past it. */
  #openList(): number {
    if (++this.#depth > depthMax) throw unusual;
    this.#runEnd = this.#at + 1;
    return this.#space(this.#at + 1);
  }

  #closeList(at: number): void {
    this.#close(at);
    this.#depth -= 1;
    this.#at = at + 1;
  }

  /** Past white space behind an item: at a comma or the closing bracket. */
  #itemEnd(from: number): number {
    const bytes = this.#bytes;
    let at = from;
    let sign = bytes[at] ?? 0;
    if (sign <= 0x20) {
      at = this.#space(at);
      sign = bytes[at] ?? 0;
    }
    if (sign !== 0x2c && sign !== 0x5d) throw unusual;
    return at;
  }

  /** Writes a text in place of the value that ends at `at`. */
  #insert(text: Uint8Array, at: number): void {
    this.#flush();
    this.#put(text);
    this.#runStart = this.#runEnd = at;
  }

  /** Writes the mapped form of a string whose name is in the run. */
  #replace(valueAt: number, at: number): void {
    this.#runEnd = valueAt;
    this.#insert(this.#rewritten, at);
    this.#rewritten = asWritten;
  }

  /** Writes a member or item at the end, before the closing sign at `at`. */
  #append(count: number, text: Uint8Array, at: number): void {
    this.#flush();
    if (count > 0) this.#out[this.#written++] = 0x2c;
    this.#put(text);
    this.#runStart = this.#runEnd = at;
  }

  #flush(): void {
    const bytes = this.#bytes;
    const from = this.#runStart;
    const to = this.#runEnd;
    this.#reserve(to - from);
    const out = this.#out;
    let written = this.#written;
    if (to - from >= longRun) {
      out.set(bytes.subarray(from, to), written);
      this.#written = written + to - from;
    } else {
      for (let at = from; at < to; at += 1) out[written++] = bytes[at] ?? 0;
      this.#written = written;
    }
    this.#runStart = to;
  }

  #put(text: Uint8Array): void {
    this.#reserve(text.length);
    this.#out.set(text, this.#written);
    this.#written += text.length;
  }

  #reserve(length: number): void {
    const needed = this.#written + length + slack;
    if (needed <= this.#out.length) return;
    // An output is rarely longer than its text. Pages of a new array that are not written to take no memory.
    const whole = this.#length + outBytesMin;
    const isLong = needed > keptBytesMax && needed <= whole;
    const larger = new Uint8Array(isLong ? whole : Math.max(2 * this.#out.length, needed));
    larger.set(this.#out.subarray(0, this.#written));
    this.#out = larger;
  }

  // Input

  #space(from: number): number {
    const bytes = this.#bytes;
    let at = from;
    let sign = bytes[at] ?? 0;
    while (sign === 0x20 || sign === 0x0a || sign === 0x0d || sign === 0x09) sign = bytes[++at] ?? 0;
    return at;
  }

  /** At the opening quote of a name: its hash; `#keyEnd` becomes the place of its closing quote. */
  #name(quote: number): number {
    const bytes = this.#bytes;
    const classes = strictClasses;
    let at = quote + 1;
    let hash = 0;
    let sign = bytes[at] ?? 0;
    while (classes[sign] === byteClass.plain) {
      hash = (Math.imul(hash, 31) + sign) | 0;
      at += 1;
      sign = bytes[at] ?? 0;
    }
    // an escape or a character outside ASCII has two spellings, or the text is at its end
    if (sign !== 0x22) throw unusual;
    this.#keyEnd = at;
    return hash;
  }

  /** Two names of one hash in one object may be the same name. */
  #noteName(hash: number, base: number): void {
    const names = this.#names;
    const used = this.#namesUsed;
    for (let each = base; each < used; each += 1) if (names[each] === hash) throw unusual;
    if (used - base >= namesMax) throw unusual;
    names[used] = hash;
    this.#namesUsed = used + 1;
  }

  #find({ table, names }: Plan, node: number, hash: number, from: number, to: number): number {
    const bytes = this.#bytes;
    const mask = table[node + nodeField.mask] ?? 0;
    const slots = table[node + nodeField.slots] ?? 0;
    let slot = (hash ^ (hash >>> 15)) & mask;
    for (;;) {
      const member = table[slots + slot] ?? 0;
      if (member === 0) return 0;
      if (table[member] === hash && table[member + memberField.length] === to - from) {
        const start = table[member + memberField.name] ?? 0;
        let same = 0;
        while (same < to - from && bytes[from + same] === names[start + same]) same += 1;
        if (same === to - from) return member;
      }
      slot = (slot + 1) & mask;
    }
  }

  /** The place of the value behind a name's closing quote. */
  #valueAt(keyEnd: number): number {
    const bytes = this.#bytes;
    let at = keyEnd + 1;
    if (bytes[at] !== 0x3a) {
      at = this.#space(at);
      if (bytes[at] !== 0x3a) throw unusual;
    }
    at += 1;
    return (bytes[at] ?? 0) <= 0x20 ? this.#space(at) : at;
  }

  /** At an opening quote: behind the closing quote. `#flags` says whether the string needs a closer look. */
  #text(quote: number, classes: Uint8Array): number {
    const bytes = this.#bytes;
    let at = quote + 1;
    let flags = 0;
    for (;;) {
      let kind = classes[bytes[at] ?? 0] ?? byteClass.control;
      while (kind === byteClass.plain) {
        at += 1;
        kind = classes[bytes[at] ?? 0] ?? byteClass.control;
      }
      if (kind === byteClass.quote) {
        this.#flags = flags;
        return at + 1;
      }
      if (kind === byteClass.needle) {
        if ((flags & flagLook) === 0 && this.#isNeedle(at)) flags |= flagLook;
        at += 1;
      } else if (kind === byteClass.suspect) {
        flags |= flagLook;
        at += 1;
      } else if (kind === byteClass.wide) {
        flags |= flagLook;
        at = this.#wide(at);
      } else if (kind === byteClass.backslash) {
        const escape = bytes[at + 1] ?? 0;
        // `\"` is written like this again, and no address contains a quote
        if (escape !== 0x22) flags |= this.#escape(at, escape);
        at += escape === 0x75 ? 6 : 2;
      } else throw unusual;
    }
  }

  #escape(at: number, escape: number): number {
    if (escape === 0x75) {
      for (let each = at + 2; each < at + 6; each += 1) if (!isHex(this.#bytes[each] ?? 0)) throw unusual;
      return flagLook | flagRewrite;
    }
    if (escape === 0x2f) return flagLook | flagRewrite;
    // \\ \b \f \n \r \t: written like this again
    if (
      escape === 0x5c ||
      escape === 0x62 ||
      escape === 0x66 ||
      escape === 0x6e ||
      escape === 0x72 ||
      escape === 0x74
    )
      return flagLook;
    throw unusual;
  }

  /** At the first byte of a character outside ASCII (Unicode, table 3-7): behind its last. */
  #wide(at: number): number {
    const bytes = this.#bytes;
    const first = bytes[at] ?? 0;
    const second = bytes[at + 1] ?? 0;
    if ((second & 0xc0) !== 0x80) throw unusual;
    if (first >= 0xc2 && first <= 0xdf) return at + 2;
    if (((bytes[at + 2] ?? 0) & 0xc0) !== 0x80) throw unusual;
    if (first >= 0xe0 && first <= 0xef) {
      // overlong, or a surrogate
      if ((first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f)) throw unusual;
      return at + 3;
    }
    if (((bytes[at + 3] ?? 0) & 0xc0) !== 0x80 || first < 0xf0 || first > 0xf4) throw unusual;
    if ((first === 0xf0 && second < 0x90) || (first === 0xf4 && second > 0x8f)) throw unusual;
    return at + 4;
  }

  #isNeedle(at: number): boolean {
    const bytes = this.#bytes;
    for (const { bytes: needle, at: offset } of this.#needles) {
      const start = at - offset;
      if (start < 0) continue;
      let same = 0;
      while (same < needle.length) {
        const sign = bytes[start + same] ?? 0;
        const lower = sign >= 0x41 && sign <= 0x5a ? sign + 0x20 : sign;
        if (lower !== needle[same]) break;
        same += 1;
      }
      if (same === needle.length) return true;
    }
    return false;
  }

  #word(at: number, second: number, third: number, fourth: number, length: number): number {
    const bytes = this.#bytes;
    if (bytes[at + 1] !== second || bytes[at + 2] !== third || bytes[at + 3] !== fourth) throw unusual;
    return at + length;
  }

  #boolean(at: number, sign: number): number {
    if (sign === 0x74) return this.#word(at, 0x72, 0x75, 0x65, 4);
    if (sign !== 0x66 || this.#bytes[at + 4] !== 0x65) throw unusual;
    return this.#word(at, 0x61, 0x6c, 0x73, 5);
  }

  #number(from: number, first: number): number {
    const bytes = this.#bytes;
    let at = from;
    let sign = first;
    if (sign === 0x2d) sign = bytes[++at] ?? 0;
    if (sign === 0x30) sign = bytes[++at] ?? 0;
    else if (sign >= 0x31 && sign <= 0x39) {
      do sign = bytes[++at] ?? 0;
      while (sign >= 0x30 && sign <= 0x39);
    } else throw unusual;
    if (sign === 0x2e) {
      sign = bytes[++at] ?? 0;
      if (sign < 0x30 || sign > 0x39) throw unusual;
      do sign = bytes[++at] ?? 0;
      while (sign >= 0x30 && sign <= 0x39);
    }
    if ((sign | 0x20) === 0x65) {
      sign = bytes[++at] ?? 0;
      if (sign === 0x2b || sign === 0x2d) sign = bytes[++at] ?? 0;
      if (sign < 0x30 || sign > 0x39) throw unusual;
      do sign = bytes[++at] ?? 0;
      while (sign >= 0x30 && sign <= 0x39);
    }
    this.#numbers += 1;
    return at;
  }

  /** At a value that does not leave: behind it. @param hash of its name, to know an inline label. */
  #skip(from: number, first: number, hash: number): number {
    const bytes = this.#bytes;
    const outer = this.#outer;
    const strict = strictClasses;
    const bottom = this.#depth;
    let at = from;
    let sign = first;
    let name = hash;
    let base = this.#namesUsed;
    let depth = bottom;
    let isBehind = false;
    for (;;) {
      if (!isBehind) {
        isBehind = true;
        if (sign === 0x22) {
          const start = at;
          at += 1;
          while (strict[bytes[at] ?? 0] === byteClass.plain) at += 1;
          if (bytes[at] === 0x22) {
            at += 1;
            if (name === urlHash) this.#passLabel(start, at, 0);
          } else {
            at = this.#text(start, strict);
            if (name === urlHash) this.#passLabel(start, at, this.#flags);
          }
        } else if (sign === 0x7b || sign === 0x5b) {
          if (++depth > depthMax) throw unusual;
          at += 1;
          if ((bytes[at] ?? 0) <= 0x20) at = this.#space(at);
          if (sign === 0x7b) {
            outer[depth] = base;
            base = this.#namesUsed;
            sign = bytes[at] ?? 0;
            if (sign !== 0x7d) {
              if (sign !== 0x22) throw unusual;
              name = this.#name(at);
              this.#noteName(name, base);
              at = this.#valueAt(this.#keyEnd);
              sign = bytes[at] ?? 0;
              isBehind = false;
            }
          } else {
            outer[depth] = -1;
            name = 0;
            sign = bytes[at] ?? 0;
            isBehind = sign === 0x5d;
          }
        } else if (sign === 0x74 || sign === 0x66) at = this.#boolean(at, sign);
        else if (sign === 0x6e) at = this.#word(at, 0x75, 0x6c, 0x6c, 4);
        else at = this.#number(at, sign);
      } else {
        if (depth === bottom) return at;
        sign = bytes[at] ?? 0;
        if (sign <= 0x20) {
          at = this.#space(at);
          sign = bytes[at] ?? 0;
        }
        const around = outer[depth] ?? -1;
        if (sign === 0x2c) {
          at += 1;
          sign = bytes[at] ?? 0;
          if (sign <= 0x20) {
            at = this.#space(at);
            sign = bytes[at] ?? 0;
          }
          isBehind = false;
          if (around >= 0) {
            if (sign !== 0x22) throw unusual;
            name = this.#name(at);
            this.#noteName(name, base);
            at = this.#valueAt(this.#keyEnd);
            sign = bytes[at] ?? 0;
          } else name = 0;
        } else if (sign === (around >= 0 ? 0x7d : 0x5d)) {
          at += 1;
          depth -= 1;
          if (around >= 0) {
            this.#namesUsed = base;
            base = around;
          }
        } else throw unusual;
      }
    }
  }
}

/** The text and the zeros behind it, if its array has them; `EntrySplitter` puts them behind a long entry. */
function paddedFrom({ buffer, byteOffset, length }: Uint8Array): Uint8Array | undefined {
  if (byteOffset + length + padding > buffer.byteLength) return undefined;
  const padded = new Uint8Array(buffer, byteOffset, length + padding);
  for (let at = length; at < length + padding; at += 1) if (padded[at] !== 0) return undefined;
  return padded;
}

const isHex = (sign: number): boolean =>
  (sign >= 0x30 && sign <= 0x39) || ((sign | 0x20) >= 0x61 && (sign | 0x20) <= 0x66);
