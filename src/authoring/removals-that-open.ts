import { neverAssumed } from "#identity/purpose";
import { parseScopes } from "#identity/scopes";
import type { PlannedChange } from "#registry/plan";
import { grantKey, type ClientEntry, type GrantEntry, type RegistryState } from "#registry/state";

/** The entries before a change whose removal may open access. */
export interface RemovableEntries extends Pick<
  RegistryState,
  "certificates" | "certificateSubjects" | "issuers"
> {
  readonly grants: readonly GrantEntry[];
  readonly clients: ReadonlyMap<
    string,
    Pick<ClientEntry, "status" | "auth" | "issuer"> & Partial<Pick<ClientEntry, "unboundUntil" | "patient">>
  >;
}

/**
 * The access that a change opens by removals, in words. A client with several purposes or origins must name one of
 * them, the gateway asks no issuer about a token if several issuers are possible, and the unbound tokens of a client
 * with a certificate need the certificate. A removal may leave a single purpose, origin or issuer, or no certificate.
 */
export const removalsThatOpen = (
  changes: readonly PlannedChange[],
  there: RemovableEntries,
): readonly string[] => [
  ...singleOrigins(changes, there),
  ...fewerScopesOfPersons(changes, there),
  ...singlePurposes(changes, there),
  ...noCertificates(changes, there),
  ...singleIssuers(changes, there),
];

const removedNames = (
  changes: readonly PlannedChange[],
  wanted: PlannedChange["kind"],
): ReadonlySet<string> =>
  new Set(changes.flatMap(({ kind, name, after }) => (kind === wanted && after === undefined ? [name] : [])));

/**
 * The id of a patient or a user belongs to one origin. If a client has several origins, the id counts only where the
 * token names the origin. Each token of a client that is limited to a patient needs the patient's id.
 */
function singleOrigins(
  changes: readonly PlannedChange[],
  { grants, clients }: Pick<RemovableEntries, "grants" | "clients">,
): readonly string[] {
  const removed = removedNames(changes, "grant");
  return [...Map.groupBy(grants, ({ client }) => client)].flatMap(([client, ofClient]) => {
    const left = ofClient.filter((grant) => !removed.has(grantKey(grant)));
    const counts = (some: readonly GrantEntry[]) => new Set(some.map(({ origin }) => origin)).size;
    const scopes =
      clients.get(client)?.patient !== undefined
        ? "all scopes (each is limited to the patient)"
        : left.some((grant) => namesPersons(grant.scopes)) && "patient/ and user/ scopes";
    return counts(ofClient) > 1 && counts(left) === 1 && scopes !== false
      ? [`client ${client}: ${scopes} count, since one origin is left`]
      : [];
  });
}

/** An unreadable text counts as a scope of a person. */
function namesPersons(text: string): boolean {
  const scopes = parseScopes(text);
  return !scopes.ok || scopes.value.some(({ context }) => context !== "system");
}

/**
 * If a client has several origins and a token names no origin, a scope of a person makes the gateway refuse the whole
 * token. After the grant has lost that scope, the other scopes of the token count.
 */
function fewerScopesOfPersons(
  changes: readonly PlannedChange[],
  { grants }: Pick<RemovableEntries, "grants">,
): readonly string[] {
  const removed = removedNames(changes, "grant");
  const byKey = new Map(grants.map((grant) => [grantKey(grant), grant]));
  return changes.flatMap(({ kind, name, after }) => {
    const before = kind === "grant" ? byKey.get(name) : undefined;
    const left: unknown = after && Reflect.get(after, "scopes");
    if (before === undefined || typeof left !== "string") return [];
    const lost = before.scopes.split(" ").filter((scope) => !left.split(" ").includes(scope));
    const origins = new Set(
      grants.flatMap((grant) =>
        grant.client === before.client && !removed.has(grantKey(grant)) ? [grant.origin] : [],
      ),
    );
    return origins.size > 1 && lost.some(namesPersons)
      ? [`grant ${name}: tokens with a dropped patient/ or user/ scope count for the scopes that are left`]
      : [];
  });
}

/** A token without a purpose counts for the only purpose of its client at the origin. */
function singlePurposes(
  changes: readonly PlannedChange[],
  { grants, clients, issuers }: Pick<RemovableEntries, "grants" | "clients" | "issuers">,
): readonly string[] {
  const removed = removedNames(changes, "grant");
  const mayStateNone = (client: string) => {
    const { auth, issuer = "" } = clients.get(client) ?? {};
    const purpose = issuers.get(issuer)?.purpose;
    return auth === "external" && (purpose === undefined || "claim" in purpose);
  };
  return [...Map.groupBy(grants, ({ client, origin }) => `${client} ${origin}`)].flatMap(([, before]) => {
    const [left, ...others] = before.filter((grant) => !removed.has(grantKey(grant)));
    return before.length > 1 &&
      left !== undefined &&
      others.length === 0 &&
      !neverAssumed.has(left.purpose) &&
      mayStateNone(left.client)
      ? [
          `client ${left.client}: tokens without a purpose count for ${left.purpose} at ${left.origin}, since no other purpose is left`,
        ]
      : [];
  });
}

/** An unbound token needs a certificate on the connection only if the client has a registered certificate. */
function noCertificates(
  changes: readonly PlannedChange[],
  { clients, certificates, certificateSubjects }: RemovableEntries,
): readonly string[] {
  const removed = Map.groupBy(removedNames(changes, "certificate"), clientOf);
  return [...removed].flatMap(([id, names]) => {
    const client =
      changes.find(({ kind, name }) => kind === "client" && name === id)?.after ?? clients.get(id);
    const isRemoved = removedNames(changes, "client").has(id);
    const before = (certificates.get(id)?.length ?? 0) + (certificateSubjects.get(id)?.length ?? 0);
    const mayBeUnbound =
      client !== undefined &&
      Reflect.get(client, "unboundUntil") !== undefined &&
      Reflect.get(client, "status") !== "suspended";
    return !isRemoved && mayBeUnbound && names.length >= before
      ? [`client ${id}: unbound tokens count without a certificate, since none is left`]
      : [];
  });
}

const clientOf = (certificate: string): string => certificate.slice(0, certificate.indexOf(" "));

/** The gateway asks about an opaque token if the clients with the connection's certificate have a single issuer. */
function singleIssuers(
  changes: readonly PlannedChange[],
  { clients, certificates, issuers }: RemovableEntries,
): readonly string[] {
  const removed = removedNames(changes, "certificate");
  const thumbprints = new Set([...removed].map((name) => name.slice(name.indexOf(" ") + 1)));
  return [...thumbprints].flatMap((x5t) => {
    const holders = [...certificates].flatMap(([id, some]) =>
      some.some((each) => each.x5t === x5t) ? [id] : [],
    );
    const asked = (some: readonly string[]) =>
      new Set(
        some.flatMap((id) => {
          const issuer = clients.get(id)?.issuer;
          return issuer !== undefined && issuers.get(issuer)?.introspection !== undefined ? [issuer] : [];
        }),
      );
    const left = asked(holders.filter((id) => !removed.has(`${id} ${x5t}`)));
    return asked(holders).size > 1 && left.size === 1
      ? [
          `issuer ${[...left].join("")}: opaque tokens count with certificate ${x5t}, since no other issuer is left`,
        ]
      : [];
  });
}
