import { operationNames } from "#fhir/operations";
import type { AuditEvent } from "#audit/event";
import { otherLabel, type Series, seriesOf, type Traffic } from "./instruments.ts";

/** Kinds of which each record has an interaction of FHIR. The further kinds count under their own name. */
const ofFhir: ReadonlySet<string> = new Set([
  "disclosure",
  "intent",
  "write",
  "aborted",
  "notice",
  "refusal",
] satisfies AuditEvent["kind"][]);

/** The interactions that gateway/record names. A closed list: no text of a request becomes a label. */
const interactions: ReadonlySet<string> = new Set([
  "read",
  "vread",
  "search-type",
  "search-system",
  "search-compartment",
  "history-type",
  "history-instance",
  "create",
  "update",
  "patch",
  "delete",
  "conditional-update",
  "conditional-patch",
  "conditional-delete",
  "batch",
  "transaction",
  "capabilities",
  ...operationNames.map((name) => `$${name}`),
]);

/** Kinds that no request makes. */
const ofNoRequest: ReadonlySet<string> = new Set(["configuration", "measurement", "refusals"]);

/**
 * The numbers that the records of an append add. A request is counted once, by its append of step 0; its end by the
 * record that ends it. Windows and the content of a write's answer end nothing.
 */
export function trafficOf(events: readonly AuditEvent[]): Traffic {
  const traffic = new Map<Series, number>();
  const [first] = events;
  if (first !== undefined && (first.step ?? 0) === 0 && !ofNoRequest.has(first.kind))
    add(traffic, seriesOf("phylax_requests", [interactionOf(first)]), 1);
  for (const event of events) {
    for (const [reason, n] of Object.entries(event.tally ?? {}))
      add(traffic, seriesOf("phylax_refusals", [reason]), n);
    const outcome = outcomeOf(event);
    if (outcome === undefined) continue;
    if (outcome === "refused")
      add(traffic, seriesOf("phylax_refusals", [event.outcome?.reason ?? otherLabel]), 1);
    add(traffic, seriesOf("phylax_outcomes", [interactionOf(event), outcome]), 1);
    const [purpose] = event.why?.purposes ?? [];
    // A claimed client has no purpose on record: only a proven one becomes a label.
    if (event.who?.client !== undefined && purpose !== undefined)
      add(traffic, seriesOf("phylax_client_outcomes", [event.who.client, purpose, outcome]), 1);
  }
  return traffic;
}

/** Adds the numbers of an append to a sum. */
export function addTraffic(sum: Map<Series, number>, more: Traffic): void {
  for (const [series, n] of more) add(sum, series, n);
}

function interactionOf({ kind, what }: AuditEvent): string {
  if (!ofFhir.has(kind)) return kind;
  const { interaction } = what ?? {};
  if (interaction === undefined) return "none";
  return interactions.has(interaction) ? interaction : otherLabel;
}

/** Undefined: the record ends nothing. */
function outcomeOf({ kind, step = 0, window, outcome }: AuditEvent): string | undefined {
  switch (kind) {
    case "disclosure":
      return (window === undefined ? step === 0 : window.complete === true) ? "disclosed" : undefined;
    case "write":
      return (outcome?.status ?? 500) < 300 ? "written" : "not-written";
    case "aborted":
      return "aborted";
    case "refusal":
      return "refused";
    case "notice":
    case "token":
    case "accounting":
      return "answered";
    case "introspection":
    case "revocation":
    case "administration":
      return outcome === undefined ? undefined : "answered";
    default:
      return undefined; // `intent`, and the kinds that no request makes
  }
}

const add = (sum: Map<Series, number>, series: Series, n: number): void =>
  void sum.set(series, (sum.get(series) ?? 0) + n);
