import type { Proof } from "#identity/proof";
import type { SignIn, SignInDemand } from "#identity/sign-in";

/** What a role lets its holder do; one that this version does not know lets nothing. */
export type Role = "registry-admin" | "revoker" | "privacy-officer";

/** A person or a machine that administers, by a certificate; a person by having signed in as well. */
export interface Operator {
  readonly id: string;
  readonly status: "active" | "suspended";
  readonly roles: readonly string[];
  readonly kind: "person" | "machine";
  /** Of a person; `undefined`: the registry makes no demand that can be held to, and the person is refused. */
  readonly signIn: SignInDemand | undefined;
}

/** What became known of a caller before the verdict. */
export interface Seen {
  certificate?: string;
  operator?: string;
  /** What this operator has to show: for the challenge. */
  demand?: SignInDemand;
  /** Proven: signature, issuer, audience, times, and that the caller holds what the token is bound to. */
  signIn?: SignIn;
  /** Not yet known to be its first use. */
  proof?: Proof;
}
