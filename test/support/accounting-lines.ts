import type { AuditEvent, Counts, PatientCounts } from "#audit/event";

/** The members of an accounting's AuditEvent that the law requires (45 CFR 164.528(b)(2)). */
export interface AccountedEvent {
  readonly recorded: string;
  readonly purposeOfEvent: readonly { readonly coding: readonly { readonly code: string }[] }[];
  readonly agent: readonly {
    readonly requestor: boolean;
    readonly who: { readonly identifier?: { readonly value: string } };
  }[];
  readonly entity: readonly {
    readonly what?: { readonly reference: string; readonly type?: string };
    readonly detail?: readonly {
      readonly type: string;
      readonly valueString?: string;
      readonly valueBase64Binary?: string;
    }[];
  }[];
}

/**
 * A disclosure's date, recipient, purpose and counts, as an opened record states them for one of its
 * patients.
 */
export const disclosureLine = ({ at, who, why }: AuditEvent, { counts }: PatientCounts): string =>
  lineText(at, who?.client, why?.purposes, counts);

/** The same line, read from the accounting. */
export function accountingLine({ recorded, purposeOfEvent, agent, entity }: AccountedEvent): string {
  const disclosed =
    entity.flatMap(({ detail = [] }) => detail).find(({ type }) => type === "disclosed")?.valueString ?? "";
  const counts =
    disclosed === "that nothing was found" ? [] : disclosed.split(", ").map((text) => text.split(" "));
  const codes = purposeOfEvent.flatMap(({ coding }) => coding.map(({ code }) => code));
  const client = agent.find(({ requestor }) => requestor)?.who.identifier?.value;
  return lineText(
    Date.parse(recorded),
    client,
    codes,
    Object.fromEntries(counts.map(([type = "", n]) => [type, Number(n)])),
  );
}

function lineText(
  at: number,
  client: string | undefined,
  purposes: readonly string[] | undefined,
  counts: Counts,
): string {
  const disclosed = Object.entries(counts).map(([type, n]) => `${type} ${n}`);
  return [new Date(at).toISOString(), client, purposes?.join(), disclosed.toSorted().join(", ")].join(" | ");
}
