import type { Instant } from "#kernel/clock";
import type { AccountingCaller } from "./disclosures.ts";
import { accountingDutyOf } from "./exclusions.ts";
import { readLine } from "./line.ts";

/** A question for the recipients of disclosures about an individual. */
export interface HoldersRequest {
  readonly patient: string; // `<origin>/Patient/<id>`
  /** Further ids of the same individual, in the form of `patient`. */
  readonly united?: readonly string[];
  /** The last time, included. */
  readonly to: Instant;
  /** Disclosures without a resource of these types do not count. Empty: each disclosure counts. */
  readonly types: readonly string[];
  readonly caller: AccountingCaller;
}

/** A client that holds information about a patient. */
export interface Holder {
  readonly recipient: string; // client id
  readonly lastAt: number; // ms since 1970 of the last disclosure
  readonly purposes: readonly string[]; // v3 ActReason codes of all disclosures
}

/** Finds the holders of information among the accounting lines of a patient. */
export class HoldersInLines {
  readonly #types: ReadonlySet<string>;
  readonly #found = new Map<string, { lastAt: number; readonly purposes: Set<string> }>();

  constructor(types: readonly string[]) {
    this.#types = new Set(types);
  }

  add(content: Uint8Array): void {
    const line = readLine(content);
    if (line === undefined) throw new Error("accounting: a line that this version cannot read");
    const { recipient, at, purposes, counts } = line;
    const duty = accountingDutyOf(line, {});
    if (!duty.required && holdsNothing.has(duty.clause)) return;
    const types = Object.keys(counts);
    if (this.#types.size > 0 && !types.some((type) => this.#types.has(type) || containers.has(type))) return;
    const found = this.#found.get(recipient) ?? { lastAt: at, purposes: new Set() };
    found.lastAt = Math.max(found.lastAt, at);
    for (const purpose of purposes) found.purposes.add(purpose);
    this.#found.set(recipient, found);
  }

  /** In the order of their names. */
  get all(): readonly Holder[] {
    return [...this.#found]
      .map(([recipient, { lastAt, purposes }]) => ({ recipient, lastAt, purposes: [...purposes].toSorted() }))
      .toSorted((one, other) => (one.recipient < other.recipient ? -1 : 1));
  }
}

// The individual is informed as such; de-identified rows and those of a limited data set name nobody.
const holdsNothing: ReadonlySet<string> = new Set(["ii", "viii", "de-identified"]);
// A copy of a row may be inside.
const containers: ReadonlySet<string> = new Set(["Bundle", "Parameters", "Binary"]);
