import type { JsonObject } from "#fhir/json/json";
import { coding, concept } from "./codes.ts";
import type { AuditEvent } from "#audit/event";

type Way = "read" | "query" | "create" | "update" | "delete" | "disclosure" | "other";

/**
 * What an AuditEvent says of itself by the kind of thing it tells of. `client` and `server` are the agents'
 * types.
 */
export interface ProfileShape {
  readonly way: Way;
  /** Of IHE BALP 1.1: `IHE.BasicAudit.` and this, `Patient` before it when the event is a patient's. */
  readonly profile: string | undefined;
  readonly type: JsonObject;
  readonly subtype: readonly JsonObject[];
  readonly action: string;
  readonly client: JsonObject;
  readonly server: JsonObject;
  /** A user is the author of what is written, and the recipient of what is read. */
  readonly user: JsonObject;
}

const rest = coding("type", "rest");
const [source, destination] = [concept("dcm", "110153"), concept("dcm", "110152")];
const [recipient, author] = [concept("participation", "IRCP"), concept("participation", "AUT")];
const interaction = (code: string): JsonObject => coding("interaction", code);

/**
 * Reads flow to the client; in a query and a write it is the client that sends something: so the profiles
 * have it.
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

/** FHIR's restful-interaction for what records name; a conditional write is the write that it is. */
const interactions: Readonly<
  Record<string, readonly [Exclude<Way, "other" | "disclosure"> | undefined, string]>
> = {
  read: ["read", "read"],
  vread: ["read", "vread"],
  "search-type": ["query", "search-type"],
  "history-instance": [undefined, "history-instance"],
  "history-type": [undefined, "history-type"],
  $everything: [undefined, "operation"],
  $lastn: [undefined, "operation"],
  $disclosures: [undefined, "operation"],
  $validate: [undefined, "operation"],
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
 * Types of what has no profile (DICOM PS3.16 CID 400): who signs in, what operators change, and what workers
 * start with.
 */
const others: Readonly<Record<string, readonly [type: JsonObject, subtype: readonly JsonObject[]]>> = {
  token: [coding("dcm", "110114"), [coding("dcm", "110122")]],
  introspection: [coding("dcm", "110114"), []],
  revocation: [coding("dcm", "110114"), [coding("dcm", "110123")]],
  administration: [coding("dcm", "110113"), [coding("dcm", "110131")]],
  configuration: [coding("dcm", "110100"), [coding("dcm", "110120")]],
  refusals: [coding("dcm", "110113"), []],
};

/**
 * Which profile of IHE BALP an event is told by. They are for what was done: a refusal, an intent and what
 * went wrong have none. A disclosure that is neither a read nor a search (a history, an operation, the answer
 * to a write) is a privacy disclosure at its source.
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
  const [type, own] = others[event.kind] ?? [rest, subtype];
  const action = isWrite ? shapes[way].action : way === undefined ? "E" : shapes[way].action;
  return {
    way: "other",
    profile: undefined,
    type,
    subtype: own,
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
