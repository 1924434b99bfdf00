import * as z from "zod";
import { sha256Form } from "#kernel/encoded";
import { signInDemand } from "#identity/sign-in";

export const operatorId = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/u);
export const operatorX5t = z
  .string()
  .regex(sha256Form)
  .meta({ description: "x5t#S256 of the certificate of the operator (RFC 8705 §3.1)." });
const common = {
  id: operatorId,
  status: z.enum(["active", "suspended"]).default("active"),
  x5t: operatorX5t,
  roles: z
    .array(z.string().regex(/^[a-z-]{1,64}$/u))
    .min(1)
    .max(16),
};

/** An operator as a proposal registers it: a person, who also signs in, or a machine. */
export const operatorEntry = z.discriminatedUnion("kind", [
  z.strictObject({ ...common, kind: z.literal("machine") }),
  z.strictObject({ ...common, kind: z.literal("person"), signIn: signInDemand }),
]);
export type OperatorDocument = z.infer<typeof operatorEntry>;

/** Names a registered operator. */
export const operatorNamed = z.strictObject({ operator: operatorId });

/** A registered operator, with the roles that it has for a limited time. */
export interface ListedOperator {
  readonly id: string;
  readonly status: "active" | "suspended";
  readonly kind: "person" | "machine";
  readonly x5t: string;
  readonly roles: readonly string[];
  /** As it was registered; undefined for a machine. */
  readonly signIn: unknown;
  readonly elevated: readonly { readonly role: string; readonly ends: number }[];
}
