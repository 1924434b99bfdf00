import type { Certificate } from "#identity/certificate/certificate";
import { admitClient, type ClientGrant, type ClientRecord } from "#identity/client";
import type { ClientDirectory } from "#identity/ports";
import type { Limiter, Spend } from "#limits/ports";
import type { Call } from "./admit.ts";
import { clientSpend } from "./spends.ts";

export interface EarlySharePorts {
  readonly clients: ClientDirectory;
  readonly limiter: Pick<Limiter, "prepare">;
  /** The built-in issuer. */
  readonly publicUrl: string;
}

/**
 * Prepares a share of the client's quota while the token is proven, when the isolate has no share. It spends
 * nothing and never throws: a refused request leaves the share to later requests. The certificate must be
 * registered for the client that the token names, so that a stranger cannot load that client's guard. A
 * subject's quota is not prepared: the subject may be invented.
 */
export async function askEarly(
  call: Pick<Call, "token" | "origin" | "purpose" | "at">,
  certificate: Certificate,
  ports: EarlySharePorts,
): Promise<void> {
  try {
    const spend = await claimedSpend(call, certificate, ports);
    if (spend !== undefined) await ports.limiter.prepare(spend);
  } catch {
    // The claims are not JSON, or the registry does not answer: authentication reports it.
  }
}

/**
 * The quota that the unproven claims of the token name. It decides nothing, so the claims are not read
 * strictly.
 */
async function claimedSpend(
  { token, origin, purpose, at }: Parameters<typeof askEarly>[0],
  certificate: Certificate,
  { clients, publicUrl }: EarlySharePorts,
): Promise<Spend | undefined> {
  const payload = token?.reveal().split(".", 2)[1] ?? "";
  const claims: unknown = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
  if (typeof claims !== "object" || claims === null) return undefined;
  // every object is one
  const { iss, client_id: id, purpose_of_use: purposes } = claims as Readonly<Record<string, unknown>>;
  if (!isName(iss) || !isName(id)) return undefined;
  const client = await (iss === publicUrl ? clients.find(id) : clients.findExternal({ issuer: iss, id }));
  // The built-in issuer does not speak for a client of an external issuer, whatever its id.
  if (client === undefined || (iss === publicUrl) !== (client.external === undefined)) return undefined;
  if (!admitClient(client, certificate, at).ok) return undefined;
  const grant = grantOf(client, origin, purpose ?? onlyOne(purposes));
  return grant && clientSpend({ client, grant, issuer: iss });
}

/** The limit of a proven token (identity/token): the look-up of an unproven name is remembered. */
const isName = (claim: unknown): claim is string => typeof claim === "string" && claim.length <= 256;

const onlyOne = (purposes: unknown): unknown =>
  Array.isArray(purposes) && purposes.length === 1 ? purposes[0] : undefined;

function grantOf({ grants }: ClientRecord, origin: string, purpose: unknown): ClientGrant | undefined {
  const there = grants.filter((grant) => grant.origin === origin);
  return purpose === undefined && there.length === 1
    ? there[0]
    : there.find((grant) => grant.purpose === purpose);
}
