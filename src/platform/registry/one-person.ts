/** The variables of `control` that say whether one person may open access. */
export interface ApprovalVariables {
  /** `two-persons`, or no value: an act that opens access needs an approved proposal, whichever worker asks. */
  readonly APPROVALS?: string;
  /** `allowed` only in the sandbox, whose launcher registers the first entries. No configuration sets it. */
  readonly SEEDING?: string;
}

/** True where one person may open access. */
export const mayOnePersonOpen = ({ APPROVALS }: ApprovalVariables): boolean => APPROVALS === "one-person";

/** True where the launcher of the sandbox may register entries and operators. */
export const maySeed = ({ SEEDING }: ApprovalVariables): boolean => SEEDING === "allowed";
