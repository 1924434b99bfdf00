import { instant } from "#kernel/clock";
import { Newest } from "#kernel/memo";
import { noLabels } from "#policy/labels";
import {
  factsAsked,
  isAnswered,
  soughtBy,
  timesAsked,
  type AskedFacts,
  type AskedTimes,
} from "./asked-facts.ts";
import type { Provision, ProvisionFrame } from "./consent.ts";
import {
  decideByConsents,
  type ConsentDecision,
  type ConsentPolicy,
  type FiledConsent,
} from "./decide-by-consents.ts";
import { mayConcern, type ConsentRequest } from "./judge-consent.ts";
import type { ConsentRowFacts } from "./row-facts.ts";
import { changesOf } from "./time-span.ts";
import type { Sought } from "#fhir/json/facts";

/** The names, the purpose and the time of a request, by which Consents are sifted. */
type SiftedBy = Omit<ConsentRequest, "isByLabel" | "action">;

/** A decision, and its cost for the row. */
interface RememberedDecision {
  readonly decision: ConsentDecision;
  readonly units: number;
}

// Most rows are of some ten kinds for a patient and a purpose. A decision takes some 300 bytes with its name.
const remembered = new Newest<RememberedDecision>(4_096);
let sets = 0;

/** The Consents of a patient for the requests with one purpose and the same actors, prepared once for all their rows. */
export class KnownConsents {
  /** The Consents as the copy of the isolate lists them. */
  readonly filed: readonly FiledConsent[];
  readonly inForce: readonly FiledConsent[];
  /** The Consents in force that may decide about a row of the requests. */
  readonly judging: readonly FiledConsent[];
  /** The statements that follow the disputed rows of the patient. */
  readonly stating: readonly FiledConsent[];
  readonly asked: readonly AskedFacts[];
  readonly times: AskedTimes | undefined;
  readonly #sought: readonly [alone: Sought | undefined, withLabels: Sought | undefined];
  readonly #number = (sets += 1);

  constructor(filed: readonly FiledConsent[], request: SiftedBy) {
    this.filed = filed;
    this.inForce = filed.filter(({ rules }) => rules.isActive);
    this.judging = this.inForce.filter(({ rules }) => mayConcern(rules, request));
    this.stating = this.inForce.filter(({ rules }) => rules.statement !== undefined);
    this.asked = [...new Set([...this.judging, ...this.stating].map(({ rules }) => factsAsked(rules)))];
    this.times = timesAsked(this.asked);
    this.#sought = [soughtBy(this.asked, false), soughtBy(this.asked, true)];
  }

  /** See {@link soughtBy}. */
  sought(labels: boolean): Sought | undefined {
    return this.#sought[labels ? 1 : 0];
  }

  /** Answers whether the facts of a row answer the questions of all Consents. */
  areAnsweredBy({ captured }: Pick<ConsentRowFacts, "captured">): boolean {
    if (captured === undefined) return true;
    const { lacks } = captured;
    // Most answers have rows of one patient, whose texts alone were sought.
    const isOfThese = lacks !== undefined && this.#sought.includes(lacks);
    return isOfThese || this.asked.every((each) => isAnswered(each, lacks));
  }

  /** @param request a request by which the Consents were sifted. */
  decide(request: ConsentRequest, row: ConsentRowFacts, policy: ConsentPolicy): ConsentDecision {
    const kind = this.#kindOf(row);
    if (kind === undefined) return decideByConsents(this.judging, request, row, policy);
    const { action, isByLabel } = request;
    const { base, combining, generalOpens } = policy;
    const name = `${this.#number} ${kind} ${action} ${isByLabel === true} ${base} ${combining} ${generalOpens?.name}`;
    const known = remembered.get(name);
    if (known !== undefined) {
      row.work.spend(known.units);
      return known.decision;
    }
    const { spent } = row.work;
    const decision = decideByConsents(this.judging, request, row, policy);
    remembered.set(name, { decision, units: row.work.spent - spent });
    return decision;
  }

  /**
   * The kind of a row: the Consents decide alike about rows of one type, without a label and without any sought text,
   * with times between the same bounds. Undefined: the row has a label or a sought text.
   */
  #kindOf({ captured, labels, time, type, authors }: ConsentRowFacts): string | undefined {
    if (captured === undefined || labels !== noLabels || !this.areAnsweredBy({ captured })) return undefined;
    const { bounds } = this.times ?? {};
    const lies = bounds === undefined ? 0 : time === undefined ? "at no time" : bounds.classOf(time);
    return lies === -1 ? undefined : `${type} ${authors.hasUnknown} ${lies}`;
  }
}

const none: ReadonlySet<string> = new Set();
const nobody = { references: none, identifiers: none };
export const noConsents: KnownConsents = new KnownConsents([], {
  recipient: nobody,
  holder: nobody,
  purpose: "",
  at: instant(0),
});

/** The names of a request for Consents that read its actors, and for Consents that do not. */
export class NamesOfRequest {
  readonly request: SiftedBy;
  readonly #names: (string | undefined)[] = [];

  constructor(request: SiftedBy) {
    this.request = request;
  }

  /** Names all that {@link mayConcern} and the frames of provisions read of the request, but its time. */
  name(readsActors: boolean): string {
    return (this.#names[readsActors ? 1 : 0] ??= this.#make(readsActors));
  }

  #make(readsActors: boolean): string {
    const { recipient, holder, purpose, api } = this.request;
    const parties = (readsActors ? [recipient, holder] : []).map(
      ({ references, identifiers, complete = none, areNamesRead }) => [
        areNamesRead,
        [references, identifiers, complete].map((names) => Array.from(names)),
      ],
    );
    return JSON.stringify([purpose, api, parties]);
  }
}

interface Sifted {
  /** The instants at which a period of the Consents begins or ends. */
  readonly changes: readonly number[];
  readonly readsActors: boolean;
  readonly byRequest: Newest<KnownConsents>;
}

// The copies of an isolate have the same list for each request until a Consent of the patient changes.
const sifted = new WeakMap<readonly FiledConsent[], Sifted>();
const requestsMax = 8;

export function knownConsents(filed: readonly FiledConsent[], names: NamesOfRequest): KnownConsents {
  if (filed.length === 0) return noConsents;
  let found = sifted.get(filed);
  if (found === undefined) sifted.set(filed, (found = siftedBy(filed)));
  const { changes, readsActors, byRequest } = found;
  const { request } = names;
  const name = `${changes.filter((change) => change <= request.at).length} ${names.name(readsActors)}`;
  let known = byRequest.get(name);
  if (known === undefined) byRequest.set(name, (known = new KnownConsents(filed, request)));
  return known;
}

function siftedBy(filed: readonly FiledConsent[]): Sifted {
  const frames = filed.flatMap(({ rules }) => rules.readings.flatMap(({ root }) => framesOf(root)));
  return {
    changes: frames.flatMap(({ period }) => (period ? changesOf(period) : [])),
    readsActors: frames.some(({ recipients, holders }) => recipients !== undefined || holders !== undefined),
    byRequest: new Newest(requestsMax),
  };
}

const framesOf = ({ frame, exceptions }: Provision): readonly ProvisionFrame[] => [
  frame,
  ...exceptions.flatMap(framesOf),
];
