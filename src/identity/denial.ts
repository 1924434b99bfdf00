import * as z from "zod/mini";
import { instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Principal } from "./principal.ts";
import { purposePattern } from "./purpose.ts";

const text = z.string().check(z.minLength(1), z.maxLength(512));
const client = z.string().check(z.regex(/^[A-Za-z0-9._-]{1,64}$/u));
const sha256 = z.string().check(z.regex(/^[A-Za-z0-9_-]{43}$/u)); // in base64url
const time = z.pipe(
  z.int().check(z.minimum(0), z.maximum(253_402_300_799_999)),
  z.transform((milliseconds): Instant => instant(milliseconds)),
);

/**
 * Milliseconds by which a denial of the built-in issuer's own token outlasts the act at most: such a token
 * lives five minutes, and the clocks of the workers differ by a little.
 */
export const ownTokenMillisecondsMax = 600_000;

/** An operator's request to deny something, or to lift the denial. */
export const denialDocument = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("token"), issuer: text, id: text, until: time }),
  z.strictObject({ kind: z.literal("key"), issuer: text, keyId: text }),
  z.strictObject({ kind: z.literal("certificate"), x5t: sha256 }),
  z.strictObject({ kind: z.literal("proof_key"), jkt: sha256 }),
  z.strictObject({ kind: z.literal("client"), client }),
  z.strictObject({ kind: z.literal("agreement"), client, agreement: text }),
  z.strictObject({
    kind: z.literal("grant"),
    client,
    origin: text,
    purpose: z.string().check(z.regex(purposePattern)),
  }),
  z.strictObject({ kind: z.literal("policy"), digest: z.string().check(z.regex(/^sha256:[0-9a-f]{64}$/u)) }),
]);

/**
 * A thing that is refused from now on, whatever the registry has. A token is denied by its issuer and
 * `jti`, until its `exp`. A key is denied by its issuer and `kid` (for a client's own keys the client's id
 * stands in for the issuer). All denials but a token's last until lifted.
 */
export type Denial = z.output<typeof denialDocument>;

type DeniedThing = Exclude<Denial, { kind: "token" }> | Omit<Extract<Denial, { kind: "token" }>, "until">;

export interface DenialProblem {
  /** `denial_unregistered`: the field is well formed and names no entry of the registry. */
  readonly reason: "denial_malformed" | "denial_unregistered";
  /** The name of the field, never its value. */
  readonly field: string;
}

/** Reads an operator's request to deny or to lift. */
export function readDenial(value: unknown): Result<Denial, DenialProblem> {
  const read = denialDocument.safeParse(value);
  return read.success
    ? ok(read.data)
    : err({ reason: "denial_malformed", field: read.error.issues[0]?.path.join("/") ?? "" });
}

/**
 * The members that identify a denied thing, in the order of its name. The end of a denied token is none of them: it
 * only says how long the denial is stored.
 */
export const denialMembers = {
  token: ["issuer", "id"],
  key: ["issuer", "keyId"],
  certificate: ["x5t"],
  proof_key: ["jkt"],
  client: ["client"],
  agreement: ["client", "agreement"],
  grant: ["client", "origin", "purpose"],
  policy: ["digest"],
} as const satisfies Readonly<Record<Denial["kind"], readonly string[]>>;

/** The name of a denied thing: always the same text, however the request was written. */
export function denialName(denial: DeniedThing): string {
  const { kind, ...members }: { readonly kind: Denial["kind"] } & Readonly<Record<string, unknown>> = denial;
  return JSON.stringify([kind, ...denialMembers[kind].map((member) => members[member])]);
}

/**
 * The listeners of a denial: the guards of a single client, the guards of an issuer's clients, or all
 * guards.
 */
export function denialScope(denial: Denial): {
  readonly client: string | null;
  readonly issuer: string | null;
} {
  switch (denial.kind) {
    case "client":
    case "agreement":
    case "grant":
      return { client: denial.client, issuer: null };
    case "token":
    case "key":
      return { client: null, issuer: denial.issuer };
    case "certificate":
    case "proof_key":
    case "policy":
      return { client: null, issuer: null };
  }
}

/** The credentials in a request that prove its sender. */
export interface Credentials {
  readonly client: string;
  /** `x5t#S256` of the connection's certificate. */
  readonly certificate: string | undefined;
  /** The key that a DPoP proof was made with. */
  readonly proof: { readonly jkt: string } | undefined;
  /** `kid` of the key that proved the token or assertion, if it has a `kid`. */
  readonly keyId: string | undefined;
  /** The owner of that key. */
  readonly issuer: string;
}

export interface CredentialDenied {
  readonly reason: "client_denied" | "certificate_denied" | "proof_key_denied" | "key_denied";
}

/** The names of all live denials. */
export type DeniedNames = Pick<ReadonlySet<string>, "has" | "size">;

type NameOfCredential = readonly [name: string, reason: CredentialDenied["reason"]];

function namesOfCredentials({
  client,
  certificate: x5t,
  proof,
  keyId,
  issuer,
}: Credentials): readonly NameOfCredential[] {
  const names: NameOfCredential[] = [[denialName({ kind: "client", client }), "client_denied"]];
  if (x5t !== undefined) names.push([denialName({ kind: "certificate", x5t }), "certificate_denied"]);
  if (proof !== undefined)
    names.push([denialName({ kind: "proof_key", jkt: proof.jkt }), "proof_key_denied"]);
  if (keyId !== undefined) names.push([denialName({ kind: "key", issuer, keyId }), "key_denied"]);
  return names;
}

/** The first of the credentials that is denied. */
export function deniedCredential(
  denied: DeniedNames,
  credentials: Credentials,
): CredentialDenied | undefined {
  if (denied.size === 0) return undefined;
  for (const [name, reason] of namesOfCredentials(credentials)) if (denied.has(name)) return { reason };
  return undefined;
}

/** Requests are signed with the keys that sign the client's assertions, so a denied key signs nothing. */
export function deniedSigner(
  denied: DeniedNames,
  { id }: { readonly id: string },
  keyId: string | undefined,
): CredentialDenied | undefined {
  return deniedCredential(denied, {
    client: id,
    certificate: undefined,
    proof: undefined,
    keyId,
    issuer: id,
  });
}

export type PrincipalDenied =
  | CredentialDenied
  | { readonly reason: "token_denied" | "agreement_denied" | "grant_denied" | "policy_denied" };

type NameOf = readonly [name: string, reason: PrincipalDenied["reason"]];

/** The names of the denials that would concern a principal, made once for each principal. */
const namesOfPrincipals = new WeakMap<Principal, readonly NameOf[]>();

function namesOf(who: Principal): readonly NameOf[] {
  const client = who.client.id;
  const { origin, purpose, policyDigest } = who.grant;
  return [
    ...namesOfCredentials({ ...who, client }),
    [denialName({ kind: "token", issuer: who.issuer, id: who.tokenId }), "token_denied"],
    [denialName({ kind: "agreement", client, agreement: who.agreement }), "agreement_denied"],
    [denialName({ kind: "grant", client, origin, purpose }), "grant_denied"],
    [denialName({ kind: "policy", digest: policyDigest }), "policy_denied"],
  ];
}

/** The first denial that concerns a proven principal: its credentials first, then its permissions. */
export function deniedPrincipal(denied: DeniedNames, who: Principal): PrincipalDenied | undefined {
  if (denied.size === 0) return undefined;
  let names = namesOfPrincipals.get(who);
  if (names === undefined) namesOfPrincipals.set(who, (names = namesOf(who)));
  for (const [name, reason] of names) if (denied.has(name)) return { reason };
  return undefined;
}
