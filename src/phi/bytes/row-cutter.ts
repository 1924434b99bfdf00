import { utf8 } from "#kernel/encoded";
import { Facts } from "#fhir/json/facts";
import { isObject, property, readJson, resourceBytesMax, type Json, type JsonObject } from "#fhir/json/json";
import { ownersNamed, type Concerned } from "#fhir/r4/compartment";
import type { SearchParameter } from "#fhir/search/search";
import { patientsMax, type Released } from "#phi/disclosure";
import { hidesOwner, type RedactContext } from "#phi/redact";
import { originUrls, type Bases } from "#phi/origin-urls";
import type { ResourceView } from "#policy/compile";
import type { FactLists } from "#policy/facts";
import { byteClassesOf } from "./byte-classes.ts";
import { capturedValue } from "./captured-value.ts";
import { ByteCutter, type CutContext } from "./cutter.ts";
import { Decisions, type RowDecision } from "./decisions.ts";
import { asciiText } from "./ascii-text.ts";
import { hashOf } from "./name-hash.ts";
import { planOf } from "./plans.ts";
import { isSame, wordsOf } from "./words.ts";
import type { EntryFrame } from "./output.ts";
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
  readonly mayLinkTo: RedactContext["mayLinkTo"];
  /** Codes of the value sets decide: a resource with one is not cut here. */
  readonly readsCodes: boolean;
  /** Contained resources decide: a resource with one is not cut here. */
  readonly judgesNested: boolean;
  readonly viewInside: RedactContext["viewInside"];
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
) & { readonly id: string; entryEnd: number };

/** After this many hidden rows in a row, the facts of the next are read before it is cut. */
const hiddenMax = 8;

const resourceName = utf8("resource");
const searchName = utf8("search");
const [resourceHash, searchHash] = [hashOf("resource"), hashOf("search")];
const typeStart = utf8('{"resourceType":');
const matchMode = utf8('{"mode":"match"}');
const afterId = wordsOf(utf8('","resource":'));
const afterEntry = wordsOf(utf8(',"search":{"mode":"match"}}'));
const nobody: ReadonlySet<string> = new Set();
const noBytes: Uint8Array = new Uint8Array();
/** 1 for each byte that the id of a resource may have. */
const idSigns = new Uint8Array(256);
for (const sign of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.")
  idSigns[sign.charCodeAt(0)] = 1;

// Used between two awaits only: one serves every answer of an isolate.
const cutter = new ByteCutter();
const { scanner, output } = cutter;
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
  readonly #isPatient: boolean;
  readonly #facts: FactLayout;
  readonly #frame: EntryFrame;
  readonly #decisions: Decisions;
  /** The facts of the Patient in the text that is being read. */
  #patient: Facts | undefined;
  #hiddenInARow = 0;
  /** The chunk that entries are read from, and the proof that the cutter has it loaded. */
  #chunk = noBytes;
  #loaded: object | undefined;
  /** The last patient that was found among owners, and these owners. */
  #lastOwners: ReadonlySet<string> = nobody;
  #lastNamed = "";
  /** Length of the last id: the next is likely to be as long. */
  #idLength = 0;

  /** @param type of the requested resources. */
  constructor(judge: Judge, bases: Bases, type: string) {
    this.#judge = judge;
    this.#bases = bases;
    this.#context = {
      bases,
      classes: byteClassesOf(bases),
      urls: originUrls(bases),
      mayLinkTo: judge.mayLinkTo,
      viewInside: judge.viewInside,
      looksForCodes: judge.readsCodes,
      refusesContained: judge.judgesNested,
    };
    this.#facts = factLayoutOf(judge.lists, judge.policyDigest, type);
    this.#type = this.#facts.typeName;
    this.#isPatient = type === "Patient";
    this.#decisions = new Decisions(this.#facts.deciding);
    this.#frame = { beforeId: this.#facts.entryStart(bases.public), afterId, after: afterEntry };
  }

  /** A whole body: a resource. Its text is the redacted resource. */
  resource(body: Uint8Array): (CutRow & { readonly lastUpdated: string | undefined }) | "hidden" | undefined {
    try {
      this.#load(body, false);
      scanner.next();
      const decision = this.#cut(0);
      if (!scanner.isAtEnd) throw unusual;
      this.#note();
      if (decision === undefined) return "hidden";
      const { lastUpdated } = cutter;
      if (output.length > resourceBytesMax) throw unusual;
      const text = output.keep();
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
      this.#load(bytes, true);
      this.#loaded = undefined;
      const entry = this.#entry("row");
      if (!scanner.isAtEnd) throw unusual;
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
      if (this.#loaded === undefined || this.#loaded !== lastLoad) this.#load(this.#chunk, true);
      scanner.start(at);
      return this.#entry(part);
    } catch (fault) {
      if (fault === unusual) return undefined;
      throw fault;
    }
  }

  #load(text: Uint8Array, hasRows: boolean): void {
    cutter.begin(this.#context);
    cutter.load(text, hasRows);
    lastLoad = {};
    this.#loaded = lastLoad;
    this.#patient = undefined;
  }

  #entry(part: "row" | "key"): CutEntry {
    this.#patient = undefined;
    scanner.next();
    const base = scanner.enter();
    let entry: CutEntry | undefined;
    if (scanner.next() !== 0x7d) {
      for (;;) {
        const hash = scanner.key(base);
        const valueAt = scanner.at;
        // another name may have the hash of one of these
        if (hash === resourceHash && !scanner.isKey(resourceName)) throw unusual;
        if (hash === searchHash && !scanner.isKey(searchName)) throw unusual;
        if (hash === resourceHash) entry = part === "row" ? this.#row() : this.#key();
        else if (hash === searchHash && scanner.isAt(valueAt, matchMode)) scanner.at += matchMode.length;
        else {
          scanner.skipValue();
          if (hash === searchHash) this.#passMode(valueAt);
        }
        if (scanner.next() === 0x7d) break;
        scanner.pass(0x2c);
        scanner.next();
      }
    }
    scanner.leave(base);
    if (entry === undefined) throw unusual;
    this.#note();
    entry.entryEnd = scanner.at;
    return entry;
  }

  /** At a resource of which only the id is read. */
  #key(): CutEntry {
    cutter.cut(this.#facts.read);
    return { kind: "key", id: this.#idOrNone(), entryEnd: 0 };
  }

  /** Once the whole text was read: the plain engine notes no Patient of a text that it refuses. */
  #note(): void {
    if (this.#patient !== undefined) this.#judge.note(this.#patient);
  }

  /** Behind the value of `search`: an entry that is no match is left to the plain engine. */
  #passMode(valueAt: number): void {
    const search = readJson(scanner.bytes.subarray(valueAt, scanner.at));
    if (!search.ok || !isObject(search.value) || property(search.value, "mode") !== "match") throw unusual;
  }

  /** At a resource: a row of another type, mostly included, is not read in vain. */
  #passType(): void {
    if (!scanner.isAt(scanner.at, typeStart)) return;
    const { typeText } = this.#facts;
    if (!scanner.isAt(scanner.at + typeStart.length, typeText)) throw unusual;
  }

  /** At the resource of an entry. */
  #row(): CutEntry {
    this.#passType();
    const frame = this.#frame;
    const before = frame.beforeId.byteLength + frame.afterId.byteLength;
    const decision = this.#cut(1 + before + this.#idLength);
    if (decision === undefined) return { kind: "hidden", id: this.#idOrNone(), entryEnd: 0 };
    const id = this.#id();
    this.#idLength = id.length;
    const { length } = output;
    if (length > resourceBytesMax) throw unusual; // by its placeholders: it could not be read again
    const text = output.keepEntry(frame, (cutter.factStart[this.#facts.id] ?? 0) + 1, id.length);
    const start = before + id.length;
    const released = this.#released(decision, id, text);
    const { mustShow } = decision;
    return { kind: "row", released, start, end: start + length, mustShow, id, entryEnd: 0 };
  }

  /** At a resource: past it. Its output is that of its own decision; `undefined`: it is hidden. */
  #cut(gap: number): RowDecision | undefined {
    const { at } = scanner;
    const facts = this.#facts;
    const tried = this.#hiddenInARow < hiddenMax ? (facts.shown ?? facts.read) : facts.read;
    cutter.cut(tried, gap);
    // A row of another type is judged as a whole.
    if (
      !isSame(
        facts.typeText,
        scanner.bytes,
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
      const end = scanner.at;
      scanner.at = at;
      cutter.cut(plan, gap);
      if (scanner.at !== end) throw unusual;
    }
    return decision;
  }

  #decide(): RowDecision {
    // The residence of each Patient is noted, and each has its own id.
    if (this.#isPatient) return this.#judged();
    return this.#decisions.ofSameFacts(cutter) ?? this.#decisions.remember(cutter, this.#judged());
  }

  #judged(): RowDecision {
    const { lists, viewOf, mustShow } = this.#judge;
    // An inline label is unusual: there is none.
    const facts = Facts.captured(this.#captured(), lists.factPaths(this.#type), [], this.#judge.readsCodes);
    if (this.#isPatient) this.#patient = facts;
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
    const { paths, hasMeta } = this.#facts;
    const { factStart, factEnd } = cutter;
    const captured: Record<string, Json> = {};
    let meta: Record<string, Json> | undefined;
    for (let index = 0; index < paths.length; index += 1) {
      if ((factEnd[index] ?? 0) === 0) continue;
      const [first = "", second] = paths[index] ?? [];
      if (second !== undefined && hasMeta) continue; // it is in the whole `meta`
      const value = capturedValue(scanner.bytes, factStart[index] ?? 0);
      if (second === undefined) captured[first] = value;
      else (meta ??= {})[second] = value;
    }
    if (meta !== undefined) captured["meta"] = meta;
    return captured;
  }

  /** The id of a resource that leaves; see `isId`. */
  #id(): string {
    const { bytes } = scanner;
    const start = (cutter.factStart[this.#facts.id] ?? 0) + 1;
    const id = this.#idOrNone();
    // Bytes: a comparison with a constant text would make each id a constant, too.
    if (id.length === 0) throw unusual;
    if (bytes[start] === 0x2e && (bytes[start + 1] === 0x2e || id.length === 1)) throw unusual;
    return id;
  }

  /** The id of any resource; empty for a resource without one. */
  #idOrNone(): string {
    const { factStart, factEnd } = cutter;
    const { bytes } = scanner;
    const end = factEnd[this.#facts.id] ?? 0;
    if (end === 0) return "";
    const start = factStart[this.#facts.id] ?? 0;
    if (bytes[start] !== 0x22 || end - start > 66) throw unusual;
    for (let at = start + 1; at < end - 1; at += 1) if (idSigns[bytes[at] ?? 0] === 0) throw unusual;
    return asciiText(bytes, start + 1, end - 1);
  }

  #released(decision: RowDecision, id: string, text: Uint8Array): Released {
    const { mentions } = cutter;
    let { patients, unseen } = decision;
    if (!this.#isUsual(decision)) {
      const { named } = mentions;
      patients = new Set([...decision.patients, ...named]);
      if (patients.size > patientsMax) throw unusual;
      // the id of a Patient always leaves
      const seen = new Set(this.#isPatient ? decision.patients : []);
      for (const [index, patient] of named.entries()) if (mentions.areSeen[index] === true) seen.add(patient);
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
      withheld: cutter.withheld,
      records: cutter.records,
    };
  }

  /** The released references name the owners that the facts name, and no further patient. */
  #isUsual({ patients }: RowDecision): boolean {
    if (patients.size > 1) return false;
    const { patients: named, areSeen, count } = cutter.mentions;
    let isSeen = this.#isPatient || patients.size === 0;
    for (let index = 0; index < count; index += 1) {
      const patient = named[index] ?? "";
      // Most texts of an answer are one object: texts of different objects are compared by all their signs.
      if (patients !== this.#lastOwners || patient !== this.#lastNamed) {
        if (!patients.has(patient)) return false;
        this.#lastOwners = patients;
        this.#lastNamed = patient;
      }
      if (areSeen[index] === true) isSeen = true;
    }
    return isSeen;
  }
}

const hidden: RowDecision = {
  plan: undefined,
  patients: nobody,
  unseen: nobody,
  unnamed: false,
  room: 0,
  mustShow: [],
};
