import type { RevocationState } from "#registry/revocation";
import type { Clock } from "#kernel/clock";
import type { Spend } from "#limits/ports";
import { emptyLease, type IsolateLease } from "#limits/isolate-lease";

interface ClientEntry {
  revocations: RevocationState | undefined;
  readonly leases: Map<string, IsolateLease>; // by the quota: at most two for each of the client's grants
}

// A client's entry is about a KiB. When it is evicted, its remaining tokens count as spent, and its
// revocations are read again.
const clientsMax = 2_000;
// About 5 MB. A subject's lease includes no revocations, so it is stored separately.
const subjectsMax = 10_000;

/**
 * This isolate's leases on each client's quotas and its known revocations. The least recently used are
 * evicted first.
 */
export class IsolateLeases {
  readonly #clients = new Map<string, ClientEntry>();
  readonly #subjects = new Map<string, IsolateLease>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(spend: Spend): IsolateLease {
    const lease =
      spend.policy === "subject"
        ? this.#subjects.get(subjectOf(spend))
        : this.#clients.get(clientKeyOf(spend))?.leases.get(quotaOf(spend));
    return lease ?? emptyLease(spend.policy, this.#clock());
  }

  set(spend: Spend, lease: IsolateLease): void {
    if (spend.policy !== "subject")
      return void this.#touch(clientKeyOf(spend)).leases.set(quotaOf(spend), lease);
    const key = subjectOf(spend);
    this.#subjects.delete(key);
    this.#subjects.set(key, lease);
    if (this.#subjects.size > subjectsMax) this.#subjects.delete(this.#subjects.keys().next().value ?? "");
  }

  /** Evicted together with the leases, so that a lease never outlives the revocations that came with it. */
  revocations(spend: Spend): RevocationState | undefined {
    return this.#clients.get(clientKeyOf(spend))?.revocations;
  }

  setRevocations(spend: Spend, revocations: RevocationState): void {
    this.#touch(clientKeyOf(spend)).revocations = revocations;
  }

  #touch(key: string): ClientEntry {
    const entry = this.#clients.get(key) ?? {
      revocations: undefined,
      leases: new Map<string, IsolateLease>(),
    };
    this.#clients.delete(key);
    this.#clients.set(key, entry);
    if (this.#clients.size > clientsMax) this.#clients.delete(this.#clients.keys().next().value ?? "");
    return entry;
  }
}

/** Revocations for one issuer say nothing about another issuer's tokens. A client's id has no space. */
const clientKeyOf = ({ client, issuer }: Spend): string => `${client} ${issuer}`;

const quotaOf = ({ key, policy }: Spend): string => `${key} ${policy}`;

const subjectOf = ({ client, key, subject }: Spend & { readonly policy: "subject" }): string =>
  `${client} ${key} ${subject}`;
