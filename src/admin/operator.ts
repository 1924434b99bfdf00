import type { Proof } from "#identity/proof";
import type { SignIn, SignInDemand } from "#identity/sign-in";

/** The roles of operators. A role that this version does not know allows nothing. */
export const roles = [
  "registry-admin",
  "registry-reader",
  "policy-author",
  "approver",
  "privacy-officer",
  "auditor",
  "revoker",
] as const;
export type Role = (typeof roles)[number];

/** A person or a machine that administers. Both have a certificate; a person also signs in. */
export interface Operator {
  readonly id: string;
  readonly status: "active" | "suspended";
  readonly roles: readonly string[];
  readonly kind: "person" | "machine";
  /**
   * The sign-in that the registry demands of a person. `undefined`: there is no usable demand, and a person
   * is refused.
   */
  readonly signIn: SignInDemand | undefined;
}

/** The facts about a caller that were found before the verdict. */
export interface SeenOfOperator {
  certificate?: string;
  operator?: string;
  /** The demanded sign-in, for the challenge. */
  demand?: SignInDemand;
  /** Proven are signature, issuer, audience, times, and the token's binding to the caller. */
  signIn?: SignIn;
  /** Its first use is not checked yet. */
  proof?: Proof;
}
