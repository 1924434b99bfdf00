import type { Denial } from "./denial-document.ts";
import type { Principal } from "./principal.ts";

type DeniedThing = Exclude<Denial, { kind: "token" }> | Omit<Extract<Denial, { kind: "token" }>, "until">;

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
  authority: ["client", "authority"],
  person: ["issuer", "subject"],
} as const satisfies Readonly<Record<Denial["kind"], readonly string[]>>;

/** The name of a denied thing: always the same text, however the request was written. */
export function denialName(denial: DeniedThing): string {
  const { kind, ...members }: { readonly kind: Denial["kind"] } & Readonly<Record<string, unknown>> = denial;
  return JSON.stringify([kind, ...denialMembers[kind].map((member) => members[member])]);
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
  | { readonly reason: "token_denied" | "person_denied" | "authority_denied" }
  | { readonly reason: "agreement_denied" | "grant_denied" | "policy_denied" };

type NameOf = readonly [name: string, reason: PrincipalDenied["reason"]];

/** The names of the denials that would concern a principal, made once for each principal. */
const namesOfPrincipals = new WeakMap<Principal, readonly NameOf[]>();

function namesOf(who: Principal): readonly NameOf[] {
  const client = who.client.id;
  const { issuer, subject, authority } = who;
  const { origin, purpose, policyDigest } = who.grant;
  return [
    ...namesOfCredentials({ ...who, client }),
    [denialName({ kind: "token", issuer, id: who.tokenId }), "token_denied"],
    [denialName({ kind: "person", issuer, subject }), "person_denied"],
    ...(authority === undefined
      ? []
      : [[denialName({ kind: "authority", client, authority }), "authority_denied"] as const]),
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
