import type { FiledConsent } from "./decide-by-consents.ts";

/**
 * A change of Consents that is in force: the patients by their names in deltas, and the position in the registry
 * after it. A `control` of before this version says none of it.
 */
export interface FiledChange {
  readonly records?: readonly string[];
  readonly epoch?: number;
  readonly bookmark?: string | null;
  /** The ids of the Consents that are not filed: their patient has as many in force as further clients may file. */
  readonly refused?: readonly string[];
}

/** The Consents of patients. */
export interface Consents {
  /** False: the origin has no Consent on file. The origin alone decides the answer, never a patient. */
  mayHave(origin: string): boolean;
  /**
   * The active Consents of each patient, as they count for this client (a Consent that it wrote itself does not
   * permit); every patient of the question is in the answer. Ten seconds old at most (P4). At most a single call of
   * `control` for all patients, none when the origin has no Consents. `unavailable`: they cannot be read, so
   * nothing of these patients may be disclosed.
   */
  consentsOf(
    origin: string,
    patients: readonly string[],
    client: string,
  ): Promise<ReadonlyMap<string, readonly FiledConsent[]> | "unavailable">;
  /** This isolate has filed a change: from here on its Consents count here. */
  applyFiled(origin: string, change: FiledChange): void;
  /** The Consents of these patients may have changed: the next question about them reads the primary database. */
  reread(origin: string, patients: readonly string[]): void;
}
