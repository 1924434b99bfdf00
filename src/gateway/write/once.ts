import { elementsOf, type ResourceType } from "#fhir/r4/elements";
import { isArray, isObject, property, readJson } from "#fhir/json/json";
import type { OriginCapabilities } from "#fhir/ports";
import { utf8 } from "#kernel/encoded";
import type { PlannedWrite } from "./planned-write.ts";

type Sent = Extract<PlannedWrite, { kind: "send" }>;

/**
 * How a write under a key is kept from being done twice.
 * `id`: a create is sent as an update of an id that is this request's alone. `identifier`: a create is sent
 * with `If-None-Exist` and an identifier that is this request's alone. `version`: the write is conditioned on
 * the version that was judged. `once`: the write is sent once; if its outcome is unknown, never again.
 */
export type Way =
  | { readonly way: "id" | "identifier" | "once" }
  | { readonly way: "version"; readonly version: string };

/** The ways of the writes of a request, as the key stores them before they are sent. */
export const waysText = (ways: readonly Way[]): string => JSON.stringify(ways);

/** Reads {@link waysText}; an unknown way counts as `once`. */
export function readWays(text: string): readonly Way[] {
  const read = readJson(utf8(text));
  if (!read.ok || !isArray(read.value)) return [];
  return read.value.map((item): Way => {
    const [way, version] = isObject(item) ? [property(item, "way"), property(item, "version")] : [];
    if (way === "version" && typeof version === "string") return { way, version };
    return { way: way === "id" || way === "identifier" ? way : "once" };
  });
}

/** The way of a write at an origin with these abilities. */
export function wayOf(
  { write, type }: Sent,
  { updateAsCreate, honoursIfNoneExist }: Pick<OriginCapabilities, "updateAsCreate" | "honoursIfNoneExist">,
): Way {
  if (write.version !== undefined) return { way: "version", version: write.version };
  if (write.method !== "POST") return { way: "once" };
  if (updateAsCreate === true) return { way: "id" };
  return { way: honoursIfNoneExist === true && hasIdentifiers(type) ? "identifier" : "once" };
}

const hasIdentifiers = (type: ResourceType): boolean => elementsOf(type).get("identifier")?.repeats === true;

/** The system of identifiers that the gateway gives to resources created under a key. */
export const createdIdentifierSystem = "urn:phylax:created";

/** The id of a resource that is created as an update, from the name of its request. */
export const createdId = (name: string): string => `w-${name.slice(0, 40)}`;

/** The write as it is sent. `name`: the name of its request alone. */
export function sentBy({ way }: Way, name: string, planned: Sent): Sent {
  const { write, type } = planned;
  if (write.body === undefined) return planned;
  switch (way) {
    case "id": {
      const id = createdId(name);
      // The body of a create has no id.
      const body = `{"id":"${id}",${write.body.slice(1)}`;
      return { ...planned, id, write: { method: "PUT", path: `${type}/${id}`, body, ifNone: "same id" } };
    }
    case "identifier": {
      const value = name.slice(0, 40);
      return {
        ...planned,
        write: {
          ...write,
          body: withIdentifier(write.body, value),
          ifNone: { matches: `identifier=${encodeURIComponent(`${createdIdentifierSystem}|${value}`)}` },
        },
      };
    }
    case "version":
    case "once":
      return planned;
  }
}

function withIdentifier(text: string, value: string): string {
  const read = readJson(utf8(text));
  if (!read.ok || !isObject(read.value)) throw new Error("a planned resource is no JSON object");
  const known = property(read.value, "identifier");
  const identifier = [...(isArray(known) ? known : []), { system: createdIdentifierSystem, value }];
  return JSON.stringify({ ...read.value, identifier });
}
