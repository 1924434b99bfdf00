import { deniedPrincipal, deniedSigner, type DeniedNames, type PrincipalDenied } from "#identity/denial";
import type { Principal } from "#identity/principal";
import type { Clock } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Budget, Exhausted, Limiter } from "#limits/ports";
import type { AdditionalPatients } from "#phi/additional-patients";
import type { Disclosure } from "#phi/disclosure";
import type { Authenticated, StandingRefusal } from "./authenticate.ts";
import type { Caller } from "./caller.ts";
import { recordsSpent, recordSpends, requestSpends, type RequestSpends } from "./spends.ts";

export type GateRefusal =
  | Exhausted
  | PrincipalDenied
  | StandingRefusal
  | { readonly reason: "token_expired" }
  /** A Consent by which rows were judged has changed, or cannot be read. */
  | { readonly reason: "consent_changed" };

type Passed = Result<unknown, GateRefusal>;

/** A disclosure that an answer would show, and the further patients that it concerns. */
export interface PendingDisclosure {
  readonly disclosure: Disclosure;
  readonly concerned: AdditionalPatients;
}

/** `answer_too_large`: the names of all its patients have no room in its record. */
export type ClearingRefusal = GateRefusal | { readonly reason: "answer_too_large" };

const nothingSpent: Result<readonly Budget[], never> = ok([]);
const tooLarge = err({ reason: "answer_too_large" } as const);

/** Opens the gate for a caller: spends the cost of the request itself. */
export async function openReleaseGate(
  caller: Caller,
  ports: { readonly limiter: Limiter; readonly clock: Clock },
): Promise<Result<ReleaseGate, GateRefusal>> {
  const gate = new ReleaseGate(caller, caller.signedBy, ports);
  const admitted = await gate.spendRequest();
  return admitted.ok ? ok(gate) : admitted;
}

/** The spends of a single request, made once for each principal. */
const requestsOfPrincipals = new WeakMap<Principal, RequestSpends>();

function spendsOfRequest(who: Principal): RequestSpends {
  let spends = requestsOfPrincipals.get(who);
  if (spends === undefined) requestsOfPrincipals.set(who, (spends = requestSpends(who)));
  return spends;
}

/**
 * Decides whether the client of a request may be answered, and spends what the answer costs: at the start,
 * and again before a release.
 */
export class ReleaseGate {
  readonly #who: Principal;
  readonly #stillStands: Authenticated["stillStands"];
  readonly #signedBy: string | undefined;
  readonly #limiter: Limiter;
  readonly #clock: Clock;
  #budgets: readonly Budget[] = [];
  /** The denials that were last asked, and do not concern this request. */
  #clearedBy: DeniedNames | undefined;
  #consentsStand: (() => Promise<boolean>) | undefined;
  /** Units that this judgement of the question spends, and units that an earlier judgement paid for it. */
  #spent = { requests: 0, records: 0 };
  #paid = { requests: 0, records: 0 };

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

  /** The rest of each quota from which the request spent. */
  get budgets(): readonly Budget[] {
    return this.#budgets;
  }

  /** The answer rests on Consents: each time the gate is asked, it asks whether they still stand. */
  restsOn(consentsStand: () => Promise<boolean>): void {
    this.#consentsStand = consentsStand;
  }

  /** The question is judged again: what its earlier judgement spent is not spent again. */
  judgedAgain(): void {
    this.#paid = this.#spent;
    this.#spent = { requests: 0, records: 0 };
  }

  /** Spends the cost of the request itself. */
  async spendRequest(): Promise<Passed> {
    const spent = await this.#limiter.spend(spendsOfRequest(this.#who), this.#denied);
    if (spent.ok) this.#budgets = spent.value;
    return spent;
  }

  /** Spends the cost of the further requests inside a batch. */
  async spendFurtherRequests(many: number): Promise<Passed> {
    return this.#once("requests", many, (due) =>
      this.#limiter.spend(due < 1 ? [] : requestSpends(this.#who, due), this.#denied),
    );
  }

  async #once<R extends Passed>(
    kind: "requests" | "records",
    many: number,
    spend: (due: number) => Promise<R>,
  ): Promise<R> {
    const paid = Math.min(this.#paid[kind], many);
    const spent = await spend(many - paid);
    if (!spent.ok) return spent;
    this.#paid[kind] -= paid;
    this.#spent[kind] += many;
    return spent;
  }

  /** Clears one disclosure. See {@link clearEach}. */
  async clear(pending: PendingDisclosure): Promise<Result<Disclosure, ClearingRefusal>> {
    const [cleared] = await this.clearEach([pending]);
    return cleared ?? tooLarge;
  }

  /**
   * Asks whether disclosures may leave now (P4): renews the client's lease, asks the registry again, and
   * spends the record credits of each. A cleared disclosure has the names of all its patients. Put it on
   * record before any byte of it leaves (P1).
   *
   * @param bytesMax for all disclosures together. A disclosure without room is refused and costs nothing.
   */
  async clearEach(
    disclosures: readonly PendingDisclosure[],
    bytesMax = Infinity,
  ): Promise<readonly Result<Disclosure, ClearingRefusal>[]> {
    const still = await this.stillGood();
    if (!still.ok) return disclosures.map(() => still);
    let room = bytesMax;
    const cleared: Result<Disclosure, ClearingRefusal>[] = [];
    for (const pending of disclosures) {
      const bytes = bytesOf(pending.disclosure);
      const result = bytes > room ? tooLarge : await this.#pay(pending);
      if (result.ok) room -= bytes;
      cleared.push(result);
    }
    return cleared;
  }

  async #pay({ disclosure, concerned }: PendingDisclosure): Promise<Result<Disclosure, ClearingRefusal>> {
    const joined = concerned.join(disclosure);
    if (joined === undefined) return tooLarge;
    const spent = await this.spendRecords(disclosure, concerned);
    return spent.ok ? ok(joined) : spent;
  }

  /** Spends the cost of an answer: its records, and its further patients. */
  async spendRecords(disclosure: Disclosure, concerned: AdditionalPatients): Promise<Passed> {
    const isCounted = this.#who.grant.quotas.records !== undefined;
    return this.#spend(isCounted ? recordsSpent(disclosure) + concerned.due(disclosure) : 0, concerned);
  }

  /** Spends the cost of the patients whose rows decided an answer that shows no row. */
  async spendNames(concerned: AdditionalPatients): Promise<Passed> {
    return this.#spend(concerned.due(), concerned);
  }

  async #spend(many: number, concerned: AdditionalPatients): Promise<Passed> {
    const spent = await this.#once("records", many, async (due) => {
      const spends = recordSpends(this.#who, due);
      return spends.length === 0 ? nothingSpent : this.#limiter.spend(spends, this.#denied);
    });
    if (!spent.ok) return spent;
    concerned.pay();
    if (spent.value.length > 0)
      this.#budgets = [...this.#budgets.filter(({ policy }) => policy !== "records"), ...spent.value];
    return spent;
  }

  /**
   * Asks whether the client may still be answered: the origin may take longer than the lease lives. It
   * spends nothing. It throws when the guard or the registry does not answer.
   */
  async stillGood(): Promise<Passed> {
    const lease = await this.#limiter.renew(spendsOfRequest(this.#who)[0], this.#denied);
    if (!lease.ok) return lease;
    const stands = await this.#stillStands(this.#clock());
    if (!stands.ok || this.#consentsStand === undefined) return stands;
    return (await this.#consentsStand()) ? stands : err({ reason: "consent_changed" });
  }

  // The list of denied names has a token until it expires; after that only the clock refuses it.
  readonly #denied = (
    names: DeniedNames,
  ): PrincipalDenied | { readonly reason: "token_expired" } | undefined => {
    // A list of denials never changes: each new denial makes a new list (registry/revocation).
    if (names !== this.#clearedBy) {
      const denied =
        deniedPrincipal(names, this.#who) ??
        (this.#signedBy === undefined ? undefined : deniedSigner(names, this.#who.client, this.#signedBy));
      if (denied !== undefined) return denied;
      this.#clearedBy = names;
    }
    return this.#ended();
  };

  #ended(): { readonly reason: "token_expired" } | undefined {
    return this.#clock() < this.#who.tokenExpires ? undefined : { reason: "token_expired" };
  }
}

export const bytesOf = ({ windows }: Disclosure): number =>
  windows.reduce((sum, { body }) => sum + body.length, 0);
