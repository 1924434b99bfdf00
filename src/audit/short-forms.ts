import { fromHex } from "#ledger/bytes/bytes";
import { memo } from "#kernel/memo";
import type { AuditEvent, What, Who, Why } from "./event.ts";
import { isProvisionPath } from "./provision-path.ts";

/** The value of a short form in a record. */
export type Short = Uint8Array | number | true;

/** An event while its record is read: its fields are of any type until they are checked. */
type Unchecked = Readonly<Record<string, unknown>>;

/**
 * A shorter spelling of a text in a group of a record, under a key of its own, in place of the text's own
 * key. A text without this spelling stands as it is, as it did in the records of before.
 */
export interface ShortForm {
  readonly field: string;
  readonly key: number; // greater than each key of a text of the group
  /** Undefined: the text has no short form in this event. */
  readonly short: (text: string, event: AuditEvent) => Short | undefined;
  /** Undefined: no writer makes this value. */
  readonly long: (value: unknown, event: Unchecked) => string | undefined;
}

const HASH_BYTES = 32;
const TOKEN_ID_BYTES = 16;
const policyPrefix = "sha256:";
// 43 digits of base64url are 258 bits: the last two bits of 32 bytes are zeros.
const thumbprint = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;
const tokenId = /^[0-9a-f]{32}$/;
const policyDigest = /^sha256:[0-9a-f]{64}$/;

// The texts of a client come with each of its requests. The longest has 71 characters.
const KNOWN_MAX = 4_096;
const thumbprintBytes = memo(KNOWN_MAX, (text) => new Uint8Array(Buffer.from(text, "base64url")));
const policyBytes = memo(KNOWN_MAX, (text) => fromHex(text.slice(policyPrefix.length)));

const bytesOf = (value: unknown, length: number): Buffer | undefined =>
  value instanceof Uint8Array && value.length === length ? Buffer.from(value) : undefined;

// The value is the number of the form of a path.
const pathForms = { typeAndId: 1, type: 2 } as const;

/** The short forms of each group (docs/ledger-format.md), in the order of their keys. */
export const shortForms = {
  who: [
    {
      field: "certificate",
      key: 13,
      short: (text) => (thumbprint.test(text) ? thumbprintBytes(text) : undefined),
      long: (value) => bytesOf(value, HASH_BYTES)?.toString("base64url"),
    },
    {
      field: "tokenId",
      key: 14,
      short: (text) => (tokenId.test(text) ? fromHex(text) : undefined),
      long: (value) => bytesOf(value, TOKEN_ID_BYTES)?.toString("hex"),
    },
  ],
  what: [
    {
      field: "path",
      key: 8,
      short: (path, { what }) => pathForm(path, what),
      long: (value, { what }) => pathOf(value, what),
    },
  ],
  why: [
    {
      field: "policy",
      key: 5,
      short: (text) => (policyDigest.test(text) ? policyBytes(text) : undefined),
      long(value) {
        const hex = bytesOf(value, HASH_BYTES)?.toString("hex");
        return hex === undefined ? undefined : policyPrefix + hex;
      },
    },
    {
      field: "grant",
      key: 6,
      short: (grant, event) => (grant === grantOf(event) ? true : undefined),
      long: (value, event) => (value === true ? grantOf(event) : undefined),
    },
  ],
  decision: [
    {
      field: "by",
      key: 4,
      short(by) {
        const at = deciders.indexOf(by);
        return at < 0 ? undefined : at;
      },
      long: (value) => (typeof value === "number" ? deciders[value] : undefined),
    },
    {
      field: "place",
      key: 5,
      short: (place) => (isProvisionPath(place) ? indexesIn(place) : undefined),
      long: (value) => (value instanceof Uint8Array ? provisionAt(Buffer.from(value)) : undefined),
    },
  ],
} satisfies Readonly<Record<string, readonly ShortForm[]>>;
export type ShortGroup = keyof typeof shortForms;
export const shortGroups = Object.keys(shortForms) as ShortGroup[]; // the keys of the table above

/** The words of `decision.by` by their numbers: a new word is added at the end. */
const deciders: readonly string[] = ["consent", "label", "policy", "scope"];

/** The indexes of a path to a nested provision, two bytes each. */
function indexesIn(path: string): Uint8Array {
  const indexes = [...path.matchAll(/\d+/gu)].map(Number);
  const bytes = Buffer.alloc(indexes.length * 2);
  for (const [at, index] of indexes.entries()) bytes.writeUInt16BE(index, at * 2);
  return new Uint8Array(bytes);
}

/** The path of such indexes. Undefined: no writer makes these bytes. */
function provisionAt(bytes: Buffer): string | undefined {
  const count = bytes.length / 2;
  if (!Number.isInteger(count)) return undefined;
  const indexes = Array.from({ length: count }, (_, at) => bytes.readUInt16BE(at * 2));
  const path = ["provision", ...indexes.map((index) => `provision[${index}]`)].join(".");
  return isProvisionPath(path) ? path : undefined;
}

function pathForm(path: string, what: What | undefined): number | undefined {
  if (what?.type === undefined) return undefined;
  if (path === what.type) return pathForms.type;
  return path === `${what.type}/${what.id}` && what.id !== undefined ? pathForms.typeAndId : undefined;
}

function pathOf(form: unknown, group: unknown): string | undefined {
  const { type, id } = fieldsOf(group);
  if (typeof type !== "string") return undefined;
  if (form === pathForms.type) return type;
  return form === pathForms.typeAndId && typeof id === "string" ? `${type}/${id}` : undefined;
}

/** The name of a grant from its client, origin and purpose, as the gateway names it. */
function grantOf({ who, what, why }: Unchecked | AuditEvent): string | undefined {
  const [{ client }, { origin }, { purposes }] = [fieldsOf(who), fieldsOf(what), fieldsOf(why)];
  const purpose: unknown = Array.isArray(purposes) ? purposes[0] : undefined;
  return [client, origin, purpose].every((part) => typeof part === "string")
    ? `${String(client)}/${String(origin)}/${String(purpose)}`
    : undefined;
}

/** The fields of a group of unchecked form; none of a value that is no group. */
const fieldsOf = (group: unknown): { readonly [Field in keyof (Who & What & Why)]?: unknown } =>
  typeof group === "object" && group !== null ? group : {};
