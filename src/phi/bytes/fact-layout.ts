import { utf8 } from "#kernel/encoded";
import type { FactPath } from "#fhir/json/facts";
import { r4ResourceTypes } from "#fhir/r4/types.gen";
import type { FactLists } from "#policy/facts";
import type { DecidingFact } from "./decisions.ts";
import type { Plan } from "./plan.ts";
import { factsView, planOf } from "./plans.ts";
import { wordsOf } from "./words.ts";

/** What is equal for all answers of one policy, type and list of facts. */
export class FactLayout {
  readonly paths: readonly FactPath[];
  /** The paths as one text, to compile a view once for each list. */
  readonly key: string;
  /** The paths that decide, and the indices of the id and type of a resource. */
  readonly deciding: readonly DecidingFact[];
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

  constructor({ factPaths, decidingPaths, presencePaths }: FactLists, type: string) {
    this.typeName = r4ResourceTypes.find((each) => each === type) ?? type;
    this.paths = factPaths(type);
    const texts = this.paths.map((path) => path.join("."));
    this.key = texts.join();
    const byPresence = new Set(presencePaths(type).map((path) => path.join(".")));
    this.deciding = decidingPaths(type)
      .map((path) => path.join("."))
      .map((text) => ({ index: texts.indexOf(text), isByPresence: byPresence.has(text) }));
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
// Grants are made for each request: their lists are equal, and not the same objects.
const byText = new Map<string, FactLayout>();
const byTextMax = 64;

export function factLayoutOf(lists: FactLists, policyDigest: string, type: string): FactLayout {
  const [paths, deciding, presence] = [
    lists.factPaths(type),
    lists.decidingPaths(type),
    lists.presencePaths(type),
  ];
  const known = byLists.get(paths);
  if (known !== undefined) return known;
  const key = [
    policyDigest,
    type,
    ...paths.map((path) => path.join(".")),
    "",
    ...deciding.map((path) => path.join(".")),
    "",
    ...presence.map((path) => path.join(".")),
  ].join();
  const facts = byText.get(key) ?? new FactLayout(lists, type);
  if (!byText.has(key)) {
    if (byText.size >= byTextMax) byText.delete(byText.keys().next().value ?? "");
    byText.set(key, facts);
  }
  byLists.set(paths, facts);
  return facts;
}
