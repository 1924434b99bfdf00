import { deniedPrincipal, deniedSigner, type DeniedNames, type PrincipalDenied } from "#identity/denial";
import type { Principal } from "#identity/principal";
import type { Clock } from "#kernel/clock";
import type { Result } from "#kernel/result";
import type { Budget, Limiter } from "#limits/ports";
import type { AdditionalPatients } from "#phi/additional-patients";
import type { Disclosure } from "#phi/disclosure";
import type { Authenticated } from "./authenticate.ts";
import type { GatewayRefusal } from "#gateway/outcome";
import { clientSpend, recordsOf, recordSpends, requestSpends } from "./spends.ts";

type Passed = Result<unknown, GatewayRefusal>;

/** Whether the client of one request may be answered, and what the answer costs: asked at the start, and again before a release. */
export class ReleaseGate {
  readonly #who: Principal;
  readonly #stillStands: Authenticated["stillStands"];
  readonly #signedBy: string | undefined;
  readonly #limiter: Limiter;
  readonly #clock: Clock;
  #budgets: readonly Budget[] = [];

  /** @param signedBy `kid` of the key that signed the request. */
  constructor(
    { who, stillStands }: Authenticated,
    signedBy: string | undefined,
    { limiter, clock }: { readonly limiter: Limiter; readonly clock: Clock },
  ) {
    this.#who = who;
    this.#stillStands = stillStands;
    this.#signedBy = signedBy;
    this.#limiter = limiter;
    this.#clock = clock;
  }

  /** What is left of each quota that the request spent from. */
  get budgets(): readonly Budget[] {
    return this.#budgets;
  }

  /** Spends what the request itself costs. */
  async admit(): Promise<Passed> {
    const spent = await this.#limiter.spend(requestSpends(this.#who), this.#denied);
    if (spent.ok) this.#budgets = spent.value;
    return spent;
  }

  /** Spends what the further requests inside a batch cost. */
  spendRequests(many: number): Promise<Passed> {
    return this.#limiter.spend(many < 1 ? [] : requestSpends(this.#who, many), this.#denied);
  }

  /** Spends what an answer costs: its records, and the names of those whom it concerns beside them. */
  async spendRecords(disclosure: Disclosure, concerned: AdditionalPatients): Promise<Passed> {
    return this.#spend(recordsOf(disclosure) + concerned.due(disclosure), concerned);
  }

  /** Spends what the names cost of those of whom a row decided an answer that shows none. */
  async spendNames(concerned: AdditionalPatients): Promise<Passed> {
    return this.#spend(concerned.due(), concerned);
  }

  async #spend(many: number, concerned: AdditionalPatients): Promise<Passed> {
    const spent = await this.#limiter.spend(recordSpends(this.#who, many), this.#denied);
    if (!spent.ok) return spent;
    concerned.pay();
    if (spent.value.length > 0)
      this.#budgets = [...this.#budgets.filter(({ policy }) => policy !== "records"), ...spent.value];
    return spent;
  }

  /** Whether the client may still be answered: the origin may take longer than the lease lives. Nothing is spent; no answer is a no. */
  async stillGood(): Promise<Passed> {
    const lease = await this.#limiter.renew(clientSpend(this.#who), this.#denied);
    return lease.ok ? this.#stillStands(this.#clock()) : lease;
  }

  // A denied token is named until it ends: past that, only the clock says so.
  readonly #denied = (
    names: DeniedNames,
  ): PrincipalDenied | { readonly reason: "token_expired" } | undefined =>
    deniedPrincipal(names, this.#who) ??
    deniedSigner(names, this.#who.client, this.#signedBy) ??
    this.#ended();

  #ended(): { readonly reason: "token_expired" } | undefined {
    return this.#clock() < this.#who.tokenExpires ? undefined : { reason: "token_expired" };
  }
}
