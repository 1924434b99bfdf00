import { elementsOf, isResourceType, type ResourceType } from "#fhir/r4/elements";
import { isArray, isObject, property, readJson, readObject, textAt, type JsonObject } from "#fhir/json/json";
import { canonicalText } from "#fhir/json/same";
import type { OriginCapabilities } from "#fhir/ports";
import { utf8 } from "#kernel/encoded";
import { toBase64 } from "#ledger/bytes/base64";
import { sha256 } from "#ledger/bytes/hash";
import { createdIdPrefix } from "#policy/chosen-id";
import type { SentPlan } from "#gateway/change/plan/planned-write";
import type { DoneWrite } from "./send.ts";

/** The end of a write that was done: all that a key stores of it. */
export type StoredEnd = Pick<DoneWrite, "status" | "type" | "id" | "version">;

/**
 * How a write under a key is kept from being done twice.
 * `id`: a create is sent as an update of an id that is this request's alone. `identifier`: a create is sent
 * with `If-None-Exist` and an identifier that is this request's alone. `version`: the write is conditioned on
 * the version that was judged. `once`: the write is sent once; if its outcome is unknown, never again.
 */
export type Way =
  | { readonly way: "id"; readonly type: ResourceType }
  | { readonly way: "identifier" | "once" }
  | {
      readonly way: "version";
      readonly version: string;
      readonly type: ResourceType;
      readonly id: string;
      readonly status: 200 | 204;
      /** The digest of the content that is sent. A lost answer stays unknown without it. */
      readonly content?: string | undefined;
    };

/** A write of a request, as its key stores it before it is sent and after. */
export type StoredWrite =
  | Way
  /** It was not sent, or was certainly not done. */
  | { readonly way: "none" }
  | ({ readonly way: "done" } & StoredEnd);

export const storedText = (writes: readonly StoredWrite[]): string =>
  JSON.stringify(
    writes.map((write) => ("status" in write ? { ...write, status: `${write.status}` } : write)),
  );

/** Reads {@link storedText}; what is not understood counts as `once`. */
export function readStored(text: string): readonly StoredWrite[] {
  const read = readJson(utf8(text));
  return read.ok && isArray(read.value)
    ? read.value.map((item) => (isObject(item) ? readOne(item) : { way: "once" }))
    : [{ way: "once" }];
}

function readOne(item: JsonObject): StoredWrite {
  const [way, id, version] = ["way", "id", "version"].map((name) => textAt(item, name));
  const type = textAt(item, "type") ?? "";
  const status = statuses.find((known) => `${known}` === property(item, "status"));
  if (way === "none" || way === "identifier") return { way };
  if (!isResourceType(type)) return { way: "once" };
  if (way === "id") return { way, type };
  if (way === "done" && status !== undefined) return { way, status, type, id, version };
  return way === "version" &&
    version !== undefined &&
    id !== undefined &&
    status !== undefined &&
    status !== 201
    ? { way, version, type, id, status, content: textAt(item, "content") }
    : { way: "once" };
}

const statuses = [200, 201, 204] as const;

/**
 * The way of a write at an origin with these abilities.
 *
 * @param request the name of the request, whose fingerprint of the content confirms no guess at it.
 */
export function wayOf(
  { write, type, id }: SentPlan,
  { updateAsCreate, honoursIfNoneExist }: Pick<OriginCapabilities, "updateAsCreate" | "honoursIfNoneExist">,
  request: string,
): Way {
  if (write.version !== undefined && id !== undefined)
    return {
      way: "version",
      version: write.version,
      type,
      id,
      status: write.method === "DELETE" ? 204 : 200,
      content: write.body === undefined ? undefined : fingerprintOf(write.body, request),
    };
  if (write.method !== "POST") return { way: "once" };
  if (updateAsCreate === true) return { way: "id", type };
  return { way: honoursIfNoneExist === true && hasIdentifiers(type) ? "identifier" : "once" };
}

/** True if a write may be sent again as it was sent before. */
export const isSameWay = (now: Way, earlier: StoredWrite | undefined): boolean =>
  earlier !== undefined && now.way !== "once" && withoutContent(now) === withoutContent(earlier);

const withoutContent = (write: StoredWrite): string =>
  storedText([write.way === "version" ? { ...write, content: undefined } : write]);

/**
 * A fingerprint of what a resource says, in any order of its members: a server gives it a version, a time and facts of
 * its own in `meta`.
 */
export function fingerprintOf(body: Uint8Array | string, request: string): string | undefined {
  const resource = readObject(typeof body === "string" ? utf8(body) : body);
  if (resource === undefined) return undefined;
  const { meta, ...rest } = resource;
  const own = ownMeta.map((name) => (isObject(meta) ? property(meta, name) : undefined) ?? null);
  const said = canonicalText([rest, own]);
  return toBase64(sha256(utf8(`phylax keyed content v1\n${request}\n`), utf8(said)));
}

const ownMeta = ["profile", "security", "tag"];

const hasIdentifiers = (type: ResourceType): boolean => elementsOf(type).get("identifier")?.repeats === true;

/** The system of identifiers that the gateway gives to resources created under a key. */
const createdIdentifierSystem = "urn:phylax:created";

/** The id of a resource that is created as an update. */
export const createdId = (name: string): string => createdIdPrefix + name;

/** The name of a write, from the name of its request: the place in a bundle belongs to it. */
export const writeName = (request: string, index?: number): string =>
  index === undefined ? request.slice(0, 40) : `${request.slice(0, 40)}-${index}`;

/** The write as it is sent. `name`: the name of this write alone. */
export function sentBy({ way }: Way, name: string, planned: SentPlan): SentPlan {
  const { write, type } = planned;
  if (write.body === undefined) return planned;
  switch (way) {
    case "id": {
      const id = createdId(name);
      // The body of a create has no id.
      const body = `{"id":"${id}",${write.body.slice(1)}`;
      return { ...planned, id, write: { method: "PUT", path: `${type}/${id}`, body, ifNone: "same id" } };
    }
    case "identifier":
      return {
        ...planned,
        write: {
          ...write,
          body: withIdentifier(write.body, name),
          ifNone: { matches: `identifier=${encodeURIComponent(`${createdIdentifierSystem}|${name}`)}` },
        },
      };
    case "version":
    case "once":
      return planned;
  }
}

function withIdentifier(text: string, value: string): string {
  const resource = readObject(utf8(text));
  if (resource === undefined) throw new Error("a planned resource is no JSON object");
  const known = property(resource, "identifier");
  const identifier = [...(isArray(known) ? known : []), { system: createdIdentifierSystem, value }];
  return JSON.stringify({ ...resource, identifier });
}
