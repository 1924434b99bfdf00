import { utf8 } from "#kernel/encoded";
import type { AheadReader, EntryBytes } from "#fhir/json/entry-splitter";
import { isObject, property, readJson } from "#fhir/json/json";
import { isResourceType } from "#fhir/r4/elements";
import type { GuardedBases } from "#phi/origin-urls";
import { asciiText } from "./ascii-text.ts";
import { contextOf, cutter, isLoaded, loadText, type Deciding } from "./isolate-cutter.ts";
import { hashOf } from "./name-hash.ts";
import type { CutEntry, EntryMode, JudgedEntry, RowCutter } from "./row-cutter.ts";
import { leave, unusual } from "./unusual.ts";

/** Answers whether an entry was read by the engine already. */
export const isCut = (entry: EntryBytes | CutEntry): entry is CutEntry =>
  typeof entry === "object" && "entryEnd" in entry;

/** An entry whose facts are known now: one that waited is judged, or is read again from its bytes. */
export function afterWaiting(entry: EntryBytes | CutEntry): EntryBytes | JudgedEntry {
  if (!isCut(entry) || entry.kind !== "waiting") return entry;
  return entry.judged() ?? entry.bytes;
}

/** The cutters of an answer by the type and mode of an entry; `undefined`: left to the plain engine. */
export type CutterOf = (type: string, mode: EntryMode) => RowCutter | undefined;

const resourceName = utf8("resource");
const searchName = utf8("search");
const [resourceHash, searchHash] = [hashOf("resource"), hashOf("search")];
const typeStart = utf8('{"resourceType":');
const [matchMode, includeMode] = [utf8('{"mode":"match"}'), utf8('{"mode":"include"}')];
// R4's longest name of a type has 33 letters
const typeBytesMax = 40;
const noBytes: Uint8Array = new Uint8Array();
const { scanner } = cutter;

/**
 * Cuts the entries of a searchset, each by the cutter of its type. The result is undefined for an entry that is
 * left to the plain engine, which also decides every refusal.
 */
export class EntryCutter {
  readonly #bases: GuardedBases;
  readonly #deciding: Deciding;
  readonly #cutterOf: CutterOf;
  readonly #usual: RowCutter;
  readonly #isOne: boolean;
  /** The cutter of the last entry of a different type, and its mode. */
  #other: RowCutter | undefined;
  #otherMode: EntryMode = "include";
  /** The chunk that entries are read from, and the proof that it is loaded. */
  #chunk = noBytes;
  #loaded: object | undefined;
  /** The place of the entry that was tried ahead and left to the plain engine. */
  #leftAt: { readonly buffer: ArrayBufferLike; readonly byteOffset: number } | undefined;
  /** The last entry that was not read ahead: it is asked for its needs, and then it is judged. */
  #last: { readonly bytes: Uint8Array; readonly cut: CutEntry | undefined } | undefined;
  /** The entries that were not read ahead and wait for facts. */
  readonly #waiting = new WeakMap<Uint8Array, CutEntry>();

  /**
   * @param usual for the matches that are expected. @param modes `one`: a match and an included resource are
   * rows alike, by the cutter of a match.
   */
  constructor(
    bases: GuardedBases,
    deciding: Deciding,
    usual: RowCutter,
    cutterOf: CutterOf,
    modes: "both" | "one" = "both",
  ) {
    this.#bases = bases;
    this.#deciding = deciding;
    this.#usual = usual;
    this.#cutterOf = cutterOf;
    this.#isOne = modes === "one";
  }

  /**
   * Reads entries where they begin.
   *
   * @param part of the next entry: the key of a match is read without any decision.
   */
  ahead(part: () => "row" | "key"): AheadReader<CutEntry> {
    return {
      begin: (chunk) => this.#begin(chunk),
      entryAt: (at) => {
        const cut = this.#entryAt(at, part());
        const { buffer, byteOffset } = this.#chunk;
        if (cut === undefined) this.#leftAt = { buffer, byteOffset: byteOffset + at };
        return cut;
      },
    };
  }

  /** An entry that was not read ahead. */
  entry(bytes: EntryBytes): CutEntry | undefined {
    if (bytes === "too_large") return undefined;
    if (this.#last?.bytes === bytes) return this.#last.cut;
    const cut = this.#waiting.get(bytes) ?? this.#read(bytes);
    if (cut?.kind === "waiting") this.#waiting.set(bytes, cut);
    this.#last = { bytes, cut };
    return cut;
  }

  /** {@link entry} once its facts are known. */
  judged(bytes: EntryBytes): JudgedEntry | undefined {
    const cut = this.entry(bytes);
    if (cut?.kind !== "waiting") return cut;
    const judged = cut.judged() ?? this.#read(cut.bytes);
    return judged?.kind === "waiting" ? undefined : judged;
  }

  #read(bytes: Uint8Array): CutEntry | undefined {
    const left = this.#leftAt;
    this.#leftAt = undefined;
    // It was tried ahead, and left to the plain engine.
    if (left?.buffer === bytes.buffer && left.byteOffset === bytes.byteOffset) return undefined;
    try {
      this.#load(bytes);
      this.#loaded = undefined;
      const entry = this.#entry("row");
      if (!scanner.isAtEnd) throw unusual;
      if (entry.kind === "waiting") entry.bytes = bytes;
      return entry;
    } catch (fault) {
      return leave(fault, this.#bases);
    }
  }

  #load(text: Uint8Array): object {
    return loadText(contextOf(this.#bases, this.#deciding), text, true);
  }

  /** For the entries that begin in this chunk, which is not changed until the next. */
  #begin(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#loaded = undefined;
  }

  /** Reads the entry at a position of the chunk. @param part `key`: a match is read without a decision. */
  #entryAt(at: number, part: "row" | "key"): CutEntry | undefined {
    try {
      if (!isLoaded(this.#loaded)) this.#loaded = this.#load(this.#chunk);
      scanner.start(at);
      const entry = this.#entry(part);
      if (entry.kind === "waiting") entry.bytes = this.#chunk.subarray(at, entry.entryEnd);
      return entry;
    } catch (fault) {
      return leave(fault, this.#bases);
    }
  }

  #entry(part: "row" | "key"): CutEntry {
    scanner.next();
    const base = scanner.enter();
    let found: CutEntry | undefined;
    let by: RowCutter = this.#usual;
    let cutAs: EntryMode = "match";
    let mode: EntryMode | undefined;
    let resourceAt = 0;
    let resourceEnd = 0;
    if (scanner.next() !== 0x7d) {
      for (;;) {
        const hash = scanner.key(base);
        const valueAt = scanner.at;
        // another name may have the hash of one of these
        if (hash === resourceHash && !scanner.isKey(resourceName)) throw unusual;
        if (hash === searchHash && !scanner.isKey(searchName)) throw unusual;
        if (hash === resourceHash) {
          by = this.#cutterHere(mode);
          cutAs = by === this.#usual ? "match" : this.#otherMode;
          resourceAt = valueAt;
          found = cutAs === "match" && part === "key" ? by.key() : by.row();
          resourceEnd = scanner.at;
        } else if (hash === searchHash) mode = this.#passMode(valueAt);
        else scanner.skipValue();
        if (scanner.next() === 0x7d) break;
        scanner.pass(0x2c);
        scanner.next();
      }
    }
    if (found === undefined) throw unusual;
    if ((mode ?? "match") !== cutAs) {
      // Its mode stands behind the resource, and is not the mode that its type let expect: cut again.
      const { at } = scanner;
      cutAs = mode ?? "match";
      by = this.#known(by.type, cutAs);
      scanner.at = resourceAt;
      found = cutAs === "match" && part === "key" ? by.key() : by.row();
      if (scanner.at !== resourceEnd) throw unusual;
      scanner.at = at;
    }
    scanner.leave(base);
    by.note();
    found.entryEnd = scanner.at;
    return found;
  }

  /**
   * The cutter for the resource here, by its type, which mostly comes first. `#otherMode` is the mode of a cutter
   * that is not `#usual`.
   */
  #cutterHere(mode: EntryMode | undefined): RowCutter {
    const usual = this.#usual;
    const from = scanner.at + typeStart.length;
    if (!scanner.isAt(scanner.at, typeStart))
      return mode === "include" ? this.#known(usual.type, mode) : usual;
    if (mode !== "include" && scanner.isAt(from, usual.typeText)) return usual;
    // A resource of a further type is expected to be an included resource, until its mode is known.
    const expected = mode ?? (this.#isOne ? "match" : "include");
    const other = this.#other;
    if (other !== undefined && this.#otherMode === expected && scanner.isAt(from, other.typeText))
      return other;
    return this.#known(this.#typeAt(from), expected);
  }

  #typeAt(from: number): string {
    const { bytes } = scanner;
    let at = from + 1;
    while (bytes[at] !== 0x22 && at - from < typeBytesMax) at += 1;
    if (bytes[from] !== 0x22 || bytes[at] !== 0x22) throw unusual;
    return asciiText(bytes, from + 1, at);
  }

  #known(type: string, mode: EntryMode): RowCutter {
    if (mode === "match" && type === this.#usual.type) return this.#usual;
    const known = isResourceType(type) ? this.#cutterOf(type, mode) : undefined;
    if (known === undefined) throw unusual;
    this.#other = known;
    this.#otherMode = mode;
    return known;
  }

  /** Passes the value of `search`. Only matches and included resources are cut. */
  #passMode(valueAt: number): EntryMode {
    if (scanner.isAt(valueAt, matchMode)) {
      scanner.at += matchMode.length;
      return "match";
    }
    if (scanner.isAt(valueAt, includeMode)) {
      scanner.at += includeMode.length;
      return this.#isOne ? "match" : "include";
    }
    scanner.skipValue();
    const search = readJson(scanner.bytes.subarray(valueAt, scanner.at));
    const mode = search.ok && isObject(search.value) ? property(search.value, "mode") : undefined;
    if (mode !== "match" && mode !== "include") throw unusual;
    return this.#isOne ? "match" : mode;
  }
}

/** Reads no entry where it begins. */
export const noneAhead: AheadReader<CutEntry> = { begin: () => undefined, entryAt: () => undefined };
