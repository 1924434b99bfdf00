import { operationNames } from "#fhir/operations";
import type { AuditEvent } from "#audit/event";
import type { RequestEnd } from "./ends.ts";
import { labelOf, otherLabel, type Series, seriesOf, type Traffic } from "./instruments.ts";

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
export function trafficOf(events: readonly AuditEvent[], ends = endsOf(events)): Traffic {
  const traffic = new Map<Series, number>();
  const [first] = events;
  if (first !== undefined && (first.step ?? 0) === 0 && !ofNoRequest.has(first.kind))
    add(traffic, seriesOf("phylax_requests", [interactionOf(first)]), 1);
  for (const { count, reason, outcome, interaction, client, purpose } of ends) {
    if (reason !== undefined) add(traffic, seriesOf("phylax_refusals", [reason]), count);
    if (interaction === undefined) continue;
    add(traffic, seriesOf("phylax_outcomes", [interaction, outcome]), count);
    if (client !== undefined && purpose !== undefined)
      add(traffic, seriesOf("phylax_client_outcomes", [client, purpose, outcome]), count);
  }
  return traffic;
}

/** The ends that the records of an append are, of requests and of the writes and refusals of a batch. */
export function endsOf(events: readonly AuditEvent[]): readonly RequestEnd[] {
  return events.flatMap((event) => {
    const { at } = event;
    const ends: RequestEnd[] = Object.entries(event.tally ?? {}).map(([reason, count]) => {
      return { at, count, outcome: "refused", reason: labelOf(reason) };
    });
    const outcome = outcomeOf(event);
    if (outcome === undefined) return ends;
    const [purpose] = event.why?.purposes ?? [];
    const { client } = event.who ?? {};
    ends.push({
      at,
      count: 1,
      interaction: interactionOf(event),
      outcome,
      ...(outcome === "refused" && { reason: labelOf(event.outcome?.reason ?? otherLabel) }),
      // A claimed client has no purpose on record: only a proven one becomes a label.
      ...(client !== undefined &&
        purpose !== undefined && { client: labelOf(client), purpose: labelOf(purpose) }),
    });
    return ends;
  });
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
