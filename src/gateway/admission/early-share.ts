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
 * Has a share of the client's quota ready, where none is at hand, by the time that the token is proven. Spends nothing and never
 * throws: whoever is refused after all leaves the share to the others. Only for a certificate that the client named in the
 * token has registered, so that nobody else keeps its guard busy; and not of a subject, who may be made up.
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
    // No JSON, or the registry does not answer: authentication says so.
  }
}

/** The quota by the token's still unproven word, where the usual claims tell. Decides nothing, so it is not read strictly. */
async function claimedSpend(
  { token, origin, purpose, at }: Parameters<typeof askEarly>[0],
  certificate: Certificate,
  { clients, publicUrl }: EarlySharePorts,
): Promise<Spend | undefined> {
  const payload = token?.reveal().split(".", 2)[1] ?? "";
  const claims: unknown = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
  if (typeof claims !== "object" || claims === null) return undefined;
  const { iss, client_id: id, purpose_of_use: purposes } = claims as Readonly<Record<string, unknown>>; // every object is one
  if (!isName(iss) || !isName(id)) return undefined;
  const client = await (iss === publicUrl ? clients.find(id) : clients.findExternal({ issuer: iss, id }));
  // The built-in issuer has no word on another issuer's client, whatever its id.
  if (client === undefined || (iss === publicUrl) !== (client.external === undefined)) return undefined;
  if (!admitClient(client, certificate, at).ok) return undefined;
  const grant = grantOf(client, origin, purpose ?? onlyOne(purposes));
  return grant && clientSpend({ client, grant, issuer: iss });
}

/** As long as a proven token's may be (identity/token): what nobody has proven is looked up, and the looking up is remembered. */
const isName = (claim: unknown): claim is string => typeof claim === "string" && claim.length <= 256;

const onlyOne = (purposes: unknown): unknown =>
  Array.isArray(purposes) && purposes.length === 1 ? purposes[0] : undefined;

function grantOf({ grants }: ClientRecord, origin: string, purpose: unknown): ClientGrant | undefined {
  const there = grants.filter((grant) => grant.origin === origin);
  return purpose === undefined && there.length === 1
    ? there[0]
    : there.find((grant) => grant.purpose === purpose);
}
