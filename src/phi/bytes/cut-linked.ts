import { isObject, readJson, type JsonObject } from "#fhir/json/json";
import type { Released } from "#phi/disclosure";
import type { Candidate, Linked } from "#phi/included";
import { referredAt } from "#phi/links";
import type { GuardedBases } from "#phi/origin-urls";
import type { GrantedInclude } from "#policy/grant";
import { capturedMembers } from "./captured-value.ts";
import type { CutRow } from "./row-cutter.ts";

/** A row that the byte engine cut. Few pages look into its rows: they are read when they do. */
export class CutLinked implements Linked {
  readonly released: Released;
  readonly #row: CutRow;
  readonly #includes: readonly GrantedInclude[];
  readonly #bases: GuardedBases;
  #shown: JsonObject | undefined;
  #links: readonly ReadonlySet<string>[] | undefined;

  constructor(row: CutRow, includes: readonly GrantedInclude[], bases: GuardedBases) {
    this.released = row.released;
    this.#row = row;
    this.#includes = includes;
    this.#bases = bases;
  }

  get shown(): JsonObject {
    const { start, end, released } = this.#row;
    this.#shown ??= readShown(released.text.subarray(start, end));
    return this.#shown;
  }

  /** A row whose references cannot be read leads to nothing. */
  get links(): readonly ReadonlySet<string>[] {
    this.#links ??= this.#bases.barrier.judge(
      this.released,
      () => this.#readLinks(),
      this.#includes.map(() => none),
    );
    return this.#links;
  }

  #readLinks(): readonly ReadonlySet<string>[] {
    const own = this.#includes.filter(({ source }) => source === this.released.type);
    const names = new Set(own.flatMap(({ paths }) => paths.flatMap(([first]) => first ?? [])));
    // Only these members are read: a page with included resources asks each of its rows.
    const shown = capturedMembers(this.released.text, this.#row.start, names);
    return this.#includes.map((include) =>
      own.includes(include) ? referredAt(shown, include.paths, this.#bases.public) : none,
    );
  }
}

export class CutMatch extends CutLinked {
  readonly kind = "match";
}

export class CutCandidate extends CutLinked implements Candidate {
  readonly kind = "include";
  readonly through: Candidate["through"];

  constructor(
    row: CutRow,
    includes: readonly GrantedInclude[],
    bases: GuardedBases,
    through: Candidate["through"],
  ) {
    super(row, includes, bases);
    this.through = through;
  }
}

function readShown(text: Uint8Array): JsonObject {
  const read = readJson(text);
  if (!read.ok || !isObject(read.value)) throw new Error("the byte engine wrote no object");
  return read.value;
}

const none: ReadonlySet<string> = new Set();
