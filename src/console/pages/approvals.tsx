import type { ListedProposal } from "#admin/proposals";
import type { Child } from "hono/jsx";
import type { Operator } from "#admin/operator";
import { planLines, type PolicyBodies } from "#authoring/plan-lines";
import { texts } from "#console/texts";
import { momentText } from "#console/words";
import type { PlannedChange } from "#registry/plan";
import type { VerbRefused } from "#console/visit";
import { RefusalAlert } from "./messages.tsx";
import { Table } from "./shell.tsx";
import { Done, FactList, Hidden, JsonText, Labelled, LinkLine, Side, StepForm } from "./parts.tsx";

const { approvals } = texts;

const kindInWords = (kind: string): string => approvals.kinds[kind] ?? kind;

/** A proposal as it is shown: with its document on its own page. */
export type ShownProposalRow = Pick<
  ListedProposal,
  "id" | "kind" | "digest" | "why" | "proposedAt" | "expiresAt" | "proposedBy" | "state"
> & { readonly body?: unknown };

/** The plan of a change, as the operators' API answers it. */
export interface ShownPlan {
  readonly changes: readonly PlannedChange[];
  readonly policies: PolicyBodies;
  /** What the change may open, in words. */
  readonly opens: readonly string[];
}

interface ApprovalsPageProps {
  readonly proposals: readonly ShownProposalRow[];
  readonly note: string | undefined;
}

/** The open proposals. */
export function ApprovalsPage({ proposals, note }: ApprovalsPageProps) {
  return (
    <>
      <h1>{approvals.title}</h1>
      {note === undefined ? undefined : <Done>{note}</Done>}
      <p>{approvals.intro}</p>
      <Table
        caption={approvals.title}
        heads={[approvals.why, approvals.kind, approvals.by, approvals.when, approvals.until]}
        rows={proposals.map(({ id, why, kind, proposedBy, proposedAt, expiresAt }) => [
          <a href={`/console/approvals/${id}`}>{why}</a>,
          kindInWords(kind),
          proposedBy,
          <time>{momentText(proposedAt)}</time>,
          <time>{momentText(expiresAt)}</time>,
        ])}
        none={approvals.none}
      />
    </>
  );
}

interface ProposalPageProps {
  readonly proposal: ShownProposalRow;
  readonly plan: ShownPlan | undefined;
  readonly problem: string | undefined;
  readonly formToken: string;
  readonly once: () => string;
  readonly operator: Operator;
}

/** A proposal with its plan, and the buttons of the second person. */
export function ProposalPage({ proposal, plan, problem, formToken, once, operator }: ProposalPageProps) {
  const isOwn = proposal.proposedBy === operator.id;
  const mayApprove = !isOwn && operator.roles.includes("approver");
  const form = (action: "approve" | "close" | "plan", button: Child) => (
    <StepForm
      action={`/console/approvals/${action}`}
      formToken={formToken}
      fields={{ once: once(), proposal: proposal.id }}
    >
      {button}
    </StepForm>
  );
  return (
    <>
      <LinkLine href="/console/approvals">{approvals.title}</LinkLine>
      <h1>{proposal.why}</h1>
      <FactList
        rows={[
          [approvals.kind, kindInWords(proposal.kind)],
          [approvals.by, proposal.proposedBy],
          [approvals.until, <time>{momentText(proposal.expiresAt)}</time>],
          [approvals.state, proposal.state],
          [approvals.digest, <code>{proposal.digest}</code>],
        ]}
      />
      {problem === undefined ? undefined : <p class="alert warn">{approvals.problem(problem)}</p>}
      {plan === undefined ? (
        <details>
          <summary>{approvals.document}</summary>
          <JsonText value={proposal.body} />
        </details>
      ) : (
        <PlanInWords plan={plan} />
      )}
      {proposal.state !== "open" ? undefined : (
        <>
          {mayApprove ? undefined : <p class="note">{isOwn ? approvals.own : approvals.notApprover}</p>}
          <p>
            {problem !== undefined && proposal.kind === "change"
              ? form("plan", <button>{approvals.planAgain}</button>)
              : mayApprove
                ? form("approve", <button>{approvals.approve}</button>)
                : undefined}
            {form("close", <button class="danger">{approvals.reject}</button>)}
          </p>
        </>
      )}
      {plan === undefined ? undefined : <PlanList plan={plan} />}
    </>
  );
}

/** What the change opens, and the plan as `phylax proposals show` prints it: the approver reads both first. */
function PlanInWords({ plan: { changes, policies, opens } }: { readonly plan: ShownPlan }) {
  return (
    <>
      <h2>{approvals.opens}</h2>
      {opens.length === 0 ? (
        <p>{approvals.opensNothing}</p>
      ) : (
        <ul class="alert warn">
          {opens.map((each) => (
            <li>{each}</li>
          ))}
        </ul>
      )}
      {changes.length === 0 ? undefined : (
        <>
          <h2>{approvals.inWords}</h2>
          <pre tabindex={0}>{planLines(changes, policies).join("\n")}</pre>
        </>
      )}
    </>
  );
}

/** Each entry that a change touches, before and after. */
function PlanList({ plan: { changes } }: { readonly plan: ShownPlan }) {
  if (changes.length === 0) return <p class="alert still">{approvals.noChange}</p>;
  return (
    <>
      <h2>{approvals.plan(changes.length)}</h2>
      {changes.map(({ kind, name, before, after }) => (
        <details>
          <summary>
            {before === undefined
              ? approvals.added
              : after === undefined
                ? approvals.removed
                : approvals.changed}{" "}
            {kind} <code>{name}</code>
          </summary>
          <div class="columns">
            {before === undefined ? undefined : <Side title={approvals.before} value={before} />}
            {after === undefined ? undefined : <Side title={approvals.after} value={after} />}
          </div>
        </details>
      ))}
    </>
  );
}

interface ChangePageProps {
  readonly text: string;
  readonly why: string;
  readonly plan: ShownPlan | undefined;
  /** `digestOfChange` of the change that the plan is of: the form applies and proposes no other change. */
  readonly planned: string | undefined;
  /** Why the plan of this text was refused. */
  readonly refusal?: VerbRefused | undefined;
  readonly formToken: string;
  readonly once: string;
}

/**
 * The form for a change of the registry. With a plan the page begins with it, and the change can be applied or
 * proposed. Without a plan it can only be planned: the Enter key presses the first button of a form.
 */
export function ChangePage({ text, why, plan, planned, refusal, formToken, once }: ChangePageProps) {
  const isReady = plan !== undefined && plan.changes.length > 0;
  const json = (
    <>
      <label for="change">{approvals.changeField}</label>
      <textarea id="change" name="change" rows={12} cols={90} required spellcheck={false}>
        {text}
      </textarea>
    </>
  );
  return (
    <>
      <LinkLine href="/console/registry">{texts.registry.title}</LinkLine>
      <h1>{plan === undefined ? approvals.changeTitle : approvals.planTitle}</h1>
      <p>{plan === undefined ? approvals.changeIntro : approvals.planIntro}</p>
      {refusal === undefined ? undefined : <RefusalAlert refusal={refusal} />}
      {plan === undefined ? undefined : <PlanInWords plan={plan} />}
      <form method="post" action="/console/registry/change">
        <Hidden formToken={formToken} fields={{ once, ...(plan !== undefined && { planned }) }} />
        {plan === undefined ? (
          json
        ) : (
          <details>
            <summary>{approvals.showJson}</summary>
            {json}
          </details>
        )}
        <Labelled label={approvals.why} id="why" name="why" size={60} maxlength={1_000} value={why} />
        <p class="steps">
          {isReady ? (
            <>
              <button name="act" value="apply">
                {approvals.apply}
              </button>
              <button name="act" value="propose" class="quiet">
                {approvals.propose}
              </button>
            </>
          ) : undefined}
          <button name="act" value="plan" class={isReady ? "quiet" : undefined}>
            {plan === undefined ? approvals.planIt : approvals.planAgain}
          </button>
        </p>
        {isReady ? <p class="note no-print">{approvals.planSteps}</p> : undefined}
      </form>
      {plan === undefined ? undefined : <PlanList plan={plan} />}
    </>
  );
}

/** The change was applied. */
export function AppliedPage() {
  return (
    <>
      <h1>{approvals.planTitle}</h1>
      <Done>{approvals.applied}</Done>
      <LinkLine href="/console/registry">{texts.registry.title}</LinkLine>
    </>
  );
}
