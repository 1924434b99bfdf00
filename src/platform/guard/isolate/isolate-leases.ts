import type { Heard } from "#registry/revocation";
import type { Clock } from "#kernel/clock";
import type { Spend } from "#limits/ports";
import { emptyPurse, type Purse } from "#limits/purse";

interface Holding {
  heard: Heard | undefined;
  readonly purses: Map<string, Purse>; // by the quota: two at most for each of the client's grants
}

// A client's holding is a KiB or so. What one that is pushed out held counts as spent, and what it had heard is asked for again.
const clientsMax = 2_000;
// Some 5 MB. A subject's purse tells nothing of what is revoked, so it goes alone.
const subjectsMax = 10_000;

/** What this isolate holds of each client's quotas and has heard of its revocations, the least lately used pushed out first. */
export class Purses {
  readonly #holdings = new Map<string, Holding>();
  readonly #subjects = new Map<string, Purse>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(spend: Spend): Purse {
    const purse =
      spend.policy === "subject"
        ? this.#subjects.get(subjectOf(spend))
        : this.#holdings.get(holder(spend))?.purses.get(quotaOf(spend));
    return purse ?? emptyPurse(spend.policy, this.#clock());
  }

  set(spend: Spend, purse: Purse): void {
    if (spend.policy !== "subject") return void this.#touch(holder(spend)).purses.set(quotaOf(spend), purse);
    const key = subjectOf(spend);
    this.#subjects.delete(key);
    this.#subjects.set(key, purse);
    if (this.#subjects.size > subjectsMax) this.#subjects.delete(this.#subjects.keys().next().value ?? "");
  }

  /** Pushed out together with the purses, so that a lease never outlives what came with it. */
  heard(spend: Spend): Heard | undefined {
    return this.#holdings.get(holder(spend))?.heard;
  }

  setHeard(spend: Spend, heard: Heard): void {
    this.#touch(holder(spend)).heard = heard;
  }

  #touch(key: string): Holding {
    const holding = this.#holdings.get(key) ?? { heard: undefined, purses: new Map<string, Purse>() };
    this.#holdings.delete(key);
    this.#holdings.set(key, holding);
    if (this.#holdings.size > clientsMax) this.#holdings.delete(this.#holdings.keys().next().value ?? "");
    return holding;
  }
}

/** What was heard for one issuer says nothing of another's tokens. A client's id has no space. */
const holder = ({ client, issuer }: Spend): string => `${client} ${issuer}`;

const quotaOf = ({ key, policy }: Spend): string => `${key} ${policy}`;

const subjectOf = ({ client, key, subject }: Spend & { readonly policy: "subject" }): string =>
  `${client} ${key} ${subject}`;
