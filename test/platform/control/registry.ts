import { applyD1Migrations, reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { registryFile, withValue, type RegistryFile } from "../../support/registry-file.ts";

/** A registry with its tables and nothing in them. */
export async function emptyRegistry(): Promise<D1Database> {
  await reset();
  await applyD1Migrations(env.REGISTRY, env.MIGRATIONS);
  return env.REGISTRY;
}

/** The sample file with a valid certificate. */
export async function sampleFile(): Promise<RegistryFile> {
  return withValue(await registryFile(), "/clients/0/certificates", [env.CERTIFICATE.pem]);
}

const tables = [
  "issuers",
  "clients",
  "certificates",
  "certificate_subjects",
  "agreements",
  "agreement_purposes",
  "policies",
  "policy_purposes",
  "grants",
  "origins",
];

/** All rows of the registry, to compare before and after. */
export async function everything(registry: D1Database): Promise<unknown> {
  const answers = await registry.batch(
    tables.map((table) => registry.prepare(`SELECT * FROM ${table} ORDER BY 1, 2`)),
  );
  return answers.map(({ results }) => results);
}
