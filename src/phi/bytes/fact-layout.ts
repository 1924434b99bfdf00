import { utf8 } from "#kernel/encoded";
import { Newest } from "#kernel/memo";
import type { FactPath } from "#fhir/json/facts";
import { r4ResourceTypes } from "#fhir/r4/elements";
import { timesInOrder } from "#policy/consent/row-facts";
import type { FactLists } from "#policy/facts";
import type { DecidingFact } from "./fact-memory.ts";
import type { Plan } from "./plan.ts";
import { factsView, planOf } from "./plans.ts";
import { wordsOf } from "./words.ts";

/** Everything that is equal for all answers of one policy, type and list of facts. */
export class FactLayout {
  readonly paths: readonly FactPath[];
  /** The paths as one text, to compile a view once for each list. */
  readonly key: string;
  /** The paths that decide: by the conditions that a resource meets there, and the others by their bytes. */
  readonly ofConditions: readonly DecidingFact[];
  readonly ofOthers: readonly DecidingFact[];
  /** The paths that Consents may ask about. */
  readonly ofAsked: readonly DecidingFact[];
  /** The part of `ofAsked` that states authors. */
  readonly ofAuthors: readonly DecidingFact[];
  /** The facts that can state the time of a row, in the order in which they decide; -1 stands for no fact. */
  readonly times: readonly { readonly value: number; readonly sibling: number; readonly isWhole: boolean }[];
  /** True at the index of a fact that only Consents ask about. */
  readonly isAskedAlone: readonly boolean[];
  /** The index of a Patient's address that the record alone reads; -1 stands for no fact. */
  readonly ofResidence: number;
  /** The paths of `ofConditions`, and of the type, by which conditions are read. */
  readonly conditionPaths: readonly FactPath[];
  /** The names of the members that conditions read, at any depth. */
  readonly conditionNames: ReadonlySet<string>;
  /** The indices of the id and type of a resource. */
  readonly id: number;
  readonly type: number;
  /** The type as JSON. */
  readonly typeText: Uint8Array;
  /** The whole `meta` is a fact, with its members. */
  readonly hasMeta: boolean;
  /** The plan by which the last row left: a first try for the next. */
  shown: Plan | undefined;
  /** One text object for all answers: the engine compares it by its address. */
  readonly typeName: string;
  #read: Plan | undefined;
  #entryStart: { readonly base: string; readonly text: DataView } | undefined;

  constructor(lists: FactLists, type: string) {
    const { factPaths, decidingPaths, presencePaths, conditionPaths, askedPaths } = lists;
    this.typeName = r4ResourceTypes.find((each) => each === type) ?? type;
    this.paths = factPaths(type);
    const texts = this.paths.map((path) => path.join("."));
    this.key = texts.join();
    const textsOf = (listed: readonly FactPath[]) => new Set(listed.map((path) => path.join(".")));
    const [byPresence, ofConditions] = [textsOf(presencePaths(type)), textsOf(conditionPaths(type))];
    const deciding = [...textsOf(decidingPaths(type))].map((text) => ({
      text,
      index: texts.indexOf(text),
      isByPresence: byPresence.has(text),
    }));
    this.ofAsked = [...textsOf(askedPaths(type))].map((text) => ({
      index: texts.indexOf(text),
      isByPresence: false,
    }));
    this.times = timesInOrder
      .map(({ member, sibling, isWhole }) => ({
        value: texts.indexOf(member),
        sibling: texts.indexOf(sibling),
        isWhole,
      }))
      .filter(({ value, sibling }) => Math.max(value, sibling) >= 0);
    const ofTimes = new Set(this.times.flatMap(({ value, sibling }) => [value, sibling]));
    this.ofAuthors = this.ofAsked.filter(({ index }) => !ofTimes.has(index));
    const asked = new Set(this.ofAsked.map(({ index }) => index));
    this.isAskedAlone = texts.map(
      (text, index) => asked.has(index) && !deciding.some((each) => each.text === text),
    );
    this.ofResidence = deciding.some(({ text }) => text === "address") ? -1 : texts.indexOf("address");
    this.conditionPaths = [["resourceType"], ...conditionPaths(type)];
    this.conditionNames = lists.conditionNames(type);
    this.ofConditions = deciding.filter(({ text }) => ofConditions.has(text));
    this.ofOthers = deciding.filter(({ text }) => !ofConditions.has(text));
    this.id = texts.indexOf("id");
    this.type = texts.indexOf("resourceType");
    this.typeText = utf8(JSON.stringify(type));
    this.hasMeta = texts.includes("meta");
  }

  /** The plan that reads facts alone. */
  get read(): Plan {
    this.#read ??= planOf(factsView(this.typeName), this.paths, this.key);
    return this.#read;
  }

  /** The beginning of an entry below a base, up to the id. */
  entryStart(base: string): DataView {
    if (this.#entryStart?.base !== base) {
      const url = JSON.stringify(`${base}/${this.typeName}/`).slice(0, -1);
      this.#entryStart = { base, text: wordsOf(utf8(`{"fullUrl":${url}`)) };
    }
    return this.#entryStart.text;
  }
}

const byLists = new WeakMap<readonly FactPath[], FactLayout>();
// Each request has grants of its own: their lists are equal, and not the same objects.
const byText = new Newest<FactLayout>(64);

export function factLayoutOf(lists: FactLists, policyDigest: string, type: string): FactLayout {
  const paths = lists.factPaths(type);
  const known = byLists.get(paths);
  if (known !== undefined) return known;
  const further = [lists.decidingPaths, lists.presencePaths, lists.conditionPaths].map((of) => of(type));
  const key = [
    policyDigest,
    type,
    ...[paths, ...further].map((listed) => listed.map((path) => path.join(".")).join()),
  ].join(" ");
  let facts = byText.get(key);
  if (facts === undefined) byText.set(key, (facts = new FactLayout(lists, type)));
  byLists.set(paths, facts);
  return facts;
}
