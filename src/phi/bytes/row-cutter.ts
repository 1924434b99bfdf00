import { utf8 } from "#kernel/encoded";
import { joinBytes } from "#fhir/json/bytes";
import { Facts } from "#fhir/json/facts";
import { isObject, property, readJson, resourceBytesMax, type Json, type JsonObject } from "#fhir/json/json";
import { ownersNamed, type Concerned } from "#fhir/r4/compartment";
import type { SearchParameter } from "#fhir/search/search";
import { patientsMax, type Released } from "#phi/disclosure";
import { hidesOwner } from "#phi/redact";
import { originUrls, type Bases } from "#phi/origin-urls";
import type { ResourceView } from "#policy/compile";
import type { FactLists } from "#policy/facts";
import { byteClassesOf } from "./byte-classes.ts";
import { ByteCutter, keptBytesMax, type CutContext } from "./cutter.ts";
import { asciiText } from "./ascii-text.ts";
import { isSame } from "./mentions.ts";
import { hashOf, type Plan } from "./plan.ts";
import { planOf } from "./plans.ts";
import { factLayoutOf, type FactLayout } from "./fact-layout.ts";
import { unusual } from "./unusual.ts";

/** The decisions of a grant about the resources of an answer. They read facts alone. */
export interface Judge {
  readonly policyDigest: string;
  readonly lists: FactLists;
  /** The view of a row that leaves; `undefined`: the row is hidden. */
  readonly viewOf: (facts: Facts) => ResourceView | undefined;
  /** The criteria that the written row itself must meet. */
  readonly mustShow: (facts: Facts) => readonly SearchParameter[];
  /** Called for each Patient, also for a hidden Patient. */
  readonly note: (facts: Facts) => void;
  readonly mayLinkTo: (other: JsonObject) => boolean;
}

/** A row that leaves. */
export interface CutRow {
  readonly kind: "row";
  readonly released: Released;
  /** The range of the resource in `released.text`. */
  readonly start: number;
  readonly end: number;
  readonly mustShow: readonly SearchParameter[];
}

/** An entry that was cut, or only read: with the id of its resource and its end in the text. */
export type CutEntry = (
  | CutRow
  | { readonly kind: "hidden" }
  /** Read without a decision. */
  | { readonly kind: "key" }
) & { readonly id: string; readonly entryEnd: number };

/** The decision about the rows with the same facts. */
interface Decision {
  /** `undefined`: hidden. */
  readonly plan: Plan | undefined;
  readonly patients: ReadonlySet<string>;
  /** None, if the references that leave name all of the patients. */
  readonly unseen: ReadonlySet<string>;
  readonly unnamed: boolean;
  readonly room: number;
  readonly mustShow: readonly SearchParameter[];
}

/** A decision, with the facts that led to it. */
interface Remembered {
  readonly lengths: readonly number[];
  readonly bytes: Uint8Array;
  readonly decision: Decision;
}

// Further facts are judged anew each time.
const rememberedMax = 64;
/** After this many hidden rows in a row, the facts of the next are read before it is cut. */
const hiddenMax = 8;
const [chunkBytesMin, chunkBytesMax] = [16_384, 524_288];

const resourceName = utf8("resource");
const searchName = utf8("search");
const [resourceHash, searchHash] = [hashOf("resource"), hashOf("search")];
const matchMode = utf8('{"mode":"match"}');
const entryMiddle = utf8('","resource":');
const entryEnd = utf8(',"search":{"mode":"match"}}');
const [openBrace, closeBrace, comma, metaName] = [utf8("{"), utf8("}"), utf8(","), utf8('"meta":')];
const nobody: ReadonlySet<string> = new Set();
const nothing = new Uint8Array();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** 1 for each byte that the id of a resource may have. */
const idSigns = new Uint8Array(256);
for (const sign of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.")
  idSigns[sign.charCodeAt(0)] = 1;

// Used between two awaits only: one serves every answer of an isolate.
const cutter = new ByteCutter();
/** Changes with each text that the cutter loads. */
let lastLoad: object = {};

/**
 * Decides about the resources of one answer, and cuts those that leave, in one pass over their bytes. The view
 * of the last row is tried while its facts are captured; a different decision cuts the row again. `undefined`:
 * it is left to the plain engine, which also decides every refusal.
 */
export class RowCutter {
  readonly #judge: Judge;
  readonly #bases: Bases;
  readonly #context: CutContext;
  readonly #type: string;
  readonly #facts: FactLayout;
  readonly #entryStart: Uint8Array;
  #remembered: Remembered[] = [];
  /** The facts of the Patient in the text that is being read. */
  #patient: Facts | undefined;
  #hiddenInARow = 0;
  /** The chunk that entries are read from, and the proof that the cutter has it loaded. */
  #chunk: Uint8Array = new Uint8Array();
  #loaded: object | undefined;
  /** The texts of rows. */
  #texts = new Uint8Array();
  #used = 0;

  /** @param type of the requested resources. */
  constructor(judge: Judge, bases: Bases, type: string) {
    this.#judge = judge;
    this.#bases = bases;
    this.#type = type;
    this.#context = {
      bases,
      classes: byteClassesOf(bases),
      urls: originUrls(bases),
      mayLinkTo: judge.mayLinkTo,
    };
    this.#facts = factLayoutOf(judge.lists, judge.policyDigest, type);
    this.#entryStart = this.#facts.entryStart(bases.public);
  }

  /** A whole body: a resource. Its text is the redacted resource. */
  resource(body: Uint8Array): (CutRow & { readonly lastUpdated: string | undefined }) | "hidden" | undefined {
    try {
      this.#load(body);
      cutter.next();
      const decision = this.#cut();
      if (!cutter.isAtEnd) throw unusual;
      this.#note();
      if (decision === undefined) return "hidden";
      const { output, lastUpdated } = cutter;
      if (output.length > resourceBytesMax) throw unusual;
      const text = output.length > keptBytesMax ? cutter.takeOutput(nothing, nothing) : output.slice();
      const released = this.#released(decision, this.#id(), text);
      const { mustShow } = decision;
      return { kind: "row", released, start: 0, end: text.length, mustShow, lastUpdated };
    } catch (fault) {
      if (fault === unusual) return undefined;
      throw fault;
    }
  }

  /** An entry of a searchset. Its text is the entry as it leaves. */
  entry(bytes: Uint8Array): CutEntry | undefined {
    try {
      this.#load(bytes);
      this.#loaded = undefined;
      const entry = this.#entry("row");
      if (!cutter.isAtEnd) throw unusual;
      return entry;
    } catch (fault) {
      if (fault === unusual) return undefined;
      throw fault;
    }
  }

  /** For the entries that begin in this chunk, which is not changed until the next. */
  begin(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#loaded = undefined;
  }

  /** The entry that begins at a position of the chunk. @param part see `CutEntry`. */
  entryAt(at: number, part: "row" | "key"): CutEntry | undefined {
    try {
      if (this.#loaded === undefined || this.#loaded !== lastLoad) this.#load(this.#chunk);
      cutter.start(at);
      return this.#entry(part);
    } catch (fault) {
      if (fault === unusual) return undefined;
      throw fault;
    }
  }

  #load(text: Uint8Array): void {
    cutter.begin(this.#context);
    cutter.load(text);
    lastLoad = {};
    this.#loaded = lastLoad;
    this.#patient = undefined;
  }

  #entry(part: "row" | "key"): CutEntry {
    this.#patient = undefined;
    cutter.next();
    const base = cutter.enter();
    let row: CutRow | "hidden" | "key" | undefined;
    let id = "";
    if (cutter.next() !== 0x7d) {
      for (;;) {
        const hash = cutter.key(base);
        const valueAt = cutter.at;
        // another name may have the hash of one of these
        if (hash === resourceHash && !cutter.isKey(resourceName)) throw unusual;
        if (hash === searchHash && !cutter.isKey(searchName)) throw unusual;
        if (hash === resourceHash) {
          row = part === "row" ? this.#row() : this.#key();
          id = typeof row === "object" ? row.released.id : this.#idOrNone();
        } else cutter.skip();
        if (hash === searchHash) this.#passMode(valueAt);
        if (cutter.next() === 0x7d) break;
        cutter.pass(0x2c);
        cutter.next();
      }
    }
    cutter.leave(base);
    if (row === undefined) throw unusual;
    this.#note();
    const entryEnd = cutter.at;
    if (row === "hidden" || row === "key") return { kind: row, id, entryEnd };
    const { released, start, end, mustShow } = row;
    return { kind: "row", released, start, end, mustShow, id, entryEnd };
  }

  /** At a resource of which only the id is read. */
  #key(): "key" {
    cutter.cut(this.#facts.read);
    return "key";
  }

  /** Once the whole text was read: the plain engine notes no Patient of a text that it refuses. */
  #note(): void {
    if (this.#patient !== undefined) this.#judge.note(this.#patient);
  }

  /** Behind the value of `search`: an entry that is no match is left to the plain engine. */
  #passMode(valueAt: number): void {
    if (isSame(matchMode, cutter.bytes, valueAt, cutter.at)) return;
    const search = readJson(cutter.bytes.subarray(valueAt, cutter.at));
    if (!search.ok || !isObject(search.value) || property(search.value, "mode") !== "match") throw unusual;
  }

  /** At the resource of an entry. */
  #row(): CutRow | "hidden" {
    const decision = this.#cut();
    if (decision === undefined) return "hidden";
    const id = this.#id();
    const prefix = this.#entryStart;
    const outputLength = cutter.outputLength;
    if (outputLength > resourceBytesMax) throw unusual; // by its placeholders: it could not be read again
    if (outputLength > keptBytesMax) {
      const before = joinBytes([prefix, utf8(id), entryMiddle]);
      const start = before.length;
      const released = this.#released(decision, id, cutter.takeOutput(before, entryEnd));
      return { kind: "row", released, start, end: start + outputLength, mustShow: decision.mustShow };
    }
    const length = prefix.length + id.length + entryMiddle.length + outputLength + entryEnd.length;
    const texts = this.#room(length);
    const from = this.#used;
    texts.set(prefix, from);
    let at = from + prefix.length;
    for (let each = 0; each < id.length; each += 1) texts[at++] = id.charCodeAt(each);
    texts.set(entryMiddle, at);
    at += entryMiddle.length;
    const start = at - from;
    cutter.copyOutput(texts, at);
    at += outputLength;
    texts.set(entryEnd, at);
    this.#used = at + entryEnd.length;
    const released = this.#released(decision, id, texts.subarray(from, this.#used));
    return { kind: "row", released, start, end: start + outputLength, mustShow: decision.mustShow };
  }

  /** At a resource: past it. Its output is that of its own decision; `undefined`: it is hidden. */
  #cut(): Decision | undefined {
    const at = cutter.at;
    const facts = this.#facts;
    const tried = this.#hiddenInARow < hiddenMax ? (facts.shown ?? facts.read) : facts.read;
    cutter.cut(tried);
    // A row of another type is judged as a whole.
    if (
      !isSame(
        facts.typeText,
        cutter.bytes,
        cutter.factStart[facts.type] ?? 0,
        cutter.factEnd[facts.type] ?? 0,
      )
    )
      throw unusual;
    const decision = this.#decide();
    const { plan } = decision;
    if (plan === undefined) {
      this.#hiddenInARow += 1;
      return undefined;
    }
    this.#hiddenInARow = 0;
    facts.shown = plan;
    if (plan !== tried) {
      const end = cutter.at;
      cutter.rewind(at);
      cutter.cut(plan);
      if (cutter.at !== end) throw unusual;
    }
    return decision;
  }

  #decide(): Decision {
    // The residence of each Patient is noted, and each has its own id.
    if (this.#type === "Patient") return this.#judged();
    for (let index = 0; index < this.#remembered.length; index += 1) {
      const remembered = this.#remembered[index];
      if (remembered === undefined || !this.#isAsRemembered(remembered)) continue;
      if (index > 0) {
        this.#remembered.splice(index, 1);
        this.#remembered.unshift(remembered);
      }
      return remembered.decision;
    }
    const decision = this.#judged();
    if (this.#remembered.length < rememberedMax) this.#remembered.unshift(this.#asRemembered(decision));
    return decision;
  }

  #isAsRemembered({ lengths, bytes: own }: Remembered): boolean {
    const { bytes, factStart, factEnd } = cutter;
    const { deciding } = this.#facts;
    for (let index = 0; index < lengths.length; index += 1) {
      const fact = deciding[index] ?? 0;
      const end = factEnd[fact] ?? 0;
      if ((end === 0 ? -1 : end - (factStart[fact] ?? 0)) !== lengths[index]) return false;
    }
    let at = 0;
    for (let index = 0; index < lengths.length; index += 1) {
      const fact = deciding[index] ?? 0;
      const end = factEnd[fact] ?? 0;
      if (end === 0) continue;
      for (let each = factStart[fact] ?? 0; each < end; each += 1)
        if (bytes[each] !== own[at++]) return false;
    }
    return true;
  }

  #asRemembered(decision: Decision): Remembered {
    const ranges = this.#facts.deciding.map((fact) => this.#range(fact));
    const lengths = ranges.map((range) => range?.length ?? -1);
    const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + Math.max(0, length), 0));
    let at = 0;
    for (const range of ranges) {
      if (range === undefined) continue;
      bytes.set(range, at);
      at += range.length;
    }
    return { lengths, bytes, decision };
  }

  #range(fact: number): Uint8Array | undefined {
    const end = cutter.factEnd[fact] ?? 0;
    return end === 0 ? undefined : cutter.bytes.subarray(cutter.factStart[fact], end);
  }

  #judged(): Decision {
    const { lists, viewOf, mustShow } = this.#judge;
    // An inline label is unusual: there is none.
    const facts = Facts.captured(this.#captured(), lists.factPaths(this.#type), []);
    if (this.#type === "Patient") this.#patient = facts;
    const view = viewOf(facts);
    if (view === undefined) return hidden;
    const owners: Concerned = ownersNamed(facts, [this.#bases.origin, this.#bases.public]);
    return {
      plan: planOf(view, this.#facts.paths, this.#facts.key),
      patients: new Set(owners.patients),
      unseen: nobody,
      unnamed: owners.unnamed,
      room: hidesOwner(facts, view) ? 1 : 0,
      mustShow: mustShow(facts),
    };
  }

  #captured(): JsonObject {
    const { names, paths, inMeta } = this.#facts;
    const parts: Uint8Array[] = [];
    const add = (index: number) => {
      const range = this.#range(index);
      const name = names[index];
      if (range === undefined || name === undefined) return;
      parts.push(parts.length === 0 ? openBrace : comma, name, range);
    };
    for (let index = 0; index < paths.length; index += 1) if (paths[index]?.[1] === undefined) add(index);
    let hasMeta = false;
    for (const index of inMeta) {
      if (this.#range(index) === undefined) continue;
      if (!hasMeta) parts.push(parts.length === 0 ? openBrace : comma, metaName);
      const [name, range] = [names[index], this.#range(index)];
      if (name !== undefined && range !== undefined) parts.push(hasMeta ? comma : openBrace, name, range);
      hasMeta = true;
    }
    if (hasMeta) parts.push(closeBrace);
    parts.push(closeBrace);
    const bytes = joinBytes(parts);
    // Each part was read strictly; `readJson` keeps a number's own text.
    const read = cutter.factHasNumber ? readOrNone(bytes) : (JSON.parse(decoder.decode(bytes)) as Json);
    if (!isObject(read)) throw unusual;
    return read;
  }

  /** The id of a resource that leaves; see `isId`. */
  #id(): string {
    const id = this.#idOrNone();
    if (id === "" || id === "." || id.startsWith("..")) throw unusual;
    return id;
  }

  /** The id of any resource; empty for a resource without one. */
  #idOrNone(): string {
    const { bytes, factStart, factEnd } = cutter;
    const end = factEnd[this.#facts.id] ?? 0;
    if (end === 0) return "";
    const start = factStart[this.#facts.id] ?? 0;
    if (bytes[start] !== 0x22 || end - start > 66) throw unusual;
    for (let at = start + 1; at < end - 1; at += 1) if (idSigns[bytes[at] ?? 0] === 0) throw unusual;
    return asciiText(bytes, start + 1, end - 1);
  }

  #released(decision: Decision, id: string, text: Uint8Array): Released {
    const { mentions } = cutter;
    let { patients, unseen } = decision;
    if (!this.#isUsual(decision)) {
      patients = new Set([...decision.patients, ...mentions.patients]);
      if (patients.size > patientsMax) throw unusual;
      // the id of a Patient always leaves
      const seen = new Set(this.#type === "Patient" ? decision.patients : []);
      for (const [index, patient] of mentions.patients.entries())
        if (mentions.areSeen[index] === true) seen.add(patient);
      unseen = new Set([...patients].filter((patient) => !seen.has(patient)));
    }
    return {
      type: this.#type,
      id,
      text,
      patients,
      unseen,
      room: decision.room + mentions.room,
      unnamed: decision.unnamed || mentions.unnamed,
      withheld: 0,
      records: 1,
    };
  }

  /** The released references name the owners that the facts name, and no further patient. */
  #isUsual({ patients }: Decision): boolean {
    if (patients.size > 1) return false;
    const { patients: named, areSeen } = cutter.mentions;
    let isSeen = this.#type === "Patient" || patients.size === 0;
    for (let index = 0; index < named.length; index += 1) {
      const patient = named[index] ?? "";
      if (!patients.has(patient)) return false;
      if (areSeen[index] === true) isSeen = true;
    }
    return isSeen;
  }

  /** An array with room for an entry. It is never written again: the texts of rows are parts of it. */
  #room(length: number): Uint8Array {
    if (this.#used + length > this.#texts.length) {
      const wanted = Math.max(
        Math.min(this.#chunk.length, chunkBytesMax),
        2 * Math.min(this.#texts.length, chunkBytesMax),
        chunkBytesMin,
        length,
      );
      this.#texts = new Uint8Array(wanted);
      this.#used = 0;
    }
    return this.#texts;
  }
}

function readOrNone(bytes: Uint8Array): Json | undefined {
  const read = readJson(bytes);
  return read.ok ? read.value : undefined;
}

const hidden: Decision = {
  plan: undefined,
  patients: nobody,
  unseen: nobody,
  unnamed: false,
  room: 0,
  mustShow: [],
};
