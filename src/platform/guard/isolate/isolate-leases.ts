import type { RevocationState } from "#registry/revocation";
import type { Clock } from "#kernel/clock";
import { Newest } from "#kernel/memo";
import type { Spend } from "#limits/ports";
import { emptyLease, type IsolateLease } from "#limits/isolate-lease";

interface ClientEntry {
  revocations: RevocationState | undefined;
  readonly leases: Map<string, IsolateLease>; // by the quota: at most two for each of the client's grants
}

// A lease lives for less than five seconds, and an isolate serves about 2,000 requests a second at most: no
// more clients than this can come back while their lease lives. An entry with two quotas is about 1.7 KB. When
// it is evicted, its remaining tokens count as spent, and its revocations are read again.
const clientsMax = 10_000;
// Most denials concern the clients of an issuer or all clients. Their lists are shared, 12 KB for 100 names.
const [listsMax, listCharactersMax] = [256, 4_194_304];
// About 5 MB. A subject's lease includes no revocations, so it is stored separately.
const subjectsMax = 10_000;

/**
 * This isolate's leases on each client's quotas and its known revocations. The least recently used are
 * evicted first.
 */
export class IsolateLeases {
  readonly #clients = new Newest<ClientEntry>(clientsMax);
  readonly #subjects = new Newest<IsolateLease>(subjectsMax);
  readonly #clock: Clock;
  /** Lists of denials by their content: clients with the same denials share a list. */
  readonly #lists = new Newest<RevocationState["denied"]>(
    listsMax,
    listCharactersMax,
    (_, content) => content.length,
  );

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

  /**
   * Stores the next lease of a spend. Only {@link set}, which each call to the guard uses, makes a client the most
   * recently used.
   */
  update(spend: Spend, lease: IsolateLease): void {
    const known = spend.policy === "subject" ? this.#subjects : this.#clients.get(clientKeyOf(spend))?.leases;
    const key = spend.policy === "subject" ? subjectOf(spend) : quotaOf(spend);
    if (known?.has(key) === true) known.set(key, lease);
    else this.set(spend, lease);
  }

  set(spend: Spend, lease: IsolateLease): void {
    if (spend.policy === "subject") this.#subjects.set(subjectOf(spend), lease);
    else this.#touch(clientKeyOf(spend)).leases.set(quotaOf(spend), lease);
  }

  /** Evicted together with the leases, so that a lease never outlives the revocations that came with it. */
  revocations(spend: Spend): RevocationState | undefined {
    return this.#clients.get(clientKeyOf(spend))?.revocations;
  }

  setRevocations(spend: Spend, revocations: RevocationState): void {
    const entry = this.#touch(clientKeyOf(spend));
    const isKnown = entry.revocations?.denied === revocations.denied;
    entry.revocations = isKnown ? revocations : { ...revocations, denied: this.#shared(revocations.denied) };
  }

  #shared(denied: RevocationState["denied"]): RevocationState["denied"] {
    const content = JSON.stringify([...denied]);
    const known = this.#lists.get(content);
    if (known !== undefined) return known;
    this.#lists.set(content, denied);
    return denied;
  }

  #touch(key: string): ClientEntry {
    const entry = this.#clients.get(key) ?? {
      revocations: undefined,
      leases: new Map<string, IsolateLease>(),
    };
    this.#clients.set(key, entry);
    return entry;
  }
}

/** Revocations for one issuer say nothing about another issuer's tokens. A client's id has no space. */
const clientKeyOf = (spend: Spend): string => keysOf(spend).client;

const quotaOf = (spend: Spend): string => keysOf(spend).quota;

interface Keys {
  readonly client: string;
  readonly quota: string;
}

/** The requests of a remembered principal spend by the same object, so that its keys are made once. */
const keysOfSpends = new WeakMap<Spend, Keys>();

function keysOf(spend: Spend): Keys {
  let keys = keysOfSpends.get(spend);
  if (keys === undefined) {
    const { client, issuer, key, policy } = spend;
    keysOfSpends.set(spend, (keys = { client: `${client} ${issuer}`, quota: `${key} ${policy}` }));
  }
  return keys;
}

const subjectOf = ({ client, key, subject }: Spend & { readonly policy: "subject" }): string =>
  `${client} ${key} ${subject}`;
