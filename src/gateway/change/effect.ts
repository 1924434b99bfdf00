import type { JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import type { Result } from "#kernel/result";
import type { CaseNote } from "#gateway/cases/case-receiver";
import type { Permission } from "#gateway/admission/authorize";
import type { FilingRefusal } from "#gateway/consents/consent-filing";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { ConsentPatientRefusal } from "#gateway/change/plan/consent-patient";
import type { PlannedWrite, SentPlan, UnfitRequest } from "#gateway/change/plan/planned-write";
import type { AskedWrite } from "#gateway/change/plan/write-body";

/** A write that the origin did, or may have done. */
export interface WrittenChange {
  readonly plan: SentPlan;
  /** `undefined`: the origin did not say it. */
  readonly id: string | undefined;
  readonly version: string | undefined;
  readonly isDone: boolean;
}

/** A write that needs nothing at the origin any more: it was done before. */
export interface EarlierWrite {
  readonly id: string | undefined;
  readonly version?: string | undefined;
  /** The key of the request says it. */
  readonly isUnderKey?: boolean;
}

/** What has to happen beside the writes of a type. */
export interface TypeEffect {
  /**
   * Once the write is decided: finds the patient whom the effect needs, or refuses the write.
   * @param body the resource as it is sent.
   */
  readonly beforePlan?: (
    body: string,
    permission: Permission,
    origin: OriginSession,
  ) => Promise<Result<string | undefined, ConsentPatientRefusal | UnfitRequest>>;
  /** The case of a written row, which `control` hears before the row is sent and after. */
  readonly caseIn?: (row: JsonObject, base: FhirBase) => CaseNote | undefined;
  /**
   * After the origin's answer and before the answer to the client, also if the outcome is unknown. Returns the
   * changes whose effect failed: they are done, and not answered as done.
   */
  readonly afterWrite?: (
    written: readonly WrittenChange[],
    origin: OriginSession,
  ) => Promise<ReadonlySet<WrittenChange>>;
  /**
   * The write was done before this request, whose effect may have failed then.
   * @param plan of this request, if it has one.
   */
  readonly onRepeat?: (
    asked: AskedWrite,
    earlier: EarlierWrite,
    permission: Permission,
    origin: OriginSession,
    plan?: PlannedWrite,
  ) => Promise<Result<undefined, FilingRefusal>>;
}
