import { utf8 } from "#kernel/encoded";
import { rowShare, RowShareSpent } from "#fhir/search/row-work";
import { Facts, type Sought } from "#fhir/json/facts";
import { isObject, readJson, resourceBytesMax, type Json } from "#fhir/json/json";
import { ownersNamed, type Concerned } from "#fhir/r4/concerned-patients";
import type { SearchParameter } from "#fhir/search/search";
import { patientsMax, type Released } from "#phi/disclosure";
import { hidesOwner } from "#phi/shown-reference";
import type { GuardedBases } from "#phi/origin-urls";
import type { ResourceView } from "#policy/compile";
import type { AskedTimes } from "#policy/consent/asked-facts";
import { answerTo } from "#policy/consent/row-facts";
import type { FactLists } from "#policy/facts";
import type { RowNeeds } from "#policy/row-needs";
import { residenceNames } from "#residence/residence";
import { capturedValue } from "./captured-value.ts";
import type { PartAccess } from "#phi/redact";
import { noClass, timeClass } from "./date-class.ts";
import { FactMemory, MemoryRoom } from "./fact-memory.ts";
import { asciiText } from "./ascii-text.ts";
import { contextOf, cutter, loadText, type Deciding } from "./isolate-cutter.ts";
import type { Mentioned } from "./mentions.ts";
import type { Plan } from "./plan.ts";
import { planOf } from "./plans.ts";
import { isSame, wordsOf } from "./words.ts";
import type { EntryFrame } from "./output.ts";
import { factLayoutOf, type FactLayout } from "./fact-layout.ts";
import { leave, unusual } from "./unusual.ts";

/** The decisions of a grant about the resources of an answer. They read facts alone. */
export interface Judge extends PartAccess {
  readonly deciding: Deciding;
  readonly policyDigest: string;
  readonly lists: FactLists;
  /** The view of a row that leaves; `undefined`: the row is hidden. */
  readonly viewOf: (facts: Facts) => ResourceView | undefined;
  /** The facts to learn before {@link viewOf} is asked. */
  readonly needsOf?: (facts: Facts) => RowNeeds | undefined;
  /** See `Grant.timesAsked`. */
  readonly timesAsked?: (facts: Facts) => AskedTimes | undefined;
  /** The criteria that the written row itself must meet. */
  readonly mustShow: (facts: Facts) => readonly SearchParameter[];
  /** Called for each Patient, also for a hidden Patient. */
  readonly note: (facts: Facts) => void;
}

/** The decision about the rows with the same facts. */
interface RowDecision {
  /** `undefined`: hidden. */
  readonly plan: Plan | undefined;
  readonly patients: ReadonlySet<string>;
  /** None, if the references that leave name all of the patients. */
  readonly unseen: ReadonlySet<string>;
  readonly unnamed: boolean;
  readonly room: number;
  readonly mustShow: readonly SearchParameter[];
  readonly facts: Facts;
  /** Units of work, without those for the conditions of rules. */
  readonly units: number;
}

/** The decisions about the rows that meet the same conditions of rules, and what it cost to find these conditions. */
interface Met {
  readonly units: number;
  readonly decisions: FactMemory<Alike>;
}

/** A row that leaves. */
export interface CutRow {
  readonly kind: "row";
  readonly released: Released;
  /** The range of the resource in `released.text`. */
  readonly start: number;
  readonly end: number;
  readonly mustShow: readonly SearchParameter[];
  /** The facts that led to the decision: of this row, or of a row with the same deciding facts. */
  readonly facts: Facts;
}

/** A row that is not judged yet: it waits for facts, with its bytes and the facts of its first reading. */
export interface WaitingRow<Judged> {
  readonly kind: "waiting";
  readonly needs: RowNeeds;
  bytes: Uint8Array;
  /** Judges the row by the facts of its first reading, once; undefined: its bytes have to be read again. */
  readonly judged: () => Judged | undefined;
}

export type EntryMode = "match" | "include";

/** An entry that was cut, or only read: by its type and mode, with its id and its end in the text. */
export type CutEntry = JudgedEntry | (WaitingRow<JudgedEntry> & EntryPlace);

/** An entry that waits for nothing. */
export type JudgedEntry = (
  | CutRow
  | { readonly kind: "hidden" }
  /** Read without a decision. */
  | { readonly kind: "key" }
) &
  EntryPlace;

interface EntryPlace {
  readonly type: string;
  readonly mode: EntryMode;
  readonly id: string;
  entryEnd: number;
}

/** A resource as a whole body. */
export type CutBody = (CutRow & { readonly lastUpdated: string | undefined }) | "hidden";

/** Thrown by {@link Judge.viewOf} for captured facts: only facts of the whole resource decide. */
export const wholeNeeded: Error = new Error("the whole resource decides");

/** The judgement that rows with the same deciding facts share. */
interface Alike {
  readonly facts: Facts;
  /** The rows wait for these facts until a row of them is judged. */
  readonly needs: RowNeeds | undefined;
  /** The judgement of those of the rows that were read once more was known. */
  since?: Alike;
  decision: RowDecision | undefined;
  /** The rows by times and authors; `undefined` until it is known whether these decide. */
  apart: Apart | "alike" | undefined;
}

/** Rows that Consents may tell apart by their times and authors. */
interface Apart {
  readonly asked: AskedTimes;
  /** By the class of the time; within it, and for a time without a class, by bytes. */
  readonly byClass: Map<number, FactMemory<Alike>>;
  readonly byAnswer: Map<string, Alike>;
}

/** The output of a row. */
interface Cut {
  readonly id: string;
  readonly text: Uint8Array;
  /** The range of the resource in the text. */
  readonly start: number;
  readonly end: number;
  /** Present for a whole body. */
  readonly lastUpdated: string | undefined;
}

/** The findings of a cut in its resource, beside the text. */
interface CutParts {
  readonly mentions: Mentioned;
  readonly withheld: number;
  readonly records: number;
}

/** After this many hidden rows in a row, the facts of the next are read before it is cut. */
const hiddenMax = 8;

const afterId = wordsOf(utf8('","resource":'));
const afterEntry = {
  match: wordsOf(utf8(',"search":{"mode":"match"}}')),
  include: wordsOf(utf8(',"search":{"mode":"include"}}')),
};
const nobody: ReadonlySet<string> = new Set();
/** 1 for each byte that the id of a resource may have. */
const idSigns = new Uint8Array(256);
for (const sign of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.")
  idSigns[sign.charCodeAt(0)] = 1;

const { scanner, output } = cutter;

/**
 * Decides about the resources of one type in an answer, and cuts the rows that leave, in one pass over their
 * bytes. The view of the last row is tried while its facts are captured; a different decision cuts the row
 * again. A resource that is left to the plain engine ends with `unusual`.
 */
export class RowCutter {
  readonly #judge: Judge;
  readonly #bases: GuardedBases;
  readonly type: string;
  readonly #mode: EntryMode;
  readonly #isPatient: boolean;
  readonly #facts: FactLayout;
  readonly #frame: EntryFrame;
  readonly #room = new MemoryRoom();
  /** Undefined for Patients: each has its own id. */
  readonly #met: FactMemory<Met> | undefined;
  readonly #decisions = new Map<string, Met["decisions"]>();
  /** The facts of the Patient in the text that is being read. */
  #patient: Facts | undefined;
  #hiddenInARow = 0;
  /** The last patient that was found among owners, and these owners. */
  #lastOwners: ReadonlySet<string> = nobody;
  #lastNamed = "";
  /** Length of the last id: the next is likely to be as long. */
  #idLength = 0;
  /** The judgement that the row at hand shares, if the row waits for facts. */
  #waiting: Alike | undefined;
  /** The facts of the row at hand, if they were captured for its judgement. */
  #readNow: Facts | undefined;
  /** Units of work for the conditions that the row at hand meets. */
  #conditionUnits = 0;
  /** The place where the row at hand begins. */
  #start = 0;
  /** The plan by which the row at hand was cut first. */
  #tried: Plan | undefined;

  /** @param type of the resources. @param mode by which an entry leaves (FHIR R4 §3.1.1.4). */
  constructor(judge: Judge, bases: GuardedBases, type: string, mode: EntryMode = "match") {
    this.#mode = mode;
    this.#judge = judge;
    this.#bases = bases;
    this.#facts = factLayoutOf(judge.lists, judge.policyDigest, type);
    this.type = this.#facts.typeName;
    this.#isPatient = type === "Patient";
    this.#met = this.#isPatient ? undefined : new FactMemory(this.#facts.ofConditions, this.#room);
    this.#frame = { beforeId: this.#facts.entryStart(bases.public), afterId, after: afterEntry[mode] };
  }

  /** A whole body: a resource. Its text is the redacted resource. */
  resource(body: Uint8Array): CutBody | WaitingRow<CutBody> | undefined {
    try {
      loadText(contextOf(this.#bases, this.#judge.deciding), body, false);
      scanner.next();
      const decision = this.#cut(0);
      if (!scanner.isAtEnd) throw unusual;
      this.note();
      const waiting = this.#waiting;
      if (decision === undefined && waiting === undefined) return "hidden";
      if (waiting !== undefined && !this.#isCutAhead) return this.#wait(body, waiting, undefined, bodyOf);
      if (output.length > resourceBytesMax) throw unusual;
      const id = this.#id();
      const text = output.keep();
      const cut = { id, text, start: 0, end: text.length, lastUpdated: cutter.lastUpdated };
      if (waiting !== undefined) return this.#wait(body, waiting, cut, bodyOf);
      return bodyOf(this.#leaving(decision ?? hidden, cut, cutter), cut);
    } catch (fault) {
      return leave(fault, this.#bases);
    }
  }

  /** At the resource of an entry, of which only the id is read: past it. */
  key(): CutEntry {
    this.#patient = undefined;
    cutter.cut(this.#facts.read);
    this.#checkType();
    return this.#without("key");
  }

  /** A resource of another type is judged as a whole. */
  #checkType(): void {
    const { type, typeText } = this.#facts;
    const { factStart, factEnd } = cutter;
    if (!isSame(typeText, scanner.bytes, factStart[type] ?? 0, factEnd[type] ?? 0)) throw unusual;
  }

  /** Once the whole text was read: the plain engine notes no Patient of a text that it refuses. */
  note(): void {
    if (this.#patient !== undefined) this.#judge.note(this.#patient);
  }

  /** The type as JSON. */
  get typeText(): Uint8Array {
    return this.#facts.typeText;
  }

  /** At the resource of an entry: past it. Its text is the entry as it leaves. */
  row(): CutEntry {
    const frame = this.#frame;
    const before = frame.beforeId.byteLength + frame.afterId.byteLength;
    const decision = this.#cut(1 + before + this.#idLength);
    if (decision === undefined && !this.#isCutAhead) return this.#without("hidden");
    const id = this.#id();
    this.#idLength = id.length;
    const { length } = output;
    if (length > resourceBytesMax) throw unusual; // by its placeholders: it could not be read again
    const text = output.keepEntry(frame, (cutter.factStart[this.#facts.id] ?? 0) + 1, id.length);
    const start = before + id.length;
    const end = start + length;
    if (decision === undefined)
      return this.#without("hidden", { id, text, start, end, lastUpdated: undefined });
    const released = this.#released(decision, id, text, cutter);
    const { mustShow, facts } = decision;
    const { type } = this;
    return { kind: "row", released, start, end, mustShow, facts, type, mode: this.#mode, id, entryEnd: 0 };
  }

  /** @param cut of a row that was cut before its facts are known. */
  #without(kind: "key" | "hidden", cut?: Cut): CutEntry {
    const id = cut?.id ?? this.#idOrNone();
    const place = { kind, type: this.type, mode: this.#mode, id, entryEnd: 0 } as const;
    const waiting = this.#waiting;
    return kind === "key" || waiting === undefined ? place : this.#waitingAt(place, waiting, cut);
  }

  #waitingAt({ kind: _kind, ...place }: EntryPlace & { kind: string }, waiting: Alike, cut?: Cut): CutEntry {
    const entryOf = (row: CutRow | "hidden"): JudgedEntry =>
      row === "hidden" ? { kind: row, ...place } : { ...row, ...place };
    return { ...this.#wait(scanner.bytes, waiting, cut, entryOf), ...place };
  }

  /** The row waits, and was cut by the view of a row before it. */
  get #isCutAhead(): boolean {
    return this.#waiting !== undefined && this.#tried !== this.#facts.read;
  }

  #wait<Judged>(
    bytes: Uint8Array,
    alike: Alike,
    cut: Cut | undefined,
    judgedOf: (row: CutRow | "hidden", cut: Cut | undefined) => Judged,
  ): WaitingRow<Judged> {
    const { withheld, records } = cutter;
    const parts = cut && { mentions: cutter.mentions.copy(), withheld, records };
    const [tried, units, id] = [this.#tried, this.#conditionUnits, cut?.id ?? this.#idOrNone()];
    const judge = (): Judged | undefined => {
      this.#patient = undefined;
      try {
        const { plan } = this.#decided(alike, units);
        this.#hiddenInARow = plan === undefined ? this.#hiddenInARow + 1 : 0;
        if (plan !== undefined) this.#facts.shown = plan;
        if (plan !== undefined && (plan !== tried || parts === undefined)) return undefined;
        const row = plan && parts && cut && this.#leaving(alike.decision ?? hidden, cut, parts);
        this.note();
        return judgedOf(row ?? "hidden", cut);
      } catch (fault) {
        // Its bytes were read before it was known that Consents ask.
        if (fault === wholeNeeded) return undefined;
        if (!(fault instanceof RowShareSpent)) return leave(fault, this.#bases);
        this.note();
        this.#bases.barrier.hide({ type: this.type, id }, fault);
        return judgedOf("hidden", cut);
      }
    };
    let judged: { readonly row: Judged | undefined } | undefined;
    return {
      kind: "waiting",
      needs: alike.needs ?? nothing,
      bytes,
      judged: () => (judged ??= { row: judge() }).row,
    };
  }

  /** At a resource: past it. Its output is that of its own decision; `undefined`: it is hidden, or it waits. */
  #cut(gap: number): RowDecision | undefined {
    const { at } = scanner;
    const facts = this.#facts;
    this.#patient = undefined;
    this.#waiting = undefined;
    this.#readNow = undefined;
    this.#start = at;
    cutter.judgeBy(this.#judge);
    const tried = this.#hiddenInARow < hiddenMax ? (facts.shown ?? facts.read) : facts.read;
    this.#tried = tried;
    cutter.cut(tried, gap);
    this.#checkType();
    const decision = this.#decidedWithinShare();
    if (this.#waiting !== undefined) return undefined;
    const plan = decision?.plan;
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

  /**
   * Undefined: the row waits for facts; or it is hidden, since its share is spent. The plain engine would only spend
   * it again.
   */
  #decidedWithinShare(): RowDecision | undefined {
    try {
      return this.#decide();
    } catch (fault) {
      if (!(fault instanceof RowShareSpent)) throw fault;
      this.#bases.barrier.hide({ type: this.type, id: this.#idOrNone() }, fault);
      return undefined;
    }
  }

  #decide(): RowDecision | undefined {
    const { factStart, factEnd } = cutter;
    const { id } = this.#facts;
    if (factEnd[id] !== 0) scanner.noteReference(factStart[id] ?? 0, factEnd[id] ?? 0);
    const met = this.#met?.of(cutter, this.#judgedConditions);
    this.#conditionUnits = met?.units ?? 0;
    if (scanner.foundAt >= 0) return this.#decidedOrWaiting(this.#readWhole());
    try {
      const alike = met === undefined ? this.#read() : met.decisions.of(cutter, this.#read);
      if (alike.apart === "alike" && alike.decision !== undefined)
        return this.#decided(alike, this.#conditionUnits); // most rows
      return this.#decidedOrWaiting(this.#fresh(alike));
    } catch (fault) {
      if (fault !== wholeNeeded) throw fault;
      return this.#decidedOrWaiting(this.#readWhole());
    }
  }

  /**
   * The judgement for the row at hand. The first rows of a memory may have waited for Consents that are known now: what
   * these seek was not sought in the rows that wait, so that they keep their own judgement.
   */
  #fresh(alike: Alike): Alike {
    const isKnown = ({ facts }: Alike) => Facts.absentIn(facts) === this.#sought;
    if (alike.decision !== undefined || alike.needs === undefined || isKnown(alike)) return alike;
    if (alike.since === undefined || !isKnown(alike.since)) alike.since = this.#read();
    return alike.since;
  }

  #decidedOrWaiting(alike: Alike): RowDecision | undefined {
    if (alike.decision === undefined && alike.needs !== undefined) {
      // Consents that are known already may tell rows apart by times and authors: such a row waits with its own facts.
      const mayBeApart = (Facts.absentIn(alike.facts)?.texts.size ?? 0) > 0;
      this.#waiting = mayBeApart ? alikeOf(this.#readNow ?? this.#captured(), alike.needs) : alike;
      return undefined;
    }
    const apart = this.#apartOf(alike);
    return this.#decided(apart === "alike" ? alike : this.#toldApart(apart), this.#conditionUnits);
  }

  /** Answers whether Consents tell rows apart that have the same deciding facts. */
  #apartOf(alike: Alike): Apart | "alike" {
    if (alike.apart !== undefined) return alike.apart;
    const isOne = this.#isPatient || Facts.wholeOf(alike.facts) !== undefined;
    const asked = isOne ? undefined : this.#judge.timesAsked?.(alike.facts);
    if (asked === undefined) return (alike.apart = "alike");
    return (alike.apart = { asked, byClass: new Map(), byAnswer: new Map() });
  }

  /** The rows whose times and authors give the same answers as those of the row at hand. */
  #toldApart({ asked, byClass, byAnswer }: Apart): Alike {
    const time = asked.periods.length === 0 ? 0 : timeClass(this.#facts, asked.bounds, cutter);
    let byBytes = byClass.get(time);
    if (byBytes === undefined) {
      const { ofAsked, ofAuthors } = this.#facts;
      const apart = time === noClass ? ofAsked : asked.authors ? ofAuthors : [];
      byClass.set(time, (byBytes = new FactMemory(apart, this.#room)));
    }
    return byBytes.of(cutter, () => {
      const facts = this.#readNow ?? this.#captured();
      const ofText = time === noClass ? asked : { ...asked, periods: [] };
      const answer = `${time} ${answerTo(ofText, facts, this.#bases.origin)}`;
      const known = byAnswer.get(answer) ?? alikeOf(facts, undefined, "alike");
      byAnswer.set(answer, known);
      return known;
    });
  }

  #decided(alike: Alike, conditionUnits: number): RowDecision {
    const decision = (alike.decision ??= this.#judged(alike.facts));
    // A row's work is its own, whatever was judged before it.
    if (conditionUnits + decision.units > rowShare) throw new RowShareSpent();
    return decision;
  }

  readonly #judgedConditions = (): Met => {
    const { lists } = this.#judge;
    const { paths, ofConditions, conditionPaths, conditionNames } = this.#facts;
    const { factStart, factEnd } = cutter;
    const members: Record<string, Json> = { resourceType: this.type };
    for (const { index } of ofConditions)
      if ((factEnd[index] ?? 0) > 0)
        members[paths[index]?.[0] ?? ""] = capturedValue(
          scanner.bytes,
          factStart[index] ?? 0,
          conditionNames,
        );
    const facts = Facts.captured(members, conditionPaths, [], this.#sought);
    const met = lists.conditionsMet(this.type, facts);
    const decisions = this.#decisions.get(met) ?? new FactMemory<Alike>(this.#facts.ofOthers, this.#room);
    this.#decisions.set(met, decisions);
    return { units: Facts.workOn(facts).spent, decisions };
  };

  get #sought(): Sought | undefined {
    return this.#judge.deciding.sought;
  }

  readonly #read = (): Alike => {
    const facts = (this.#readNow = this.#captured());
    return alikeOf(facts, this.#judge.needsOf?.(facts));
  };

  /** Reads the row at hand whole: it shares its judgement with no row. */
  #readWhole(): Alike {
    const whole = readJson(scanner.bytes.subarray(this.#start, scanner.at));
    if (!whole.ok || !isObject(whole.value)) throw unusual;
    const facts = Facts.of(whole.value, this.#judge.lists.factPaths(this.type));
    return alikeOf(facts, this.#judge.needsOf?.(facts));
  }

  #judged(facts: Facts): RowDecision {
    const { lists, viewOf, mustShow } = this.#judge;
    if (this.#isPatient) this.#patient = facts;
    lists.conditionsMet(this.type, facts);
    const { spent } = Facts.workOn(facts);
    const view = viewOf(facts);
    const mustMeet = view === undefined ? [] : mustShow(facts);
    const units = Facts.workOn(facts).spent - spent;
    if (view === undefined) return { ...hidden, facts, units };
    const owners: Concerned = ownersNamed(facts, [this.#bases.origin, this.#bases.public]);
    return {
      plan: planOf(view, this.#facts.paths, this.#facts.key),
      patients: new Set(owners.patients),
      unseen: nobody,
      unnamed: owners.unnamed,
      room: hidesOwner(facts, view) ? 1 : 0,
      mustShow: mustMeet,
      facts,
      units,
    };
  }

  #captured(): Facts {
    const { paths, hasMeta, isAskedAlone, ofResidence } = this.#facts;
    const { factStart, factEnd } = cutter;
    const captured: Record<string, Json> = {};
    let meta: Record<string, Json> | undefined;
    const isAsked = (this.#sought?.texts.size ?? 0) > 0;
    for (let index = 0; index < paths.length; index += 1) {
      if ((factEnd[index] ?? 0) === 0 || (!isAsked && isAskedAlone[index] === true)) continue;
      const path = paths[index];
      const second = path?.[1]; // a pattern would ask an iterator for each path
      if (second !== undefined && hasMeta) continue; // it is in the whole `meta`
      const names = index === ofResidence ? residenceNames : undefined;
      const value = capturedValue(scanner.bytes, factStart[index] ?? 0, names);
      if (second === undefined) captured[path?.[0] ?? ""] = value;
      else (meta ??= {})[second] = value;
    }
    if (meta !== undefined) captured["meta"] = meta;
    // An inline label is unusual: there is none.
    return Facts.captured(captured, this.#judge.lists.factPaths(this.type), [], this.#sought);
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

  /** @param decision by which a row leaves. */
  #leaving(decision: RowDecision, { id, text, start, end }: Cut, parts: CutParts): CutRow {
    const { mustShow, facts } = decision;
    const released = this.#released(decision, id, text, parts);
    return { kind: "row", released, start, end, mustShow, facts };
  }

  #released(decision: RowDecision, id: string, text: Uint8Array, parts: CutParts): Released {
    const { mentions, withheld, records } = parts;
    let { patients, unseen } = decision;
    if (!this.#isUsual(decision, mentions)) {
      const named = mentions.patients.slice(0, mentions.count);
      patients = new Set([...decision.patients, ...named]);
      if (patients.size > patientsMax) throw unusual;
      // the id of a Patient always leaves
      const seen = new Set(this.#isPatient ? decision.patients : []);
      for (const [index, patient] of named.entries()) if (mentions.areSeen[index] === true) seen.add(patient);
      unseen = new Set([...patients].filter((patient) => !seen.has(patient)));
    }
    return {
      type: this.type,
      id,
      text,
      patients,
      unseen,
      room: decision.room + mentions.room,
      unnamed: decision.unnamed || mentions.unnamed,
      withheld,
      records,
    };
  }

  /** The released references name the owners that the facts name, and no further patient. */
  #isUsual({ patients }: RowDecision, { patients: named, areSeen, count }: Mentioned): boolean {
    if (patients.size > 1) return false;
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

const alikeOf = (facts: Facts, needs: RowNeeds | undefined, apart?: "alike"): Alike => ({
  facts,
  needs,
  decision: undefined,
  apart,
});

const nothing: RowNeeds = { patients: [], referred: [], targets: [] };
const noFacts = Facts.captured({}, [], []);
const hidden: RowDecision = {
  plan: undefined,
  patients: nobody,
  unseen: nobody,
  unnamed: false,
  room: 0,
  mustShow: [],
  facts: noFacts,
  units: 0,
};

const bodyOf = (row: CutRow | "hidden", cut: Cut | undefined): CutBody =>
  row === "hidden" ? row : { ...row, lastUpdated: cut?.lastUpdated };
