import type { Instant } from "#kernel/clock";

/** The end of an agreement or of a certificate of an active client. */
export interface RegistryEnd {
  readonly kind: "agreement" | "certificate";
  readonly client: string;
  /** The agreement's id, or the certificate's `x5t#S256`. */
  readonly name: string;
  readonly ends: Instant;
}
