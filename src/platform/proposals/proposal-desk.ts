import { WorkerEntrypoint } from "cloudflare:workers";
import { createHash } from "node:crypto";
import { readDenial } from "#identity/denial-document";
import { signInDemand } from "#identity/sign-in";
import { dayMilliseconds, instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { OperatorDocument } from "#registry/operator-document";
import { pointer, type RegistryProblem } from "#registry/problem";
import {
  proposalDocument,
  type SignedInPerson,
  type ProposalDocument,
  type ProposalProblem,
} from "#registry/proposal-document";
import { newId } from "#platform/new-id";
import {
  isPlanOf,
  planDigest,
  planRegistry,
  stalePlan,
  type RegistryPlan,
} from "#platform/registry/apply-registry";
import {
  registryRules,
  revocationsOf,
  type AppliedRegistry,
  type RevocationsEnv,
} from "#platform/revocation/object/revocations";
import {
  approveOperator,
  judgeOperator,
  operatorEffect,
  registeredOperator,
  stateOfOperator,
} from "#platform/operators/operator-rows";
import {
  approval,
  approveElevation,
  closeProposal,
  countOpenProposals,
  expectedDenial,
  findProposal,
  insertProposal,
  isAuthorStanding,
  listProposals,
  type ProposalDecision,
  type ProposalRow,
  type ProposalSummary,
} from "./proposal-rows.ts";

/** A proposal as it was stored. */
export interface Proposed {
  readonly proposal: string;
  /** SHA-256 of the stored document in hex. */
  readonly digest: string;
  readonly expiresAt: Instant;
  /** The access that it would open, in words. */
  readonly opens: readonly string[];
}

/** An approved proposal. */
export interface Approved {
  readonly proposal: string;
  readonly kind: ProposalDocument["kind"];
  readonly proposer: SignedInPerson;
  /** The counts and the changed entries of a change of the registry; of a further kind its own effect. */
  readonly applied: AppliedRegistry | undefined;
  readonly effect: readonly object[];
}

/** A proposal about an operator, in the form of a plan: the entry before and after, and what changes in words. */
interface OperatorPlan extends Pick<RegistryPlan, "policies" | "opens"> {
  readonly changes: readonly [
    {
      readonly kind: "operator";
      readonly name: string;
      readonly before: object | undefined;
      readonly after: OperatorDocument;
    },
  ];
}

/** A proposal with its document, and the plan of its change if it is still the plan that its author saw. */
export interface ShownProposal {
  readonly proposal: ProposalRow;
  readonly plan: RegistryPlan | OperatorPlan | undefined;
  /** Why its change cannot be applied to the present registry. */
  readonly problem: RegistryProblem | undefined;
}

const lifeMilliseconds = 7 * dayMilliseconds;
const openMax = 200;
// One person leaves room for the proposals of the others.
const ownMax = 40;
const pageMax = 100;

/** Stores acts that need a second person, and does them when a second person approves. */
export class ProposalDesk extends WorkerEntrypoint<RevocationsEnv> {
  /**
   * Stores a proposal. Nothing takes effect; a change of the registry is planned, so that a bad document is
   * refused.
   */
  async propose(document: unknown, by: SignedInPerson): Promise<Result<Proposed, ProposalProblem>> {
    const read = proposalDocument.safeParse(document);
    if (!read.success) {
      const [issue] = read.error.issues;
      return malformed(pointer(issue?.path ?? []), issue?.message ?? "is no proposal");
    }
    const { REGISTRY } = this.env;
    const at = instant(Date.now());
    const open = await countOpenProposals(REGISTRY, at, by);
    if (open.own >= ownMax)
      return malformed("", `cannot be stored: ${ownMax} proposals of yours are open, so close some first`);
    if (open.all >= openMax)
      return malformed("", "cannot be stored: too many proposals are open, so close some first");
    const judged = await this.#judge(read.data);
    if (!judged.ok) return judged;
    const [id, expiresAt] = [newId(), instant(at + lifeMilliseconds)];
    const digest = createHash("sha256").update(JSON.stringify(read.data)).digest("hex");
    const { expects, opens } = judged.value;
    const row = { id, kind: read.data.kind, body: read.data, digest, expects, why: read.data.why };
    await insertProposal(REGISTRY, { ...row, proposedAt: at, expiresAt }, by);
    return ok({ proposal: id, digest, expiresAt, opens });
  }

  /** The open proposals, or all, the newest first. */
  async list(page: {
    readonly state: "open" | "all";
    readonly after?: string | undefined;
    readonly limit?: number | undefined;
  }): Promise<readonly ProposalSummary[]> {
    return await listProposals(this.env.REGISTRY, {
      onlyOpenAt: page.state === "open" ? instant(Date.now()) : undefined,
      after: page.after,
      limit: Math.min(page.limit ?? pageMax, pageMax),
    });
  }

  async show(id: string): Promise<ShownProposal | undefined> {
    const proposal = await findProposal(this.env.REGISTRY, id);
    if (proposal === undefined) return undefined;
    const { body } = proposal;
    const isPlanned = isOpen(proposal, instant(Date.now()));
    if (isPlanned && body.kind === "operator") return await this.#showOperator(proposal, body.operator);
    if (!isPlanned || body.kind !== "change") return { proposal, plan: undefined, problem: undefined };
    const plan = await planRegistry(this.env.REGISTRY, body.change, registryRules(this.env), true);
    if (!plan.ok) return { proposal, plan: undefined, problem: plan.error };
    return isPlanOf(proposal.expects, plan.value)
      ? { proposal, plan: plan.value, problem: undefined }
      : { proposal, plan: undefined, problem: stalePlan };
  }

  /** Does the act of an open proposal, for a person who is not its author. */
  async approve(id: string, by: SignedInPerson): Promise<Result<Approved, ProposalProblem>> {
    const at = instant(Date.now());
    const proposal = await findProposal(this.env.REGISTRY, id);
    if (proposal === undefined || !isOpen(proposal, at)) return err(notOpen);
    const proposer: SignedInPerson = {
      operator: proposal.proposedBy,
      issuer: proposal.proposerIssuer,
      subject: proposal.proposerSubject,
    };
    if (isSamePerson(proposer, by) || (await this.#isAbout(proposal.body, by))) return err(ownProposal);
    if (!(await isAuthorStanding(this.env.REGISTRY, proposal))) return err(otherAuthor);
    const done = await this.#carryOut(proposal, { ...by, at });
    return done.ok ? ok({ proposal: id, kind: proposal.kind, proposer, ...done.value }) : done;
  }

  /** Closes an open proposal without its act, or ends an approved elevation. */
  async close(id: string, operator: string, note: string): Promise<Result<void, ProposalProblem>> {
    const at = instant(Date.now());
    return (await closeProposal(this.env.REGISTRY, id, { operator, at, note }))
      ? ok(undefined)
      : err(notOpen);
  }

  async #judge(
    document: ProposalDocument,
  ): Promise<Result<{ readonly expects?: string; readonly opens: readonly string[] }, ProposalProblem>> {
    switch (document.kind) {
      case "change": {
        const { change } = document;
        const expects: unknown =
          typeof change === "object" && change !== null ? Reflect.get(change, "expects") : undefined;
        if (typeof expects !== "string")
          return malformed("/change/expects", "is needed: plan the change first");
        const plan = await planRegistry(this.env.REGISTRY, change, registryRules(this.env));
        if (!plan.ok)
          return err({
            kind: "registry",
            problem: { ...plan.error, pointer: `/change${plan.error.pointer}` },
          });
        return ok({ expects: planDigest(plan.value), opens: plan.value.opens });
      }
      case "lift": {
        const read = readDenial(document.denial);
        if (!read.ok)
          return err({ kind: "denial", problem: { ...read.error, field: `denial/${read.error.field}` } });
        const since = await revocationsOf(this.env).deniedSince(read.value);
        return since === undefined
          ? malformed("/denial", "is not in force")
          : ok({ expects: expectedDenial(since), opens: [`the denial of a ${read.value.kind} ends`] });
      }
      case "operator": {
        const { operator } = document;
        const judged = await judgeOperator(this.env.REGISTRY, operator);
        return judged.ok ? judged : malformed(`/operator${judged.error.pointer}`, judged.error.problem);
      }
      case "elevation":
        return ok({ opens: [`the role ${document.role} for ${document.minutes} minutes`] });
    }
  }

  /** The entry before and after, and what changes in words. */
  async #showOperator(proposal: ProposalRow, operator: OperatorDocument): Promise<ShownProposal> {
    const { REGISTRY } = this.env;
    const judged = await judgeOperator(REGISTRY, operator);
    if (!judged.ok) {
      const problem = { ...judged.error, pointer: `/operator${judged.error.pointer}` };
      return { proposal, plan: undefined, problem: { reason: "invalid", ...problem } };
    }
    const { before, expects, opens } = judged.value;
    if (expects !== proposal.expects)
      return { proposal, plan: undefined, problem: { ...otherOperator.problem, reason: "stale" } };
    const change = { kind: "operator", name: operator.id, before, after: operator } as const;
    return { proposal, plan: { changes: [change], policies: {}, opens }, problem: undefined };
  }

  /** A person does not approve roles, a certificate or the replacement of its own operators. */
  async #isAbout(body: ProposalDocument, by: SignedInPerson): Promise<boolean> {
    if (body.kind !== "operator") return false;
    const { operator } = body;
    if (operator.id === by.operator || (operator.kind === "person" && signsInAs(operator.signIn, by)))
      return true;
    return signsInAs((await registeredOperator(this.env.REGISTRY, operator.id))?.signIn, by);
  }

  async #carryOut(
    proposal: ProposalRow,
    decision: ProposalDecision,
  ): Promise<Result<Pick<Approved, "applied" | "effect">, ProposalProblem>> {
    const { id, body, proposedBy, expects } = proposal;
    const { REGISTRY } = this.env;
    switch (body.kind) {
      case "change": {
        const approved = { proposal: id, change: body.change, decision };
        const applied = await revocationsOf(this.env).applyApproved(approved);
        return applied.ok
          ? ok({ applied: applied.value, effect: applied.value.changes })
          : err({ kind: "registry", problem: applied.error });
      }
      case "lift": {
        const denial = readDenial(body.denial);
        if (!denial.ok) return err({ kind: "denial", problem: denial.error });
        // The proposal is about one denial: a later denial of the same name has a reason of its own.
        const since = await revocationsOf(this.env).deniedSince(denial.value);
        if (since === undefined || expects !== expectedDenial(since)) return err(otherDenial);
        // Approved first: a crash between the two leaves the denial in force.
        await approval(REGISTRY, id, decision);
        const lifted = await revocationsOf(this.env).liftApproved(id, denial.value, since);
        return ok({ applied: undefined, effect: [{ kind: "denial", before: denial.value, lifted }] });
      }
      case "operator": {
        const { operator } = body;
        const judged = await judgeOperator(REGISTRY, operator);
        if (!judged.ok) return malformed(`/operator${judged.error.pointer}`, judged.error.problem);
        const before = await registeredOperator(REGISTRY, operator.id);
        if (expects !== stateOfOperator(before)) return err(otherOperator);
        if (!(await approveOperator(REGISTRY, proposal, operator, before, decision)))
          return err(otherOperator);
        return ok({ applied: undefined, effect: [operatorEffect(operator.id, before, operator)] });
      }
      case "elevation": {
        const { role, minutes } = body;
        const ends = instant(decision.at + minutes * 60_000);
        if (!(await approveElevation(REGISTRY, proposal, { role, ends }, decision))) return err(otherAuthor);
        const effect = [{ kind: "elevation", name: proposedBy, after: { role, ends } }];
        return ok({ applied: undefined, effect });
      }
    }
  }
}

const isOpen = ({ state, expiresAt }: Pick<ProposalRow, "state" | "expiresAt">, at: Instant): boolean =>
  state === "open" && expiresAt > at;

const signsInAs = (signIn: unknown, { issuer, subject }: SignedInPerson): boolean => {
  const read = signInDemand.safeParse(signIn);
  return read.success && read.data.iss === issuer && read.data.sub === subject;
};

/** Two operators of one person are one person. */
const isSamePerson = (one: SignedInPerson, other: SignedInPerson): boolean =>
  one.operator === other.operator || (one.issuer === other.issuer && one.subject === other.subject);

type RefusedProposal = Extract<ProposalProblem, { readonly kind: "proposal" }>;
const refusedProposal = (
  reason: RefusedProposal["problem"]["reason"],
  problem: string,
  at = "/proposal",
): RefusedProposal => ({ kind: "proposal", problem: { reason, pointer: at, problem } });

const malformed = (at: string, problem: string): Result<never, ProposalProblem> =>
  err(refusedProposal("proposal_malformed", problem, at));

const notOpen = refusedProposal("proposal_not_open", "is no open proposal");
const otherDenial = refusedProposal(
  "proposal_not_open",
  "is about a denial that is no longer in force: propose the lift again",
);
const otherOperator = refusedProposal(
  "proposal_not_open",
  "is about an operator who has changed since: propose it again",
);
const otherAuthor = refusedProposal(
  "proposal_not_open",
  "is of an operator who is suspended, removed or a different person since: propose it again",
);
const ownProposal = refusedProposal(
  "proposal_own",
  "is your own proposal, or about you: a second person approves it",
);
