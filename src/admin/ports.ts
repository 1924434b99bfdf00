import type { GaugeReading } from "#audit/alerts/gauges";
import type { AlertReport } from "#audit/alerts/report";
import type { RequestQuota } from "#limits/request-quota";
import type { Silence } from "#audit/alerts/silence";
import type { Tail, TailCursor } from "#audit/traffic/ends";
import type { Traffic } from "#audit/traffic/instruments";
import type { AuthorityProblem } from "#identity/authority/authority-document";
import type { CaseProblem } from "#registry/case-document";
import type { Holder, HoldersRequest } from "#audit/accounting/holders";
import type { ProofSink } from "#audit/ports";
import type { DataSet } from "#deid/codes";
import type { SuspensionProblem } from "#audit/accounting/suspension";
import type { DenialProblem } from "#identity/denial-document";
import type { ProofVerifier } from "#identity/proof";
import type { ClientStanding } from "#registry/client-standing";
import type { ExportList } from "#limits/listed-export";
import type { RegistryProblem } from "#registry/problem";
import type { SignedInPerson, ProposalProblem } from "#registry/proposal-document";
import type { SignInVerifier } from "#identity/sign-in";
import type { Clock } from "#kernel/clock";
import type { Result } from "#kernel/result";
import type { CallCounter } from "#limits/flood";
import type { RequestKeys } from "#limits/request-keys";
import type { HalfYearShards } from "#ledger/health";
import type { LedgerRestore } from "#ledger/restore";
import type { Operator } from "./operator.ts";

/** The operators, as `control` knows them. Throws when `control` does not answer. */
export interface OperatorRoll {
  /** Finds an operator by `x5t#S256` of a certificate, even a suspended operator. */
  find(x5t: string): Promise<Operator | undefined>;
}

/** An applied document. */
export interface Applied {
  /** The numbers of new, changed and (of a change) removed entries: all are 0 if nothing was to be done. */
  readonly counts: { readonly added: number; readonly changed: number; readonly removed?: number };
  /** Each entry that changed, with its content before and after. */
  readonly changes: readonly object[];
}

/** Why an operator stays as it is: it is not registered; or a machine would end the last person of a role. */
export type NotNarrowedReason = "operator_not_registered" | "last_person_of_role";

/** The registered operators. A new operator, and each change that gives it more, is a proposal. */
export interface OperatorTasks {
  list(): Promise<readonly object[]>;
  /** The entry before and after, for the record. */
  suspend(id: string, by: string): Promise<Result<object, NotNarrowedReason>>;
  remove(id: string, by: string): Promise<Result<object, NotNarrowedReason>>;
}

/** The registry's only writer. */
export interface RegistryDesk {
  /**
   * Merges a registry file and never replaces an entry in place: either the whole file, or nothing and the
   * problem. `mayOpen` false: a file that opens access is refused.
   */
  apply(document: unknown, mayOpen: boolean): Promise<Result<Applied, RegistryProblem>>;
  /** The registry as a registry file, and the digest of its state. */
  show(): Promise<{ readonly digest: string }>;
  /** Each client with what it has, what it needs and what ends soon. */
  clients(): Promise<readonly ClientStanding[]>;
  /** The entries that a change of the registry would touch. Writes nothing. */
  plan(document: unknown): Promise<Result<object, RegistryProblem>>;
  /**
   * Applies a change of the registry that names the state which it expects: the whole change, or nothing and
   * the problem. A narrowing takes effect everywhere within ten seconds. `mayOpen` false: a change that opens
   * access is refused.
   */
  change(document: unknown, mayOpen: boolean): Promise<Result<Applied, RegistryProblem>>;
  /** Stores the findings of a probe of a registered origin, and says of which members it found less. */
  probed(
    document: unknown,
    operator: string,
  ): Promise<Result<{ readonly origin: string; readonly otherwise: readonly string[] }, RegistryProblem>>;
  /** The last probe of each origin. */
  probes(): Promise<readonly object[]>;
  /** In force when it returns, and everywhere within ten seconds. */
  revoke(denial: unknown): Promise<Result<void, DenialProblem>>;
  /** A page of the stored authorities under which jobs act. */
  authorities(document: unknown): Promise<Result<readonly object[], AuthorityProblem>>;
  /** False when nothing of that name was denied. */
  lift(denial: unknown): Promise<Result<boolean, DenialProblem | { readonly reason: "approval_required" }>>;
}

/** Keeps suspensions of patients' accountings. */
export interface AccountingHolds {
  hold(document: unknown): Promise<Result<void, SuspensionProblem>>;
}

/** Why a document about reviews is refused. */
export type ReviewDocumentProblem =
  | { readonly reason: "review_malformed"; readonly field: string }
  | { readonly reason: "review_not_open" | "review_not_ended"; readonly field: string };

/** The reviews of uses of break-glass. */
export interface ReviewTasks {
  list(document: unknown): Promise<Result<readonly object[], ReviewDocumentProblem>>;
  close(document: unknown, operator: string): Promise<Result<void, ReviewDocumentProblem>>;
}

type HoldersQuery = Omit<HoldersRequest, "caller">;
type HoldersSought = HoldersQuery & { readonly amendedBy: string | null };

/** The requests for amendments (45 CFR 164.526). */
export interface CaseTasks {
  list(document: unknown): Promise<Result<readonly object[], CaseProblem>>;
  confirm(document: unknown): Promise<Result<void, CaseProblem>>;
  open(
    document: unknown,
    operator: string,
    requestId: string,
  ): Promise<Result<{ readonly case: string }, CaseProblem>>;
  void(document: unknown): Promise<Result<void, CaseProblem>>;
  extend(document: unknown, operator: string): Promise<Result<{ readonly due: string }, CaseProblem>>;
  accept(document: unknown, operator: string): Promise<Result<void, CaseProblem>>;
  deny(document: unknown, operator: string): Promise<Result<void, CaseProblem>>;
  state(document: unknown, operator: string): Promise<Result<void, CaseProblem>>;
  unstate(document: unknown, operator: string): Promise<Result<void, CaseProblem>>;
  /** The question for the accounting of an accepted case, and the client that made the amendment. */
  holdersSought(document: unknown): Promise<Result<HoldersSought, CaseProblem>>;
  /** Asks the accounting, which records the call before the answer, as a step of the request. */
  holders(query: HoldersQuery, operator: string, requestId: string): Promise<readonly Holder[]>;
  /** Answers the notices that were not stored before. */
  addHolders(
    document: unknown,
    holders: readonly Holder[],
    operator: string,
  ): Promise<Result<readonly object[], CaseProblem>>;
  nameNotice(document: unknown, operator: string): Promise<Result<void, CaseProblem>>;
  sendNotice(document: unknown, operator: string): Promise<Result<void, CaseProblem>>;
  waiveNotice(document: unknown, operator: string): Promise<Result<void, CaseProblem>>;
}

/** The data sets of recipients (45 CFR 164.514(c)). */
export interface DataSets {
  /** False: there is no such data set, or it was over before. */
  end(dataSet: DataSet): Promise<boolean>;
}

/** The exports of all clients. */
export interface ExportTasks {
  /** The newest first, at most 50, and the number of those behind them. `client`: of this client alone. */
  list(client: string | undefined): Promise<ExportList>;
  /** False: the client has no such export, or it is over. */
  cancel(client: string, id: string): Promise<boolean>;
}

/** The alerts, and the times in which they send no message. */
export interface Alerts {
  report(): Promise<AlertReport>;
  /** The id of the silence. */
  silence(silence: Omit<Silence, "id">): Promise<string>;
  /** False: there is no silence of this id, or it is over. */
  endSilence(id: string): Promise<boolean>;
}

/** `two-persons`: an act that opens access needs the approval of a second person. */
export type Approvals = "one-person" | "two-persons";

/** Stores acts that need a second person, and does an act when a second person approves it. */
export interface Proposals {
  /** Stores a proposal; nothing takes effect. The answer has its id and what it would open, in words. */
  propose(document: unknown, by: SignedInPerson): Promise<Result<object, ProposalProblem>>;
  /** The newest first, at most 100. `after`: the id of the last proposal of the page before. */
  list(page: {
    readonly state: "open" | "all";
    readonly after?: string | undefined;
    readonly limit?: number | undefined;
  }): Promise<readonly object[]>;
  /** A proposal with its document and, while it is open, the plan of its change. */
  show(id: string): Promise<object | undefined>;
  approve(id: string, by: SignedInPerson): Promise<Result<ApprovedProposal, ProposalProblem>>;
  /** Closes an open proposal without its act, or ends an approved elevation. */
  close(id: string, operator: string, note: string): Promise<Result<void, ProposalProblem>>;
}

/** A proposal whose act is done. */
export interface ApprovedProposal {
  readonly proposal: string;
  readonly kind: string;
  readonly proposer: SignedInPerson;
  /** Of a change of the registry. */
  readonly applied: Applied | undefined;
  readonly effect: readonly object[];
}

/** Why a question about Consents is refused. */
export interface ConsentQuestionProblem {
  readonly reason: "consents_malformed";
  readonly field: string;
}

/** The versions of Consents on file. */
export interface ConsentVersions {
  list(document: unknown): Promise<Result<readonly object[], ConsentQuestionProblem>>;
  /** Files the Consents of patients under the present key. Returns the rows, and the rows that are left. */
  refile(
    document: unknown,
  ): Promise<Result<{ readonly refiled: number; readonly remaining: number }, ConsentQuestionProblem>>;
}

export interface AdminPorts {
  readonly operators: OperatorRoll;
  /**
   * The currently denied names that may concern an operator with tokens of this issuer. Throws when they are
   * unavailable.
   */
  readonly denials: (issuer: string | undefined) => Promise<ReadonlySet<string>>;
  readonly signIns: SignInVerifier;
  readonly proofs: ProofVerifier;
  readonly registry: RegistryDesk;
  readonly operatorTasks: OperatorTasks;
  readonly proposals: Proposals;
  readonly approvals: Approvals;
  readonly accountings: AccountingHolds;
  readonly restores: LedgerRestore;
  /** The totals of the traffic book. Throws when it does not answer. */
  readonly traffic: () => Promise<Traffic>;
  /** The newest ends of requests. Throws when the ledger does not answer. */
  readonly tail: (after: TailCursor) => Promise<Tail>;
  readonly wait: (milliseconds: number) => Promise<void>;
  readonly alerts: Alerts;
  /** The gauges of the alerts' last look. Throws when it does not answer. */
  readonly gauges: () => Promise<readonly GaugeReading[]>;
  /** Throws when the registry does not answer. */
  readonly quotas: () => Promise<readonly RequestQuota[]>;
  readonly requestKeys: RequestKeys;
  readonly reviews: ReviewTasks;
  readonly cases: CaseTasks;
  readonly dataSets: DataSets;
  readonly exports: ExportTasks;
  readonly consents: ConsentVersions;
  readonly ledger: ProofSink;
  /** Counts all callers, by certificate or by network. */
  readonly calls: CallCounter;
  /** Puts the configuration of this isolate on record; undefined: that was done. Throws when it cannot. */
  readonly configured: () => Promise<void> | undefined;
  /** `https://host[:port]`: the configured name of this door, which proofs and tokens name. */
  readonly url: string;
  readonly clock: Clock;
  /** 16 random bytes in hex. */
  readonly newId: () => string;
  /** Says for each dependency whether it answers; the keys are shown. */
  readonly dependencies: () => Promise<Readonly<Record<string, boolean>>>;
  /** The shards with which the ledger's half-year began; undefined if the ledger does not say so in time. */
  readonly halfYear: () => Promise<HalfYearShards | undefined>;
  /** Lets work come to its end after the connection has ended. */
  readonly keepAlive: (work: Promise<unknown>) => void;
  /** Called with the kind of a fault, never with its message: the message may quote data. */
  readonly onFault: (fault: { readonly requestId: string; readonly name: string }) => void;
}
