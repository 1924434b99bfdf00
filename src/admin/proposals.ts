import * as z from "zod";
import { err, ok, type Result } from "#kernel/result";
import { rejectedAt, type Rejected, type Verb } from "./administer.ts";
import { orRejected, planForm, registryReaders } from "./change-registry.ts";
import { roles, type Operator, type Role } from "./operator.ts";
import { proposalDocument, type ProposalProblem, type SignedInPerson } from "#registry/proposal-document";
import type { Proposals } from "./ports.ts";
import { rejectedDenial } from "./revoke.ts";

/** The roles that may propose an act of each kind. Each operator may ask for a further role for a limited time. */
const proposers: Readonly<Record<string, readonly Role[]>> = {
  change: ["registry-admin"],
  lift: ["revoker"],
  elevation: roles,
  operator: ["registry-admin"],
};

const proposalId = z.string().regex(/^[0-9a-f]{32}$/u, "must be the id of a proposal: 32 hex digits");
const approving = z.strictObject({ proposal: proposalId });
const closing = z.strictObject({ proposal: proposalId, note: z.string().trim().min(1).max(1_000) });
const summaryForm = z.object({
  id: proposalId,
  kind: z.enum(["change", "lift", "elevation", "operator"]),
  digest: z.string(),
  expects: z.string().nullable(),
  why: z.string(),
  proposedAt: z.int(),
  expiresAt: z.int(),
  proposedBy: z.string(),
  proposerIssuer: z.string(),
  proposerSubject: z.string(),
  state: z.enum(["open", "approved", "closed"]),
  decidedAt: z.int().nullable(),
  decidedBy: z.string().nullable(),
  deciderIssuer: z.string().nullable(),
  deciderSubject: z.string().nullable(),
  note: z.string().nullable(),
});
/** A proposal as it is listed. */
export type ListedProposal = z.output<typeof summaryForm>;
const listing = z.strictObject({
  state: z.enum(["open", "all"]).default("open"),
  after: proposalId.optional(),
  limit: z
    .string()
    .regex(/^[1-9][0-9]?$|^100$/u)
    .transform(Number)
    .optional(),
});

/** Stores an act that opens access. It takes effect when a second person approves it. */
export const proposeVerb = (proposals: Pick<Proposals, "propose">): Verb => ({
  interaction: "propose",
  does: "Stores an act that opens access, until a second person approves it. Nothing takes effect.",
  document: proposalDocument,
  answer: z.object({
    proposal: proposalId,
    digest: z.string(),
    expiresAt: z.int(),
    opens: z.array(z.string()),
  }),
  method: "POST",
  path: "api/proposals",
  roles,
  changes: "repeatably",
  async act({ document, operator }) {
    const person = personOf(operator);
    if (!person.ok) return person;
    if (!mayPropose(document, operator)) return roleMissing;
    const role = unknownRole(document);
    if (role !== undefined)
      return rejectedAt(
        "operator/roles",
        "proposal_malformed",
        `has ${role}, which is no role: ${roles.join(", ")}`,
      );
    const proposed = await proposals.propose(document, person.value);
    return proposed.ok ? ok({ answer: proposed.value }) : rejected(proposed.error);
  },
});

/** The open proposals, or with `state=all` the decided proposals too, the newest first. */
export const listProposalsVerb = (proposals: Pick<Proposals, "list">): Verb => ({
  interaction: "list-proposals",
  does: "The open proposals, or with state=all the decided proposals too, the newest first; a page has at most 100.",
  parameters: listing,
  answer: z.object({ proposals: z.array(summaryForm) }),
  method: "GET",
  path: "api/proposals",
  roles: [...registryReaders, "revoker", "privacy-officer"],
  changes: "nothing",
  async act({ parameters }) {
    const page = listing.safeParse(parameters);
    if (!page.success) return malformed(page.error);
    return ok({ answer: { proposals: await proposals.list(page.data) } });
  },
});

/** A proposal with its document and, while it is open, the plan of its change. */
export const showProposalVerb = (proposals: Pick<Proposals, "show">): Verb => ({
  interaction: "show-proposal",
  does: "A proposal with its document and, while it is open, what changes: the plan of a change, or an operator's entry before and after.",
  parameters: approving,
  answer: z.object({
    proposal: summaryForm.extend({ body: proposalDocument }),
    plan: planForm.partial({ digest: true }).optional(),
    problem: z.object({ reason: z.string(), pointer: z.string(), problem: z.string() }).optional(),
  }),
  method: "GET",
  path: "api/proposals/{proposal}",
  roles: [...registryReaders, "revoker", "privacy-officer"],
  changes: "nothing",
  async act({ parameters }) {
    const question = approving.safeParse(parameters);
    const shown = question.success ? await proposals.show(question.data.proposal) : undefined;
    return shown === undefined ? notOpen : ok({ answer: shown });
  },
});

/** Does the act of an open proposal. The approver is a person, and not its author. */
export const approveVerb = (proposals: Pick<Proposals, "approve">): Verb => ({
  interaction: "approve",
  does: "Does the act of an open proposal, for a person who is not its author.",
  document: approving,
  answer: z.object({
    proposal: proposalId,
    kind: z.string(),
    proposedBy: z.string(),
    added: z.int().optional(),
    changed: z.int().optional(),
    removed: z.int().optional(),
  }),
  method: "POST",
  path: "api/proposals/approve",
  roles: ["approver"],
  changes: "repeatably", // a decided proposal is not open
  async act({ document, operator }) {
    const person = personOf(operator);
    if (!person.ok) return person;
    const approval = approving.safeParse(document);
    if (!approval.success) return malformed(approval.error);
    const approved = await proposals.approve(approval.data.proposal, person.value);
    if (!approved.ok) return rejected(approved.error);
    const { proposal, kind, proposer, effect } = approved.value;
    return ok({
      answer: { proposal, kind, proposedBy: proposer.operator, ...approved.value.applied?.counts },
      effect,
      approval: {
        proposal,
        proposedBy: proposer.operator,
        proposerIssuer: proposer.issuer,
        proposerSubject: proposer.subject,
      },
    });
  },
});

/** Closes an open proposal without its act, or ends an approved elevation: one person suffices. */
export const closeProposalVerb = (proposals: Pick<Proposals, "close">): Verb => ({
  interaction: "close-proposal",
  does: "Closes an open proposal without its act, or ends a role that it gave.",
  document: closing,
  answer: z.object({ closed: z.literal(true) }),
  method: "POST",
  path: "api/proposals/close",
  roles: ["approver", "registry-admin", "policy-author", "revoker", "privacy-officer"],
  changes: "repeatably",
  async act({ document, operator }) {
    const withdrawal = closing.safeParse(document);
    if (!withdrawal.success) return malformed(withdrawal.error);
    const closed = await proposals.close(withdrawal.data.proposal, operator.id, withdrawal.data.note);
    return closed.ok ? ok({ answer: { closed: true } }) : rejected(closed.error);
  },
});

const withRoles = z.object({
  kind: z.literal("operator"),
  operator: z.object({ roles: z.array(z.string()) }),
});

/** A role of a proposed operator that this version does not know: it would permit nothing. */
function unknownRole(document: unknown): string | undefined {
  const known: readonly string[] = roles;
  return withRoles.safeParse(document).data?.operator.roles.find((role) => !known.includes(role));
}

/** A policy author proposes changes that publish policies and do nothing more. */
function mayPropose(document: unknown, operator: Operator): boolean {
  const has = (some: readonly Role[]) => some.some((role) => operator.roles.includes(role));
  const kind = z.object({ kind: z.string() }).safeParse(document).data?.kind ?? "";
  return (
    !Object.hasOwn(proposers, kind) || // the desk refuses the document
    has(proposers[kind] ?? []) ||
    (kind === "change" && operator.roles.includes("policy-author") && publishing.safeParse(document).success)
  );
}

const publishing = z.object({
  change: z.strictObject({
    $schema: z.unknown().optional(),
    expects: z.unknown().optional(),
    set: z.strictObject({ $schema: z.unknown().optional(), policies: z.array(z.unknown()) }),
    remove: z.strictObject({}).optional(),
    reinstate: z.array(z.unknown()).max(0).optional(),
  }),
});

/** Machines neither propose nor approve: the holder of a machine's certificate may be the second person. */
const personOf = ({ id, kind, signIn }: Operator): Result<SignedInPerson, Rejected> =>
  kind === "person" && signIn !== undefined
    ? ok({ operator: id, issuer: signIn.iss, subject: signIn.sub })
    : rejectedAt("", "person_required", "is a proposal, which needs an operator who signs in");

const roleMissing = rejectedAt("", "role_missing", "needs a role that the operator does not have");
const notOpen = rejectedAt("proposal", "proposal_not_open", "is not the id of a proposal");

const malformed = ({ issues: [issue] }: z.ZodError): Result<never, Rejected> =>
  rejectedAt(
    (issue?.path ?? []).map(String).join("/"),
    "proposal_malformed",
    issue?.message ?? "is malformed",
  );

function rejected(problem: ProposalProblem): Result<never, Rejected> {
  switch (problem.kind) {
    case "registry":
      return orRejected(err(problem.problem));
    case "denial":
      return rejectedDenial(problem.problem);
    case "proposal": {
      const { reason, pointer, problem: detail } = problem.problem;
      return err({ reason, pointer, detail });
    }
  }
}
