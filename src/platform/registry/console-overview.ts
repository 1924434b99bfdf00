import { and, eq, isNotNull } from "drizzle-orm";
import type { RegistryEnd } from "#registry/end";
import { drizzled, type RegistrySql } from "./registry-sql.ts";
import { agreements, certificates, clients } from "./schema.ts";

/**
 * The known ends of agreements and certificates of active clients, the first first. A certificate that was
 * registered by its thumbprint alone has no known end. Throws D1's errors.
 */
export async function registryEnds(registry: RegistrySql): Promise<readonly RegistryEnd[]> {
  const db = drizzled(registry);
  const [ofAgreements, ofCertificates] = await db.batch([
    db
      .select({ client: agreements.client, name: agreements.id, ends: agreements.ends })
      .from(agreements)
      .innerJoin(clients, eq(agreements.client, clients.id))
      .where(eq(clients.status, "active")),
    db
      .select({ client: certificates.client, name: certificates.x5t, ends: certificates.notAfter })
      .from(certificates)
      .innerJoin(clients, eq(certificates.client, clients.id))
      .where(and(eq(clients.status, "active"), isNotNull(certificates.notAfter))),
  ]);
  return [
    ...ofAgreements.map(({ client, name, ends }): RegistryEnd => ({ kind: "agreement", client, name, ends })),
    ...ofCertificates.flatMap(({ client, name, ends }): RegistryEnd[] =>
      ends === null ? [] : [{ kind: "certificate", client, name, ends }],
    ),
  ].sort((left, right) => left.ends - right.ends);
}
