import { operationNames } from "#fhir/operations";
import type { JsonObject } from "#fhir/json/json";
import { coding, concept } from "./codes.ts";
import type { AuditEvent } from "#audit/event";

type Way = "read" | "query" | "create" | "update" | "delete" | "disclosure" | "other";

/** The parts of an AuditEvent that the kind of event decides. `client` and `server` are the agents' types. */
export interface ProfileShape {
  readonly way: Way;
  /**
   * The profile of IHE BALP 1.1: `IHE.BasicAudit.` and this, with `Patient` before it if the event names a
   * patient.
   */
  readonly profile: string | undefined;
  readonly type: JsonObject;
  readonly subtype: readonly JsonObject[];
  readonly action: string;
  readonly client: JsonObject;
  readonly server: JsonObject;
  /** A user is the author of written data, and the recipient of read data. */
  readonly user: JsonObject;
}

const rest = coding("type", "rest");
const [source, destination] = [concept("dcm", "110153"), concept("dcm", "110152")];
const [recipient, author] = [concept("participation", "IRCP"), concept("participation", "AUT")];
const interaction = (code: string): JsonObject => coding("interaction", code);

/**
 * In a read, data flows to the client; in a query and a write the client sends data: the profiles have it so.
 */
const shapes: Readonly<Record<Exclude<Way, "other">, Omit<ProfileShape, "way" | "subtype">>> = {
  read: { profile: "Read", type: rest, action: "R", client: destination, server: source, user: recipient },
  query: { profile: "Query", type: rest, action: "E", client: source, server: destination, user: recipient },
  create: { profile: "Create", type: rest, action: "C", client: source, server: destination, user: author },
  update: { profile: "Update", type: rest, action: "U", client: source, server: destination, user: author },
  delete: {
    profile: "Delete",
    type: rest,
    action: "D",
    client: concept("dcm", "110150"),
    server: concept("provenance", "custodian"),
    user: author,
  },
  disclosure: {
    profile: "PrivacyDisclosure.Source",
    type: coding("dcm", "110106"),
    action: "R",
    client: destination,
    server: source,
    user: recipient,
  },
};

/**
 * FHIR's restful-interaction for the interactions of records; a conditional write counts as its plain write.
 */
const interactions: Readonly<
  Record<string, readonly [Exclude<Way, "other" | "disclosure"> | undefined, string]>
> = {
  read: ["read", "read"],
  vread: ["read", "vread"],
  "search-type": ["query", "search-type"],
  "search-compartment": ["query", "search"],
  "search-system": ["query", "search-system"],
  "history-instance": [undefined, "history-instance"],
  "history-type": [undefined, "history-type"],
  ...Object.fromEntries(operationNames.map((name) => [`$${name}`, [undefined, "operation"] as const])),
  ...Object.fromEntries(
    ["$export", "$export-status", "$export-cancel", "$export-file", "$async"].map(
      (step) => [step, [undefined, "operation"] as const] as const,
    ),
  ),
  capabilities: [undefined, "capabilities"],
  batch: [undefined, "batch"],
  create: ["create", "create"],
  update: ["update", "update"],
  patch: ["update", "patch"],
  delete: ["delete", "delete"],
  "conditional-update": ["update", "update"],
  "conditional-patch": ["update", "patch"],
  "conditional-delete": ["delete", "delete"],
};

/**
 * Types of events without a profile (DICOM PS3.16 CID 400): sign-in, changes by operators, and start-up of
 * workers.
 */
const unprofiled: Readonly<Record<string, readonly [type: JsonObject, subtype: readonly JsonObject[]]>> = {
  token: [coding("dcm", "110114"), [coding("dcm", "110122")]],
  introspection: [coding("dcm", "110114"), []],
  revocation: [coding("dcm", "110114"), [coding("dcm", "110123")]],
  administration: [coding("dcm", "110113"), [coding("dcm", "110131")]],
  configuration: [coding("dcm", "110100"), [coding("dcm", "110120")]],
  refusals: [coding("dcm", "110113"), []],
};

/**
 * The IHE BALP profile of an event. The profiles are for completed actions: a refusal, an intent and a fault
 * have none. A disclosure that is neither a read nor a search (a history, an operation, the answer to a
 * write) is a privacy disclosure at its source.
 *
 * @param ofPatient whether the AuditEvent will name a patient.
 */
export function profileShapeOf(event: AuditEvent, ofPatient: boolean): ProfileShape {
  const [way, code] = interactions[event.what?.interaction ?? ""] ?? [undefined, undefined];
  const subtype = code === undefined ? [] : [interaction(code)];
  const { status = 0, reason } = event.outcome ?? {};
  const isDone = reason === undefined && (status === 0 || status < 400);
  if (event.kind === "disclosure" && isDone && (way === "read" || way === "query"))
    return { way, ...shapes[way], subtype };
  if (event.kind === "disclosure" && isDone && ofPatient)
    return {
      way: "disclosure",
      ...shapes.disclosure,
      subtype: [coding("lifecycle", "disclose"), ...subtype],
    };
  const isWrite = way === "create" || way === "update" || way === "delete";
  if (event.kind === "write" && isDone && isWrite) return { way, ...shapes[way], subtype };
  const [type, eventSubtype] = unprofiled[event.kind] ?? [rest, subtype];
  const action = isWrite ? shapes[way].action : way === undefined ? "E" : shapes[way].action;
  return {
    way: "other",
    profile: undefined,
    type,
    subtype: eventSubtype,
    action,
    client: destination,
    server: source,
    user: recipient,
  };
}

export function profileUrl({ profile, way }: ProfileShape, ofPatient: boolean): string | undefined {
  if (profile === undefined) return undefined;
  const name = ofPatient && way !== "disclosure" ? `Patient${profile}` : profile;
  return `https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.${name}`;
}
