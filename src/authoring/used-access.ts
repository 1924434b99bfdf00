import { dayMilliseconds } from "#kernel/clock";
import type { AuditEvent, Measured } from "#audit/event";
import type { RuleInteraction } from "#policy/schema";

/** The interactions of a rule that an interaction on record needs. */
const needed: Readonly<Record<string, readonly RuleInteraction[]>> = {
  read: ["read"],
  vread: ["read"],
  "history-instance": ["read"],
  "history-type": ["read", "search"],
  "search-type": ["search"],
  "search-compartment": ["search"],
  "search-system": ["search"],
  create: ["read", "create"],
  update: ["read", "update"],
  patch: ["read", "update"],
  delete: ["read", "delete"],
  "conditional-update": ["read", "search", "create", "update"],
  "conditional-patch": ["read", "search", "update"],
  "conditional-delete": ["read", "search", "delete"],
  $everything: ["read", "search"],
  $lastn: ["read", "search"],
};

// A request that no rule needs is not decided again; a client with more distinct requests than this is rare.
const requestsMax = 50_000;

// The record of a day is written a quarter of an hour after its end, or later if the ledger is down.
const recordedAfterMilliseconds = 3_600_000;
// Parts of a batch are on record side by side: they are one answer.
const recentMax = 64;
/** A proposal needs the elements of this part of the answers: a count may be lost. */
const measuredMin = 0.95;

/** The elements that left under a grant, as its measurements have them. */
export interface MeasuredUse {
  /** Number of values by element path: `Patient.name.family`. */
  readonly elements: ReadonlyMap<string, number>;
  /**
   * Answers whose elements were counted, and answers with resources on record, of days that have ended. A day
   * counts at most the answers on record, and none before each part of its measurement was read.
   */
  readonly counted: number;
  readonly answers: number;
}

/** The use of one grant, gathered from its records. */
export class UsedAccess {
  readonly types = new Map<string, Set<RuleInteraction>>();
  readonly operations = new Set<string>();
  readonly #requests = new Set<string>();
  readonly parameters = new Map<string, Set<string>>();
  readonly purposes = new Set<string>();
  count = 0;
  lastUse = 0;
  readonly #measuredDays = new Map<number, { readonly measured: Measured; readonly parts: Set<number> }>();
  readonly #elements = new Map<string, number>();
  readonly #answers = new Map<number, number>();
  readonly #recent = new Set<string>();

  /** @param now measurements of a day come after its end: a day that lasts does not count. */
  measured(now: number): MeasuredUse | undefined {
    if (this.#measuredDays.size === 0) return undefined;
    let [counted, answers] = [0, 0];
    for (const [day, onRecord] of this.#answers) {
      if ((day + 1) * dayMilliseconds + recordedAfterMilliseconds > now) continue;
      answers += onRecord;
      // A surplus of a day, for example of answers that were sent twice, must not stand for a different day.
      counted += Math.min(this.#countedOn(day), onRecord);
    }
    return { elements: this.#elements, counted, answers };
  }

  #countedOn(day: number): number {
    const read = this.#measuredDays.get(day);
    return read !== undefined && read.parts.size === read.measured.parts ? read.measured.answers : 0;
  }

  /** The measured elements, if they are known to be nearly all that left. */
  elementsLeft(now: number): ReadonlyMap<string, number> | undefined {
    const measured = this.measured(now);
    if (measured === undefined || measured.counted === 0) return undefined;
    return measured.counted >= measuredMin * measured.answers ? measured.elements : undefined;
  }

  get requests(): readonly string[] {
    return [...this.#requests];
  }

  /** Adds an answered request, or a measurement. A refusal used nothing. */
  add(event: AuditEvent): void {
    this.#measure(event);
    const { at, kind, what, why, counts, outcome } = event;
    if (!answered.has(kind) || (outcome?.status ?? 200) >= 400 || what?.interaction === undefined) return;
    this.count += 1;
    this.lastUse = Math.max(this.lastUse, at);
    for (const purpose of why?.purposes ?? []) this.purposes.add(purpose);
    const { interaction, type, parameters = [] } = what;
    if (interaction.startsWith("$")) this.operations.add(interaction.slice(1));
    if (type !== undefined) {
      this.#uses(type, needed[interaction] ?? []);
      for (const [name] of parameters) {
        const names = this.parameters.get(type) ?? new Set<string>();
        this.parameters.set(type, names.add(name));
      }
    }
    // The record does not say by which rule an included row left, so both readings of its type count as used.
    for (const each of Object.keys(counts)) if (each !== type) this.#uses(each, ["read", "search"]);
    const request = requestOf(what);
    if (request !== undefined && this.#requests.size < requestsMax) this.#requests.add(request);
  }

  #measure({ id, at, kind, measured, counts, window, what, outcome }: AuditEvent): void {
    if (measured !== undefined) {
      const read = this.#measuredDays.get(measured.day) ?? { measured, parts: new Set<number>() };
      if (read.parts.has(measured.part)) return;
      this.#measuredDays.set(measured.day, read);
      read.parts.add(measured.part);
      for (const [path, count] of Object.entries(measured.elements))
        this.#elements.set(path, (this.#elements.get(path) ?? 0) + count);
      return;
    }
    if (kind !== "disclosure" || (window?.number ?? 1) > 1 || Object.keys(counts).length === 0) return;
    // No element left: a 304 and the answer to a HEAD have no body, and a refusal shows no row.
    if ((outcome?.status ?? 200) >= 300 || what?.method === "HEAD") return;
    if (this.#recent.has(id)) return;
    this.#recent.add(id);
    if (this.#recent.size > recentMax) this.#recent.delete(this.#recent.values().next().value ?? "");
    const day = Math.floor(at / dayMilliseconds);
    this.#answers.set(day, (this.#answers.get(day) ?? 0) + 1);
  }

  #uses(type: string, interactions: readonly RuleInteraction[]): void {
    const known = this.types.get(type) ?? new Set<RuleInteraction>();
    for (const each of interactions) known.add(each);
    this.types.set(type, known);
  }
}

const answered: ReadonlySet<string> = new Set(["disclosure", "write", "notice"]);

/** The GET of a reading below the FHIR base. */
function requestOf({
  interaction,
  type,
  id,
  parameters = [],
}: NonNullable<AuditEvent["what"]>): string | undefined {
  if (type === undefined) return undefined;
  const query = parameters
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join("&");
  const search = query === "" ? "" : `?${query}`;
  const paths: Readonly<Record<string, string>> = {
    read: `${type}/${id ?? ""}`,
    vread: `${type}/${id ?? ""}`,
    "history-instance": `${type}/${id ?? ""}/_history${search}`,
    "history-type": `${type}/_history${search}`,
    "search-type": `${type}${search}`,
    "search-compartment": `${type}/${id ?? ""}/*${search}`,
    $everything: `${type}/${id ?? ""}/$everything${search}`,
    $lastn: `${type}/$lastn${search}`,
  };
  return paths[interaction ?? ""];
}
