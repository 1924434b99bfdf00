import type { FhirBase } from "#fhir/r4/reference";
import { ok, type Result } from "#kernel/result";
import type { NamedBases } from "#phi/row-views";
import type { ConsentBook, ConsentOfPatient } from "#policy/consent/consent-book";
import type { RowNeeds } from "#policy/row-needs";
import type { BundleRefusal } from "#fhir/bundle";
import type { OriginQuestion, OriginTraits } from "#fhir/ports";
import type { RowBarrier } from "#fhir/row-barrier";
import type { Answered, OriginRefusal } from "./forward.ts";
import type { HeldBytes } from "./held-bytes.ts";
import type { NamedPatients } from "./named-patients.ts";

/** Why a page of the origin is not read. */
export type OriginPageRefusal = OriginRefusal | { readonly reason: `answer_${BundleRefusal["reason"]}` };

export type RowsRefusal =
  | OriginPageRefusal
  | { readonly reason: "answer_link_outside_origin" }
  /** The search finds more rows than the gateway reads for a decision. */
  | { readonly reason: "too_many_rows" };

/** A row, or a further thing to judge, and the facts that have to be known before. */
export interface LackingRow {
  readonly needs: RowNeeds | undefined;
  /** The needs that are left once targets are known: they tell the patient of the row. */
  readonly again: () => RowNeeds | undefined;
}

export interface Resolving {
  /**
   * Asks for all that these rows lack; rows that lack nothing cost nothing.
   *
   * @returns the indices of the rows that refer to more resources than a request follows.
   */
  resolve(rows: readonly LackingRow[]): Promise<Result<ReadonlySet<number>, RowsRefusal>>;
}

/** The part of a session with an origin that a decision needs. */
export interface Asking extends Resolving {
  ask(question: OriginQuestion): Promise<Result<Answered, OriginRefusal>>;
  readonly held: HeldBytes;
  /** Around each row that the decision reads. */
  readonly barrier: RowBarrier;
  traits(): Promise<OriginTraits | undefined>;
}

/** The part of a session with an origin that judges the rows of an answer. */
export interface RowReader extends Asking {
  readonly names: NamedPatients;
  basesAt(origin: FhirBase): NamedBases;
}

/** The user's relations to patients cannot be known, or the question has to name its patients. */
export type RelateRefusal =
  | RowsRefusal
  /** It names no patient, and the user has more patients than the gateway lists. */
  | { readonly reason: "patient_not_named" };

/** The facts beside its rows by which a request judges them (gateway/facts). */
export interface KnownFacts {
  /** Asks for the Consents of the patients in the question. False: they cannot be read. */
  expected(): Promise<boolean>;
  /** See {@link Resolving}. @param reader asks the origin, and gets the names of rows that decided. */
  resolve(rows: readonly LackingRow[], reader: RowReader): ReturnType<Resolving["resolve"]>;
  /**
   * How many Consents in force of a patient may only deny: those that the asking client filed count twice. Undefined:
   * they cannot be read.
   */
  denyingOf(patient: string): Promise<number | undefined>;
  /**
   * Asks which named patients of a question are the user's.
   *
   * @param named ids. @param unnamed the types that the question searches without the name of a patient.
   */
  relate(
    named: Iterable<string>,
    unnamed: ReadonlySet<string>,
    reader: RowReader,
  ): Promise<Result<undefined, RelateRefusal>>;
  /** Asks the origin as for the relation to a patient of a row, with an id that no server gives. */
  coverRelation(reader: RowReader): Promise<Result<undefined, RowsRefusal>>;
  /** See {@link ConsentBook.opening}. */
  opening(...row: Parameters<ConsentBook["opening"]>): ReturnType<ConsentBook["opening"]>;
  /** The Consents that let something through; undefined: the origin has no Consent on file. */
  readonly permitting: readonly ConsentOfPatient[] | undefined;
  /** See {@link ConsentBook.statingOf}. */
  statingOf(patient: string): ReturnType<ConsentBook["statingOf"]>;
  /** Answers whether the Consents that judged the rows of this request are still the same. */
  stand(): Promise<boolean>;
  /** Grows when this request files a Consent: rows that were judged before are judged anew. */
  readonly generation: number;
  /** No Consent is known any more: the request itself has filed a Consent. */
  judgeAnew(): void;
}

/** For rows that are judged by nothing beside them. */
export const nothingToResolve: Resolving = { resolve: async () => ok(new Set()) };
