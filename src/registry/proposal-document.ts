import * as z from "zod";
import type { DenialProblem } from "#identity/denial-document";
import type { RegistryProblem } from "./problem.ts";
import { operatorEntry } from "./operator-document.ts";

/** The longest time for which an operator may get a further role: a working day. */
const elevationMinutesMax = 480;

const why = z
  .string()
  .trim()
  .min(1)
  .max(1_000)
  .meta({ description: "The reason, for the approver and for the record: a ticket, a contract." });

/** An act that takes effect when a second person approves it (docs/registry.md, "Two persons"). */
export const proposalDocument = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("change"),
    why,
    change: z.unknown().meta({ description: "A change of the registry, with `expects`." }),
  }),
  z.strictObject({
    kind: z.literal("lift"),
    why,
    denial: z.unknown().meta({ description: "The denial to end, as it was made." }),
  }),
  z.strictObject({
    kind: z.literal("elevation"),
    why,
    role: z
      .string()
      .regex(/^[a-z-]{1,64}$/u)
      .meta({ description: "The role that the proposing operator gets." }),
    minutes: z.int().min(1).max(elevationMinutesMax),
  }),
  z.strictObject({
    kind: z.literal("operator"),
    why,
    operator: operatorEntry.meta({
      description:
        "An operator as it is to be: a new operator, or a registered operator with each member anew.",
    }),
  }),
]);
export type ProposalDocument = z.infer<typeof proposalDocument>;

/** An operator who is a person, by the sign-in that the registry demands. */
export interface SignedInPerson {
  readonly operator: string;
  readonly issuer: string;
  readonly subject: string;
}

/** Why a proposal is not made or not approved. */
export type ProposalProblem =
  | { readonly kind: "registry"; readonly problem: RegistryProblem }
  | { readonly kind: "denial"; readonly problem: DenialProblem }
  | {
      readonly kind: "proposal";
      readonly problem: {
        readonly reason: "proposal_malformed" | "proposal_not_open" | "proposal_own";
        readonly pointer: string;
        readonly problem: string;
      };
    };
