import { utf8 } from "#kernel/encoded";
import { depthMax, isObject, readJson, type Json, type JsonObject } from "#fhir/json/json";
import { fragmentOf, keepReferred, subsetted } from "#phi/contained";
import { isShown } from "#phi/extension";
import { redactContained, type PartAccess, type RedactContext, type RedactedContained } from "#phi/redact";
import type { ObjectView } from "#policy/view/view";
import { asciiText } from "./ascii-text.ts";
import { strictClasses, type ByteClasses } from "./byte-classes.ts";
import { mayNamePatient, Mentions } from "./mentions.ts";
import { hashOf } from "./name-hash.ts";
import { Output } from "./output.ts";
import {
  absentReasonUrl,
  factsMax,
  groupSize,
  memberField,
  memberFlag,
  memberKind,
  nodeField,
  nodeFlag,
  type Plan,
  type SystemSlices,
} from "./plan.ts";
import { repeatResult } from "./repeats.ts";
import { isSame, isSameWords, wordsOf } from "./words.ts";
import { ByteScanner, flagRewrite } from "./scanner.ts";
import type { SoughtTable } from "./sought-table.ts";
import { StringMapper } from "./string-mapper.ts";
import { unusual } from "./unusual.ts";

const systemHash = hashOf("system");
const systemName = utf8("system");
const urlName = utf8('"url"');
const subsettedText = JSON.stringify(subsetted);
const subsettedTag = wordsOf(utf8(subsettedText));
const subsettedCode = utf8("SUBSETTED");
const tagAlone = wordsOf(utf8(`"tag":[${subsettedText}]`));
const metaAlone = wordsOf(utf8(`"meta":{"tag":[${subsettedText}]}`));
const noText = new Uint8Array();
const deceasedTrue = utf8('"deceasedBoolean":true');

/** The rules for the resources of one answer, besides their plans. */
export interface CutContext extends Pick<RedactContext, "bases" | "urls"> {
  readonly classes: ByteClasses;
  /** See `ByteScanner`. */
  readonly table?: SoughtTable | undefined;
  readonly refusesContained?: boolean;
}

/** The contained resources of a resource, and the place of their list in the output. */
interface Contained extends RedactedContained {
  readonly fragments: ReadonlySet<string>;
  /** The list in the text: `[start, end)`. */
  readonly start: number;
  readonly end: number;
}

/**
 * Cuts resources by their plans in one pass over their bytes: it walks the members by the tables of the plan,
 * captures the ranges of the facts, and opens and closes the runs of bytes that leave. Whatever is unusual or
 * malformed ends with `unusual`: then nothing of the output counts. One instance is used between two awaits
 * only, by one answer at a time.
 */
export class ByteCutter {
  readonly scanner = new ByteScanner();
  readonly output = new Output(this.scanner);
  readonly mentions = new Mentions();
  readonly #strings = new StringMapper(this.mentions);
  #context: CutContext | undefined;
  #classes: Uint8Array = strictClasses;
  #judge: PartAccess = { mayLinkTo: () => false, viewInside: () => undefined };
  #plan: Plan | undefined;
  /** The text has rows, whose values repeat. */
  #hasRows = true;
  /** Changes with each text and each answer. */
  #text = 0;
  /** The contained resources of the last resource that had any. */
  #contained: Contained | undefined;
  /** The place of their list in the output of this resource; -1 for a resource without a list. */
  #containedAt = -1;
  /** Nested resources that stay back, and the resources that leave. */
  withheld = 0;
  records = 1;
  #lastUpdatedStart = 0;
  #lastUpdatedEnd = 0;

  /** Ranges of the facts of the last resource, by their index in the plan; the end is 0 for an absent fact. */
  readonly factStart = new Int32Array(factsMax);
  readonly factEnd = new Int32Array(factsMax);

  /** Before a text of an answer; the patients of its references are remembered until the next answer. */
  begin(context: CutContext): void {
    if (context === this.#context) return;
    const { bases, classes, urls } = context;
    this.#context = context;
    this.#contained = undefined;
    this.#classes = classes.table;
    this.scanner.needles = classes.needles;
    this.scanner.sought = context.table;
    this.scanner.refusesContained = context.refusesContained === true;
    this.#strings.begin(urls);
    const { isStored, sealed } = bases;
    this.#strings.isStored = isStored;
    this.#strings.sealed = sealed && ((url) => sealed(this.#row(), url));
    this.mentions.begin([bases.origin, bases.public]);
    this.#text += 1;
  }

  /**
   * Before resources of another type or mode: the view of a contained resource depends on the resource around
   * it.
   */
  judgeBy(judge: PartAccess): void {
    if (judge === this.#judge) return;
    this.#judge = judge;
    this.#contained = undefined;
  }

  /** Takes a text of at most 8 MiB. @param hasRows false for a single resource. */
  load(text: Uint8Array, hasRows = true): void {
    this.scanner.load(text);
    this.#hasRows = hasRows;
    this.#contained = undefined;
    this.#text += 1;
  }

  /** The `meta.lastUpdated` that the last resource shows. */
  get lastUpdated(): string | undefined {
    const end = this.#lastUpdatedEnd;
    return end === 0 ? undefined : asciiText(this.scanner.bytes, this.#lastUpdatedStart + 1, end - 1);
  }

  /**
   * At the opening brace of a resource: past it. The output is what its plan shows.
   *
   * @param gap bytes to keep free before the output.
   */
  cut(plan: Plan, gap = 0): void {
    const { scanner, output } = this;
    this.mentions.reset();
    const facts = plan.facts.length;
    for (let fact = 0; fact < facts; fact += 1) this.factEnd[fact] = 0;
    this.#lastUpdatedEnd = 0;
    this.#strings.reset();
    this.#containedAt = -1;
    this.withheld = 0;
    this.records = 1;
    scanner.foundAt = -1;
    this.#plan = plan;
    plan.repeats.begin(this.#text, plan.members.length);
    output.begin(scanner.at, gap);
    if (scanner.bytes[scanner.at] !== 0x7b) throw unusual;
    this.#object(plan, plan.root);
    output.flush();
    if (this.#containedAt !== -1) this.#insertContained(plan);
  }

  /** The resource that is being cut, as `Type/id`. Its id usually comes first. */
  #row(): string {
    const fact = this.#plan?.facts.findIndex(([name, second]) => name === "id" && second === undefined) ?? -1;
    const [start = 0, end = 0] = [this.factStart[fact], this.factEnd[fact]];
    if (end === 0) throw unusual;
    return `${this.#plan?.type}/${asciiText(this.scanner.bytes, start + 1, end - 1)}`;
  }

  /** At the list of contained resources: past it. */
  #passContained(count: number, sign: number): void {
    const { scanner, output } = this;
    const start = scanner.at;
    // A reference before the list may name a resource in it; a list as first member would have no comma before.
    if (sign !== 0x5b || count === 0 || this.#strings.fragmentsMet > 0) throw unusual;
    if (scanner.refusesContained) throw unusual;
    scanner.skipValue();
    output.flush();
    this.#containedAt = output.length;
    if (this.#contained?.start !== start) this.#contained = this.#redactContained(start, scanner.at);
    this.#strings.fragments = this.#contained.fragments;
  }

  #redactContained(start: number, end: number): Contained {
    const context = this.#context;
    const { mayLinkTo, viewInside } = this.#judge; // it has further members, of other meanings
    const redacted =
      context && redactContained(this.#read(start, end), { ...context, mayLinkTo, viewInside });
    if (redacted === undefined) throw unusual;
    const fragments = new Set(redacted.left.map(({ resource }) => fragmentOf(resource)));
    return { ...redacted, fragments, start, end };
  }

  /** Writes the contained resources that leave, once it is known to which the resource refers. */
  #insertContained(plan: Plan): void {
    const { mentions, output } = this;
    const { left, withheld } = this.#contained ?? { left: [], withheld: 0 };
    const kept = plan.subsetted ? keepReferred(this.#strings.refersTo, left) : left;
    this.withheld = withheld;
    for (const { patients, unseen, room, unnamed, records } of kept) {
      for (const patient of patients) mentions.add(patient, !unseen.has(patient));
      mentions.room += room;
      mentions.unnamed ||= unnamed;
      this.records += records;
    }
    if (kept.length === 0) return;
    const list = JSON.stringify(kept.map(({ resource }) => resource));
    output.insertAt(this.#containedAt, utf8(`,"contained":${list}`));
  }

  /** At an opening brace, where a run ends: past the object. True if anything was written. */
  #object(plan: Plan, node: number): boolean {
    const { scanner, output, mentions } = this;
    const { bytes, words } = scanner;
    const { table, words: nameWords, repeats } = plan;
    if (++scanner.depth > depthMax) throw unusual;
    const base = scanner.namesUsed;
    const nodeFlags = table[node] ?? 0;
    const isWhole = (nodeFlags & nodeFlag.whole) !== 0;
    const hasRows = this.#hasRows;
    let at = scanner.at;
    output.runEnd = at + 1;
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
      at = scanner.space(at);
      sign = bytes[at] ?? 0;
    }
    if (sign !== 0x7d) {
      for (;;) {
        if (sign !== 0x22) throw unusual;
        const quote = at;
        let member = guess;
        let hash = 0;
        let keyEnd = 0;
        if (member !== 0) {
          // The name with its quotes and colon.
          const length = table[member + memberField.length] ?? 0;
          if (isSameWords(nameWords, table[member + memberField.name] ?? 0, words, quote, length)) {
            hash = table[member] ?? 0;
            at = quote + length;
            keyEnd = at - 2;
          } else member = 0;
        }
        if (member === 0) {
          hash = scanner.name(quote);
          keyEnd = scanner.keyEnd;
          member = this.#find(plan, node, hash, quote, keyEnd);
          if (previous === 0) table[node + nodeField.first] = member;
          else table[previous + memberField.next] = member;
          at = keyEnd + 1;
          if (bytes[at] !== 0x3a) {
            at = scanner.space(at);
            if (bytes[at] !== 0x3a) throw unusual;
          }
          at += 1;
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
        } else scanner.noteName(hash, base);
        sign = bytes[at] ?? 0;
        if (sign <= 0x20) {
          at = scanner.space(at);
          sign = bytes[at] ?? 0;
        }

        const valueAt = at;
        if (member === 0) {
          at = scanner.skip(at, sign, hash);
          // Consents judge a row by it, also where its type has no such element: it is not among the facts.
          if ((nodeFlags & nodeFlag.resource) !== 0 && scanner.sought?.readsMember(hash) === true)
            scanner.foundAt = valueAt;
        } else {
          const kind = table[member + memberField.kind] ?? 0;
          const flags = table[member + memberField.flags] ?? 0;
          const index = table[member + memberField.index] ?? 0;
          const mayRepeat =
            (sign === 0x22 || sign === 0x7b || sign === 0x5b) &&
            (flags & memberFlag.meta) === 0 &&
            kind !== memberKind.contained &&
            hasRows;
          const repeated = mayRepeat ? repeats.endOf(index, at, scanner) : 0;
          let isKept = false;
          if (kind === memberKind.text && (flags & memberFlag.repeats) === 0) {
            if (sign === 0x22) {
              let look = 0;
              if (repeated === 0) {
                at = scanner.text(at, this.#classes);
                look = scanner.flags;
                // First: a label must never be remembered as read.
                if ((flags & memberFlag.decides) !== 0) scanner.noteDeciding(hash, valueAt, at, look);
                const isPlain = look === 0 && (flags & memberFlag.follows) === 0;
                if (isPlain && mayRepeat && scanner.foundAt !== valueAt)
                  repeats.note(index, valueAt, at, scanner.depth, 0);
              } else at = repeated;
              if ((flags & memberFlag.reference) !== 0) {
                referenceStart = valueAt;
                referenceEnd = at;
                isReferencePlain = look === 0;
              } else if ((flags & memberFlag.referenceType) !== 0) {
                typeStart = valueAt;
                typeEnd = at;
                isTypePlain = look === 0;
              }
              let mapped: Uint8Array | undefined;
              if (look === 0 && (flags & memberFlag.follows) === 0) isKept = true;
              else if (repeated !== 0 && repeats.resultOf(index) === repeatResult.kept) isKept = true;
              else {
                const named = mentions.count;
                const fragments = this.#strings.fragmentsMet;
                isKept = this.#strings.map(scanner, look, flags, valueAt, at);
                mapped = this.#strings.mapped;
                // It leads to no patient.
                const isOfItself = this.#strings.fragmentsMet === fragments;
                const isPlain = look === 0 && scanner.foundAt !== valueAt && mapped === undefined;
                if (isPlain && isKept && isOfItself && mentions.count === named && mayRepeat)
                  repeats.note(index, valueAt, at, scanner.depth, repeatResult.kept);
              }
              if (isKept) {
                output.open(quote, count);
                if (valueAt !== keyEnd + 2) output.key(keyEnd, valueAt);
                if (mapped === undefined) output.runEnd = at;
                else output.replace(mapped, valueAt, at);
                if ((flags & memberFlag.lastUpdated) !== 0) this.#noteLastUpdated(look, valueAt, at);
              }
            } else if (sign === 0x6e) at = scanner.word(at, 0x75, 0x6c, 0x6c, 4);
            else throw unusual;
          } else if (kind === memberKind.hidden) {
            if (repeated === 0) {
              at = scanner.skip(at, sign, hash);
              if (mayRepeat && scanner.foundAt < valueAt) repeats.note(index, valueAt, at, scanner.depth, 0);
            } else at = repeated;
            if (sign === 0x22 && (flags & memberFlag.reference) !== 0) {
              referenceStart = valueAt;
              referenceEnd = at;
              isReferencePlain = false;
            } else if (sign === 0x22 && (flags & memberFlag.referenceType) !== 0) {
              typeStart = valueAt;
              typeEnd = at;
              isTypePlain = false;
            }
          } else if (kind === memberKind.contained) {
            scanner.at = at;
            this.#passContained(count, sign);
            at = scanner.at;
          } else if (sign === 0x6e && kind !== memberKind.unusual) {
            // A fact below a `meta` of null is null, not absent: a rule for rows without a label covers it not.
            if ((flags & memberFlag.meta) !== 0) throw unusual;
            at = scanner.word(at, 0x75, 0x6c, 0x6c, 4); // FHIR JSON allows null only in lists of primitives
          } else {
            if (repeated === 0) {
              const written = output.written - output.start;
              const { runStart, runEnd } = output;
              output.open(quote, count);
              if (kind === memberKind.deceased) {
                at = scanner.skip(at, sign, hash);
                output.insert(deceasedTrue, at);
                isKept = true;
              } else {
                if (valueAt !== keyEnd + 2) output.key(keyEnd, valueAt);
                else output.runEnd = valueAt;
                const writtenBefore = output.written;
                const runBefore = output.runStart;
                const named = mentions.count;
                const { room } = mentions;
                const fragments = this.#strings.fragmentsMet;
                scanner.at = at;
                isKept = this.#value(plan, node, member, kind, flags, sign);
                at = scanner.at;
                const isAsWritten =
                  output.written === writtenBefore && output.runStart === runBefore && output.runEnd === at;
                // A reference to a contained resource depends on the resource around it.
                const isOfItself = this.#strings.fragmentsMet === fragments;
                const isFound = scanner.foundAt >= valueAt;
                if (mayRepeat && isOfItself && !isFound && (isAsWritten || !isKept)) {
                  const result = isKept ? repeatResult.kept : 0;
                  repeats.noteNaming(index, valueAt, at, scanner.depth, result, mentions, named, room);
                }
              }
              if (!isKept) {
                if ((flags & memberFlag.marked) !== 0) throw unusual;
                output.goBack(written, runStart, runEnd);
              }
            } else {
              at = repeated;
              repeats.replay(index, mentions);
              isKept = (repeats.resultOf(index) & repeatResult.kept) !== 0;
              if (isKept) {
                output.open(quote, count);
                if (valueAt !== keyEnd + 2) output.key(keyEnd, valueAt);
                output.runEnd = at;
              }
            }
            if (isKept && (flags & memberFlag.meta) !== 0) hasMeta = true;
            else if (isKept && (flags & memberFlag.tag) !== 0) hasTag = true;
            if ((flags & memberFlag.deceased) !== 0) deceased += 1;
          }
          const groups = table[member + memberField.groups] ?? 0;
          if (isKept) {
            count += 1;
            satisfied |= groups;
            if ((flags & memberFlag.id) === 0) isIdAlone = false;
          }
          if (isWhole && kind !== memberKind.sibling) present |= groups;
          const fact = table[member + memberField.fact] ?? 0;
          if (fact !== 0) {
            this.factStart[fact - 1] = valueAt;
            this.factEnd[fact - 1] = at;
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
    if (deceased > 1) throw unusual; // two forms of one member
    if ((nodeFlags & nodeFlag.resource) === 0) {
      if (count === 0) return false;
      // ele-1: an id alone is no element
      if (isIdAlone && (nodeFlags & nodeFlag.sibling) !== 0) throw unusual; // with a value it is
      if (isIdAlone) return false;
      if ((nodeFlags & nodeFlag.reference) !== 0) {
        mentions.showing(
          (nodeFlags & nodeFlag.identifies) !== 0,
          (nodeFlags & nodeFlag.text) !== 0,
          (nodeFlags & nodeFlag.alone) !== 0,
        );
        const isPlain =
          isReferencePlain && (typeEnd === 0 || (isTypePlain && !mayNamePatient(bytes, typeStart, typeEnd)));
        if (isPlain) mentions.mention(bytes, referenceStart + 1, referenceEnd === 0 ? 0 : referenceEnd - 1);
        else this.#mention(referenceStart, referenceEnd, typeStart, typeEnd);
      }
    }
    const groups = table[node + nodeField.requiredCount] ?? 0;
    if (groups > 0) {
      const start = table[node + nodeField.required] ?? 0;
      for (let group = start; group < start + groups * groupSize; group += groupSize) {
        const bit = table[group] ?? 0;
        if ((satisfied & bit) !== 0 || (isWhole && (present & bit) === 0)) continue;
        output.append(count, plan.words, table[group + 1] ?? 0, table[group + 2] ?? 0, at);
        count += 1;
      }
    }
    if ((nodeFlags & nodeFlag.subsettedMeta) !== 0 && !hasTag) {
      output.append(count, tagAlone, 0, tagAlone.byteLength, at);
      count += 1;
    }
    if ((nodeFlags & nodeFlag.resource) !== 0 && plan.subsetted && !hasMeta)
      output.append(count, metaAlone, 0, metaAlone.byteLength, at);
    output.close(at);
    return true;
  }

  /** At a value of a member whose run is open. True if anything of it was written. */
  #value(plan: Plan, node: number, member: number, kind: number, flags: number, sign: number): boolean {
    const { scanner, output } = this;
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
        scanner.at =
          kind === memberKind.boolean ? scanner.boolean(scanner.at, sign) : scanner.number(scanner.at, sign);
        output.runEnd = scanner.at;
        return true;
      case memberKind.type:
        if (sign !== 0x22) throw unusual;
        scanner.at = scanner.text(scanner.at, strictClasses);
        if ((scanner.flags & flagRewrite) !== 0) throw unusual;
        output.runEnd = scanner.at;
        return true;
      case memberKind.extension:
        return this.#extensions(plan, node, member, sign);
      case memberKind.sibling:
        return this.#sibling(plan, node, member, flags, sign);
      case memberKind.link: {
        if (repeats || sign !== 0x7b) throw unusual;
        const start = scanner.at;
        scanner.skipValue();
        const other = this.#read(start, scanner.at);
        if (!isObject(other)) throw unusual;
        if (!this.#judge.mayLinkTo(other)) return false;
        scanner.at = start;
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
    const { scanner, output } = this;
    const { bytes } = scanner;
    const start = scanner.at;
    let at = this.#openList();
    let count = 0;
    const child =
      kind === memberKind.sliced ? 0 : plan.table[member + memberField.child] || plan.childOf(member);
    let item = bytes[at] ?? 0;
    if (item !== 0x5d) {
      for (;;) {
        const written = output.written - output.start;
        const { runStart, runEnd } = output;
        output.open(at, count);
        scanner.at = at;
        const isKept =
          kind === memberKind.sliced ? this.#sliced(plan, member, item) : this.#child(plan, child, item);
        if (isKept) count += 1;
        else output.goBack(written, runStart, runEnd);
        at = this.#itemEnd(scanner.at);
        if (bytes[at] === 0x5d) break;
        at = scanner.space(at + 1);
        item = bytes[at] ?? 0;
      }
    }
    if ((flags & memberFlag.tag) !== 0 && plan.subsetted && count > 0) {
      // The origin's own mark is not doubled: the plain engine knows it in every spelling.
      for (let each = start; each < at; each += 1)
        if (bytes[each] === 0x5c || (bytes[each] === 0x53 && scanner.isAt(each, subsettedCode)))
          throw unusual;
      output.append(1, subsettedTag, 0, subsettedTag.byteLength, at);
    }
    this.#closeList(at);
    return count > 0;
  }

  /** At an item of which the slices decide. */
  #sliced(plan: Plan, member: number, sign: number): boolean {
    const { scanner } = this;
    if (sign !== 0x7b) throw unusual;
    const start = scanner.at;
    const slices = plan.slicesOf(member);
    const view =
      slices === "other" ? plan.viewOfItem(member, this.#readItem(start)) : this.#viewBySystem(slices);
    scanner.at = start;
    if (view === undefined) {
      scanner.skipValue();
      return false;
    }
    return this.#object(plan, plan.nodeOf(view, plan.pathOf(member)));
  }

  #readItem(start: number): JsonObject {
    const { scanner } = this;
    scanner.skipValue();
    const item = this.#read(start, scanner.at);
    if (!isObject(item)) throw unusual;
    return item;
  }

  /** At an item: its view by its system. The item is then read again, strictly: only JSON counts here. */
  #viewBySystem({ texts, views, others }: SystemSlices): ObjectView | undefined {
    const { scanner } = this;
    const { bytes } = scanner;
    let at = scanner.space(scanner.at + 1);
    while (bytes[at] === 0x22) {
      const hash = scanner.name(at);
      const isSystem = hash === systemHash && scanner.isKey(systemName);
      const valueAt = scanner.valueAt(scanner.keyEnd);
      at = scanner.pastValue(valueAt);
      if (isSystem && bytes[valueAt] === 0x22) {
        for (let each = valueAt; each < at; each += 1) if (bytes[each] === 0x5c) throw unusual;
        for (let index = 0; index < texts.length; index += 1)
          if (isSame(texts[index] ?? noText, bytes, valueAt, at)) return views[index];
        return others;
      }
      at = scanner.space(at);
      if (bytes[at] !== 0x2c) return others;
      at = scanner.space(at + 1);
    }
    return others;
  }

  /** At a list of primitives. */
  #primitives(kind: number, flags: number, sign: number): boolean {
    if (sign !== 0x5b) throw unusual;
    const { scanner, output } = this;
    const strings = this.#strings;
    const { bytes } = scanner;
    let at = this.#openList();
    let count = 0;
    let item = bytes[at] ?? 0;
    if (item !== 0x5d) {
      for (;;) {
        const valueAt = at;
        if (item === 0x6e) at = scanner.word(at, 0x75, 0x6c, 0x6c, 4);
        else if (kind === memberKind.text) {
          if (item !== 0x22) throw unusual;
          at = scanner.text(at, this.#classes);
          const look = scanner.flags;
          const isPlain = look === 0 && (flags & memberFlag.follows) === 0;
          if (isPlain || strings.map(scanner, look, flags, valueAt, at)) {
            output.open(valueAt, count);
            count += 1;
            const mapped = isPlain ? undefined : strings.mapped;
            if (mapped === undefined) output.runEnd = at;
            else output.replace(mapped, valueAt, at);
          }
        } else {
          at = kind === memberKind.boolean ? scanner.boolean(at, item) : scanner.number(at, item);
          output.open(valueAt, count);
          count += 1;
          output.runEnd = at;
        }
        at = this.#itemEnd(at);
        if (bytes[at] === 0x5d) break;
        at = scanner.space(at + 1);
        item = bytes[at] ?? 0;
      }
    }
    this.#closeList(at);
    return count > 0;
  }

  #extensions(plan: Plan, node: number, member: number, sign: number): boolean {
    if (sign !== 0x5b) throw unusual;
    const { scanner, output } = this;
    const { bytes } = scanner;
    const showsAll = ((plan.table[node] ?? 0) & nodeFlag.allExtensions) !== 0;
    let at = this.#openList();
    let count = 0;
    let item = bytes[at] ?? 0;
    if (item !== 0x5d) {
      for (;;) {
        if (item !== 0x7b) throw unusual;
        scanner.at = at;
        if (showsAll || this.#isExtensionShown(plan, node)) {
          const written = output.written - output.start;
          const { runStart, runEnd } = output;
          output.open(at, count);
          scanner.at = at;
          if (this.#object(plan, plan.extensionOf(member, node))) count += 1;
          else output.goBack(written, runStart, runEnd);
        } else {
          scanner.at = at;
          scanner.skipValue();
        }
        at = this.#itemEnd(scanner.at);
        if (bytes[at] === 0x5d) break;
        at = scanner.space(at + 1);
        item = bytes[at] ?? 0;
      }
    }
    this.#closeList(at);
    return count > 0;
  }

  /** At an extension. Its URL usually comes first. */
  #isExtensionShown(plan: Plan, node: number): boolean {
    const { scanner } = this;
    const { bytes } = scanner;
    const start = scanner.at;
    let at = scanner.space(start + 1);
    if (scanner.isAt(at, urlName)) {
      at = scanner.space(at + urlName.length);
      if (bytes[at] === 0x3a) {
        at = scanner.space(at + 1);
        if (bytes[at] === 0x22) {
          const end = scanner.text(at, strictClasses);
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
    const named = this.mentions.count;
    const child = plan.siblingOf(member, node);
    let isKept = false;
    if ((flags & memberFlag.repeats) === 0) isKept = this.#child(plan, child, sign);
    else {
      // A list is usual only if nothing of it leaves: then it aligns with any values.
      if (sign !== 0x5b) throw unusual;
      const { scanner, output } = this;
      const { bytes } = scanner;
      let at = this.#openList();
      let item = bytes[at] ?? 0;
      if (item !== 0x5d) {
        for (;;) {
          scanner.at = at;
          if (item === 0x6e) scanner.at = scanner.word(at, 0x75, 0x6c, 0x6c, 4);
          else {
            output.open(at, 0);
            if (this.#child(plan, child, item)) throw unusual;
          }
          at = this.#itemEnd(scanner.at);
          if (bytes[at] === 0x5d) break;
          at = scanner.space(at + 1);
          item = bytes[at] ?? 0;
        }
      }
      this.#closeList(at);
    }
    if (this.mentions.count !== named || this.mentions.unnamed) throw unusual;
    return isKept;
  }

  #mention(from: number, to: number, typeFrom: number, typeTo: number): void {
    const reference: Record<string, Json> = {};
    if (to > 0) reference["reference"] = this.#read(from, to);
    if (typeTo > 0) reference["type"] = this.#read(typeFrom, typeTo);
    this.mentions.mentionRead(reference);
  }

  #noteLastUpdated(look: number, start: number, end: number): void {
    if (look !== 0) throw unusual;
    // plain, but it may have an escaped quote
    for (let each = start; each < end; each += 1) if (this.scanner.bytes[each] === 0x5c) throw unusual;
    this.#lastUpdatedStart = start;
    this.#lastUpdatedEnd = end;
  }

  /** A range of the text that was found to be JSON. */
  #read(start: number, end: number): Json {
    const value = readJson(this.scanner.bytes.subarray(start, end));
    if (!value.ok) throw unusual;
    return value.value;
  }

  /** In a list, whose bracket follows the run: past it. */
  #openList(): number {
    const { scanner } = this;
    if (++scanner.depth > depthMax) throw unusual;
    this.output.runEnd = scanner.at + 1;
    return scanner.space(scanner.at + 1);
  }

  #closeList(at: number): void {
    const { scanner, output } = this;
    output.close(at);
    scanner.depth -= 1;
    scanner.at = at + 1;
  }

  /** Past white space behind an item: at a comma or the closing bracket. */
  #itemEnd(from: number): number {
    const { bytes } = this.scanner;
    let at = from;
    let sign = bytes[at] ?? 0;
    if (sign <= 0x20) {
      at = this.scanner.space(at);
      sign = bytes[at] ?? 0;
    }
    if (sign !== 0x2c && sign !== 0x5d) throw unusual;
    return at;
  }

  #find({ table, names }: Plan, node: number, hash: number, quote: number, keyEnd: number): number {
    const { bytes } = this.scanner;
    const mask = table[node + nodeField.mask] ?? 0;
    const slots = table[node + nodeField.slots] ?? 0;
    const length = keyEnd + 1 - quote;
    let slot = (hash ^ (hash >>> 15)) & mask;
    for (;;) {
      const member = table[slots + slot] ?? 0;
      if (member === 0) return 0;
      // the colon may stand behind white space
      if (table[member] === hash && table[member + memberField.length] === length + 1) {
        const start = table[member + memberField.name] ?? 0;
        let same = 0;
        while (same < length && bytes[quote + same] === names[start + same]) same += 1;
        if (same === length) return member;
      }
      slot = (slot + 1) & mask;
    }
  }
}
