import { grantName, type NamedGrant } from "#audit/grant-name";
import type { AuditEvent } from "#audit/event";
import { dayMilliseconds } from "#kernel/clock";
import { UsedAccess } from "./used-access.ts";

/** The use of a grant in the period of a review. */
export interface GrantUse {
  readonly used: UsedAccess;
  /** Milliseconds since 1970: the first record of the ledger, or the grant's own beginning. Undefined: no record. */
  readonly since: number | undefined;
  /** The records reach back to the period's beginning, and the grant stood then: no use means that nobody used it. */
  readonly isCovered: boolean;
}

/** The use of grants in the last days, gathered record by record: the records themselves are not kept. */
export class ReviewedUse {
  readonly #from: number;
  readonly #used: ReadonlyMap<string, UsedAccess>;
  readonly #begun = new Map<string, number>();
  readonly #parts = new Map<string, string[]>();
  #firstRecord = Infinity;

  /** @param days more than 0, also a part of a day. @param now milliseconds since 1970. */
  constructor(grants: readonly NamedGrant[], days: number, now: number) {
    this.#from = now - days * dayMilliseconds;
    this.#used = new Map(grants.map((grant) => [grantName(grant), new UsedAccess()]));
  }

  add(event: AuditEvent): void {
    this.#firstRecord = Math.min(this.#firstRecord, event.at);
    this.#noteAddedGrants(event);
    if (event.at >= this.#from) this.#used.get(event.why?.grant ?? "")?.add(event);
  }

  of(grant: NamedGrant): GrantUse {
    const begun = this.#begun.get(`${grant.client} ${grant.origin} ${grant.purpose}`) ?? 0;
    const since = Math.max(this.#firstRecord, begun);
    return {
      used: this.#used.get(grantName(grant)) ?? new UsedAccess(),
      since: since === Infinity ? undefined : since,
      isCovered: since <= this.#from,
    };
  }

  /** The effect of a change of the registry, in as many records as it needs: `[{ kind, name, before, after }]`. */
  #noteAddedGrants({ id, at, document }: AuditEvent): void {
    if (document?.role !== "effect") return;
    const { text = "", part = 1, parts = 1 } = document;
    const known = this.#parts.get(id) ?? [];
    known[part - 1] = text;
    this.#parts.set(id, known);
    if (Object.keys(known).length < parts) return;
    this.#parts.delete(id);
    for (const { kind, name, before } of entriesIn(known.join("")))
      if (kind === "grant" && before === undefined)
        this.#begun.set(name, Math.max(at, this.#begun.get(name) ?? 0));
  }
}

/** Empty for a text of a further form: an effect of a later version. */
function entriesIn(text: string): readonly { kind: string; name: string; before?: unknown }[] {
  try {
    const entries: unknown = JSON.parse(text);
    return Array.isArray(entries) ? entries : [];
  } catch {
    return [];
  }
}
