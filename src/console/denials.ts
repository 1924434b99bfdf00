import { denialMembers } from "#identity/denial";
import type { Denial } from "#identity/denial-document";
import type { Instant } from "#kernel/clock";
import { texts } from "./texts.ts";

/** A denial that lasts until it is lifted. */
export type LastingDenial = Exclude<Denial, { readonly kind: "token" }>;

/** A denial in force, by its name (`denialName`). */
export interface DenialInForce {
  readonly name: string;
  readonly until: Instant | null;
}

/** The most denials that a page asks for. With more, a thing without a denial among them may be denied all the same. */
export const denialsShownMax = 500;

const isKind = (kind: unknown): kind is LastingDenial["kind"] =>
  typeof kind === "string" && kind !== "token" && Object.hasOwn(denialMembers, kind);

/** The denied thing in a document of a denial. Undefined for a token, whose denial ends by itself. */
export function deniedThing(document: Readonly<Record<string, unknown>>): LastingDenial | undefined {
  const { kind } = document;
  if (!isKind(kind)) return undefined;
  const thing = denialMembers[kind].map((member) => [member, document[member]] as const);
  return thing.every(([, value]) => typeof value === "string")
    ? ({ kind, ...Object.fromEntries(thing) } as LastingDenial) // the table has the members of each kind
    : undefined;
}

/** The denied thing of a name. Undefined for a token, and for a kind of a later version. */
export function denialNamed(name: string): LastingDenial | undefined {
  const parts: unknown = JSON.parse(name);
  const [kind, ...values]: readonly unknown[] = Array.isArray(parts) ? parts : [];
  if (!isKind(kind)) return undefined;
  return deniedThing({ kind, ...Object.fromEntries(denialMembers[kind].map((key, i) => [key, values[i]])) });
}

/** True for the denial of a token: it ends by itself, and each sign-out makes one. */
export const isOfToken = (name: string): boolean => name.startsWith('["token"');

/** The client that a denial concerns, so far as its name, or `ownerOf` of a certificate, says it. */
export function deniedClient(
  denial: LastingDenial,
  ownerOf: (x5t: string) => string | undefined,
): string | undefined {
  switch (denial.kind) {
    case "client":
    case "agreement":
    case "grant":
    case "authority":
      return denial.client;
    case "certificate":
      return ownerOf(denial.x5t);
    case "key": // of a client's own key the id stands for the issuer
      return URL.canParse(denial.issuer) ? undefined : denial.issuer;
    case "proof_key":
    case "policy":
    case "person":
      return undefined;
  }
}

/** The denied thing in words. */
export function denialInWords(denial: LastingDenial, client: string | undefined): string {
  const { denied } = texts;
  switch (denial.kind) {
    case "client":
      return denied.client(denial.client);
    case "agreement":
      return denied.agreement(denial.agreement, denial.client);
    case "grant":
      return denied.grant(denial.client, denial.purpose, denial.origin);
    case "certificate":
      return denied.certificate(denial.x5t, client);
    case "key":
      return denied.key(denial.keyId, denial.issuer);
    case "proof_key":
      return denied.proofKey(denial.jkt);
    case "policy":
      return denied.policy(denial.digest);
    case "authority":
      return denied.authority(denial.authority, denial.client);
    case "person":
      return denied.person(denial.subject, denial.issuer);
  }
}
