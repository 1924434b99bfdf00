/** How far a batch or a transaction is that is done as a job (ADR 146). */
export interface RunProgress {
  readonly state: "waits" | "done";
  readonly tries: number;
  /** The reason of the refusal that the next try waits for. */
  readonly reason: string | null;
}

/** What its client learns. `early`: it asked less than a second ago. `answer`: FHIR as JSON. */
export type AskedRun =
  | { readonly kind: "early" }
  | { readonly kind: "waits"; readonly tries: number }
  | { readonly kind: "done"; readonly answer: string };

/** The end of a try. `again`: after some seconds, because of a refusal of this reason that passes. */
export type BundleTry =
  | { readonly kind: "again"; readonly reason: string; readonly seconds: number }
  | { readonly kind: "done"; readonly answer: string };
