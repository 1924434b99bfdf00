import type { JsonObject } from "#fhir/json/json";
import { formatReceipt, type Receipt } from "#ledger/receipt";
import { coding, concept, isCode, stringOf, unknownValue } from "./codes.ts";
import { entitiesOf } from "./entities.ts";
import { profileUrl, profileShapeOf, type ProfileShape } from "./profile.ts";
import type { AuditEvent, PatientCounts } from "#audit/event";

/** The position of an event, and the server that recorded it. */
export interface BalpPlace {
  readonly ledger: string; // the name of the ledger
  readonly receipt: Receipt; // of the event's first leaf
  /** The gateway's URL, if it is known. */
  readonly server?: string | undefined;
}

/**
 * An event as AuditEvents of FHIR R4 after IHE BALP 1.1 (https://profiles.ihe.net/ITI/BALP): one for each
 * patient of the event, as the profiles require, or a single AuditEvent for an event without patients. Each
 * states its place in the ledger; references to the disclosed resources are below the origin's base.
 */
export function auditEventsOf(event: AuditEvent, place: BalpPlace): readonly JsonObject[] {
  return event.patients.length === 0
    ? [auditEvent(event, undefined, 0, place)]
    : event.patients.map((patient, number) => auditEvent(event, patient, number + 1, place));
}

function auditEvent(
  event: AuditEvent,
  patient: PatientCounts | undefined,
  number: number,
  place: BalpPlace,
): JsonObject {
  const shape = profileShapeOf(event, patient !== undefined);
  const profile = profileUrl(shape, patient !== undefined);
  const { outcome, outcomeDesc } = outcomeOf(event);
  const purposes = (event.why?.purposes ?? []).filter(isCode).map((code) => concept("reason", code));
  const server = { identifier: { value: stringOf(place.server ?? place.ledger) ?? place.receipt.log } };
  return {
    resourceType: "AuditEvent",
    id: `${event.id}-${event.step ?? 0}-${number}`,
    ...(profile === undefined ? {} : { meta: { profile: [profile] } }),
    type: shape.type,
    ...(shape.subtype.length === 0 ? {} : { subtype: shape.subtype }),
    action: shape.action,
    recorded: new Date(event.at).toISOString(),
    outcome,
    ...(outcomeDesc === undefined ? {} : { outcomeDesc }),
    ...(purposes.length === 0 ? {} : { purposeOfEvent: purposes }),
    agent: agentsOf(event, shape, server, place.server),
    source: {
      site: stringOf(place.ledger) ?? place.receipt.log,
      observer: server,
      type: [coding("source", "4")],
    },
    entity: entitiesOf(event, patient, {
      way: shape.way,
      ledger: place.ledger,
      receipt: formatReceipt(place.receipt),
      at: place.receipt,
    }),
  };
}

/** FHIR R4 audit-event-outcome: 0 done, 4 refused or broken off, 8 a fault. */
function outcomeOf({ kind, outcome }: AuditEvent): {
  readonly outcome: string;
  readonly outcomeDesc: string | undefined;
} {
  const { status, reason } = outcome ?? {};
  const isFault = reason !== undefined && reason !== "write_repeated"; // a repeat under an Idempotency-Key
  const failed = isFault || kind === "refusals" || (status ?? 0) >= 400;
  const words = [status === undefined ? undefined : `HTTP ${status}`, reason].filter(
    (word) => word !== undefined,
  );
  return {
    outcome: failed ? ((status ?? 0) >= 500 ? "8" : "4") : "0",
    outcomeDesc: stringOf(words.join(", ")),
  };
}

function agentsOf(
  event: AuditEvent,
  shape: ProfileShape,
  server: JsonObject,
  url: string | undefined,
): readonly JsonObject[] {
  const { who, from, why, configuration } = event;
  if (configuration !== undefined)
    return [
      {
        type: concept("dcm", "110150"),
        who: { identifier: { value: configuration.worker } },
        requestor: false,
      },
    ];
  const person = stringOf(who?.user ?? who?.operator ?? who?.subject);
  const [client, address, policy] = [stringOf(who?.client), stringOf(from?.address), why?.policy];
  const purposeOfUse = (why?.purposes ?? []).filter(isCode).map((code) => concept("reason", code));
  const about = {
    ...(purposeOfUse.length === 0 ? {} : { purposeOfUse }),
    ...(policy !== undefined && isCode(policy) ? { policy: [policy] } : {}),
  };
  const clientAgent: JsonObject = {
    type: shape.client,
    who: client === undefined ? { display: "not known" } : { identifier: { value: client } },
    requestor: person === undefined,
    network: address === undefined ? { _address: unknownValue } : { address, type: "2" },
    ...(person === undefined ? about : {}),
  };
  const serverAgent: JsonObject = {
    type: shape.server,
    who: server,
    requestor: false,
    network: url === undefined ? { _address: unknownValue } : { address: url, type: "5" },
  };
  if (person === undefined) return [clientAgent, serverAgent];
  const issuer = stringOf(who?.issuer);
  const identifier =
    issuer !== undefined && !/\s/u.test(issuer) ? { system: issuer, value: person } : { value: person };
  return [clientAgent, serverAgent, { type: shape.user, who: { identifier }, requestor: true, ...about }];
}
