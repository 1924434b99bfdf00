import type { AmongPatients } from "./owner-reference.ts";

/**
 * The patients of a signed-in user, as far as a request knows them. The members of the set are known to be the user's.
 * A patient who is not known counts as a stranger until the origin is asked (gateway/facts/relations-at-origin).
 */
export class RelatedPatients extends Set<string> {
  readonly #strangers = new Set<string>();
  /** The named patients of the client's questions. A relation that a row taught judges rows, and nothing inside of rows. */
  readonly #named = new Set<string>();
  #isWhole = false;
  #practitioners: readonly string[] = [];
  #areChained = false;

  /** True: every patient of the user is a member. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Answers whether the relation to a patient is known. */
  knows(patient: string): boolean {
    return this.#isWhole || this.has(patient) || this.#strangers.has(patient);
  }

  /** Answers whether a question of the client taught the relation to a patient. */
  isNamed(patient: string): boolean {
    return this.#isWhole || this.#named.has(patient);
  }

  /** The user's patients among the named patients of the client's questions. */
  get named(): AmongPatients {
    return { has: (patient) => this.has(patient) && this.isNamed(patient) };
  }

  /** From here on these patients count as named by a question of the client. Their relation is known. */
  name(patients: Iterable<string>): void {
    for (const patient of patients) this.#named.add(patient);
  }

  /** @param related those of the asked patients who are the user's. */
  learn(asked: Iterable<string>, related: ReadonlySet<string>): void {
    for (const patient of asked) (related.has(patient) ? this : this.#strangers).add(patient);
  }

  /** @param patients all patients of the user. */
  learnWhole(patients: Iterable<string>): void {
    for (const patient of patients) this.add(patient);
    this.#isWhole = true;
  }

  /**
   * From here on the origin finds the rows of the user's patients by their general practitioner.
   *
   * @param practitioners as `Type/id`. @param areChained the origin takes the chain, so rows of further types are found too.
   */
  narrowBy(practitioners: Iterable<string>, areChained: boolean): void {
    this.#practitioners = [...practitioners];
    this.#areChained = areChained;
  }

  /** The general practitioners by whom the origin finds the rows of a type; undefined: it finds the members' rows alone. */
  practitionersFor(type: string): readonly string[] | undefined {
    const isFound =
      !this.#isWhole && this.#practitioners.length > 0 && (this.#areChained || type === "Patient");
    return isFound ? this.#practitioners : undefined;
  }

  /** As this set, with each patient who is not known as if the patient were the user's. */
  get atBest(): AmongPatients {
    return { has: (patient) => !this.knows(patient) || this.has(patient) };
  }

  /** As {@link atBest}; it adds each patient who is not known to a set. */
  noting(unknown: Set<string>): AmongPatients {
    return {
      has: (patient) => {
        if (this.knows(patient)) return this.has(patient);
        unknown.add(patient);
        return true;
      },
    };
  }
}
