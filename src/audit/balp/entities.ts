import { resourceId } from "#fhir/r4/names";
import type { JsonObject } from "#fhir/json/json";
import { toBase64 } from "#ledger/bytes/base64";
import { utf8 } from "#kernel/encoded";
import type { Receipt } from "#ledger/receipt";
import { coding, stringOf } from "./codes.ts";
import type { ProfileShape } from "./profile.ts";
import type { AuditEvent, Configuration, Counts, PatientCounts } from "#audit/event";

interface OnRecord {
  readonly way: ProfileShape["way"];
  readonly ledger: string;
  readonly receipt: string; // as the header has it
  readonly at: Receipt;
}

/** The request by its id, the patient, the requested or disclosed data, and the record in the ledger. */
export function entitiesOf(
  event: AuditEvent,
  patient: PatientCounts | undefined,
  place: OnRecord,
): readonly JsonObject[] {
  const transaction = {
    type: coding("balpEntityType", "XrequestId"),
    what: { identifier: { value: event.id } },
  };
  const named = patient?.patient.slice(patient.patient.indexOf("/") + 1); // `<origin>/Patient/<id>`
  const person: readonly JsonObject[] =
    named === undefined
      ? []
      : [{ type: coding("entityType", "1"), role: coding("role", "1"), what: { reference: named } }];
  const subject =
    event.configuration === undefined
      ? requestedData(event, place.way)
      : startedConfiguration(event.configuration);
  return [transaction, ...person, subject, record(event, patient, place)];
}

/** A worker's settings, each a detail: DICOM has them as an object in the role of a security resource. */
function startedConfiguration({ worker, digest, settings }: Configuration): JsonObject {
  const detail = settings.flatMap(([name, value]) => {
    const [type, valueString] = [stringOf(name), stringOf(value)];
    return type === undefined || valueString === undefined ? [] : [{ type, valueString }];
  });
  return {
    type: coding("entityType", "2"),
    role: coding("role", "13"),
    what: { identifier: { value: digest }, display: `configuration of ${worker}` },
    ...(detail.length === 0 ? {} : { detail }),
  };
}

/** The requested data: for a search the query, in base64, since a query may have any characters. */
function requestedData({ what }: AuditEvent, way: ProfileShape["way"]): JsonObject {
  const type = coding("entityType", "2");
  const parameters = (what?.parameters ?? []).map((pair) => pair.map(encodeURIComponent).join("=")).join("&");
  const path = what?.path ?? what?.type ?? "";
  const query = toBase64(utf8(parameters === "" ? path : `${path}?${parameters}`));
  if (way === "query")
    return { type, role: coding("role", "24"), query: query === "" ? toBase64(utf8("?")) : query };
  const details = query === "" ? [] : [{ type: "path", valueBase64Binary: query }];
  return {
    type,
    role: coding("role", "4"),
    what: target(what),
    ...(details.length === 0 ? {} : { detail: details }),
  };
}

/** A reference to a single resource; for several resources, or a resource without an id, its type. */
function target(what: AuditEvent["what"]): JsonObject {
  const { type, id } = what ?? {};
  const isType = type !== undefined && /^[A-Za-z]{1,64}$/u.test(type);
  if (isType && id !== undefined && resourceId.test(id)) return { reference: `${type}/${id}`, type };
  return isType ? { display: type, type } : { display: stringOf(what?.interaction) ?? "not known" };
}

/**
 * The record: its place in the ledger, and the facts without an element in BALP. Details are texts, each with
 * its name.
 */
function record(
  event: AuditEvent,
  patient: PatientCounts | undefined,
  { ledger, receipt, at }: OnRecord,
): JsonObject {
  const { who, what, why, form, withheld, window } = event;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["receipt", receipt],
    ["kind", event.kind],
    ["step", event.step === undefined ? undefined : String(event.step)],
    ["origin", what?.origin],
    ["policy", why?.policy],
    ["agreement", why?.agreement],
    ["form", form?.kind],
    ["data set", form?.dataSet],
    ["method", form?.method],
    ["grant", why?.grant],
    ["disclosed", countsOf(patient?.counts ?? event.counts)],
    ["state-of-residence", patient?.state],
    ["asked-beyond-reach", event.asked?.join(" ")],
    ["of-no-named-patient", event.unnamed.join(" ")],
    ["withheld-elements", withheld?.paths?.join(" ")],
    ["withheld-resources", withheld?.resources === undefined ? undefined : String(withheld.resources)],
    [
      "window",
      window?.number === undefined
        ? undefined
        : `${window.number}${window.complete === true ? ", the last" : ""}`,
    ],
    ["certificate", who?.certificate],
    ["token-id", who?.tokenId],
    ["key-id", who?.keyId],
    ["proof-key", who?.jkt],
    ["signed-by", who?.signedBy],
    ["unbound-token", who?.unbound === true ? "true" : undefined],
    ["token-patient", who?.patient],
    ["country", event.from?.country],
    ["trace-id", event.traceId],
    ["tally", event.tally && countsOf(event.tally)],
  ];
  const detail = facts.flatMap(([type, text]) => {
    const valueString = stringOf(text);
    return valueString === undefined ? [] : [{ type, valueString }];
  });
  // An origin line is a URL without its scheme (C2SP tlog-checkpoint); Identifier.system takes only an
  // absolute URI.
  const place = { identifier: { system: `https://${ledger}/${at.log}`, value: String(at.index) } };
  return { type: coding("entityType", "4"), what: place, name: "record in the ledger", detail };
}

const countsOf = (counts: Counts): string =>
  Object.entries(counts)
    .map(([type, count]) => `${type} ${count}`)
    .join(", ");
