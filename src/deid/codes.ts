import type { Result } from "#kernel/result";

/**
 * A data set of a recipient. Each data set has codes of its own: no code of one is in a second, even for the same row
 * and recipient.
 */
export interface DataSet {
  readonly client: string;
  readonly agreement: string;
  /** The logical ids of two origins are different names, so each origin has codes of its own. */
  readonly origin: string;
  /** See {@link nameInForm}. */
  readonly name: string;
}

/** The forms of 45 CFR 164.514 in which a data set is read: an expert's determination by the table that it begins with. */
export const readForms = [
  "safe-harbor",
  "limited-data-set",
  "expert-safe-harbor",
  "expert-limited-data-set",
] as const;

/**
 * The name of the codes of a data set (the member `dataSet` of the policy) in a form. Each form has codes of its own: a
 * code of a limited data set would join its dates to a row without identifiers.
 */
export const nameInForm = (form: (typeof readForms)[number], name: string): string => `${form}/${name}`;

/** The most bytes of an answer before its form: its trees take some ten times as much of an isolate's 128 MB. */
export const formBytesMax = 4_194_304;

/** The most names or codes in a call of `jobs`. */
export const codesPerCall = 5_000;

/** A code: 128 random bits in hex, which is an id of R4. */
export const codeForm = /^[0-9a-f]{32}$/u;

/** The data set is over, and its codes are deleted. No code of it is made or read again. */
export interface DataSetEnded {
  readonly reason: "data_set_ended";
}

/**
 * The random codes in place of logical ids (45 CFR 164.514(c)) in one data set. A code is 128 random bits and is not
 * derived from the row: codes of two data sets cannot be linked, and a code tells neither the order nor the time of
 * its making. Within the data set a row has one code for good. A code that was returned is durable. A fault of the
 * store throws, and nothing may be disclosed.
 */
export interface Codes {
  /** `Type/id` → code, made at the first call that names the row. */
  codesOf(names: readonly string[]): Promise<Result<ReadonlyMap<string, string>, DataSetEnded>>;
  /**
   * Code → `Type/id`. A text that is no code of the data set is absent, such as an original id. A caller compares the
   * type.
   */
  namesOf(codes: readonly string[]): Promise<Result<ReadonlyMap<string, string>, DataSetEnded>>;
}

/** The codes of each data set. */
export type CodesOf = (dataSet: DataSet) => Codes;
