import { countsText } from "#audit/accounting/compose";
import type { AccountingLine } from "#audit/accounting/line";

/** A line of an accounting in FHIR, as far as the page shows it. */
export interface AccountingEvent {
  readonly resourceType: string;
  readonly recorded: string;
  readonly purposeOfEvent?: readonly { readonly coding?: readonly { readonly code?: string }[] }[];
  readonly agent?: readonly {
    readonly who?: { readonly identifier?: { readonly value?: string }; readonly display?: string };
    readonly requestor?: boolean;
  }[];
  readonly entity?: readonly {
    readonly what?: { readonly reference?: string };
    readonly detail?: readonly {
      readonly type: string;
      readonly valueString?: string;
      readonly valueBase64Binary?: string;
    }[];
  }[];
}

/** The facts of a line that the page shows. */
export interface EventFacts {
  /** `Patient/<id>`. */
  readonly record: string;
  /** As RFC 3339 writes it. */
  readonly recorded: string;
  /** v3 ActReason codes. */
  readonly purposes: readonly string[];
  /** Client id. */
  readonly recipient: string | undefined;
  /** The operator's name for the recipient: no proof covers it. */
  readonly name: string | undefined;
  /** `Observation 12, Patient 1`. */
  readonly disclosed: string | undefined;
  /** In base64; undefined while no checkpoint covers the line. */
  readonly proof: string | undefined;
}

/** The page shows these facts and checks these facts: nothing is read twice from the resource. */
export function factsOf({
  recorded,
  purposeOfEvent = [],
  agent = [],
  entity = [],
}: AccountingEvent): EventFacts {
  const recipient = agent.find(({ requestor }) => requestor === true)?.who;
  const details = entity.flatMap(({ detail = [] }) => detail);
  return {
    record: entity.find(({ what }) => what?.reference !== undefined)?.what?.reference ?? "",
    recorded,
    purposes: purposeOfEvent.map(({ coding }) => coding?.[0]?.code ?? ""),
    recipient: recipient?.identifier?.value,
    name: recipient?.display,
    disclosed: details.find(({ type }) => type === "disclosed")?.valueString,
    proof: details.find(({ type }) => type === "proof")?.valueBase64Binary,
  };
}

/** Answers whether the facts are those of the proven line: the time, purposes, recipient and resources. */
export const isAsProven = (
  { recorded, purposes, recipient, disclosed }: EventFacts,
  says: AccountingLine,
): boolean =>
  recorded === new Date(says.at).toISOString() &&
  recipient === says.recipient &&
  disclosed === countsText(says) &&
  purposes.length === says.purposes.length &&
  says.purposes.every((code, i) => purposes[i] === code);
