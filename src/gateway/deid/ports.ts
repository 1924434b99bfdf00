import type { AskedCode } from "#deid/asked-values";
import type { CodesOf, DataSet } from "#deid/codes";
import type { FormAnswerRefusal, ShownAnswer } from "#deid/form-answer";
import type { Result } from "#kernel/result";

/** The data sets of recipients: the worker `jobs` has their codes, and makes the answers in their forms. */
export interface DataSetPorts {
  readonly codesOf: CodesOf;
  /** 128 random bits as text. */
  readonly newId: () => string;
  /** See `unknownAmong` of the room deid. */
  readonly unknownAmong: (codes: readonly AskedCode[]) => Promise<string | undefined>;
  readonly inForm: (
    dataSet: DataSet,
    answer: ShownAnswer,
  ) => Promise<Result<Uint8Array<ArrayBuffer>, FormAnswerRefusal>>;
}
