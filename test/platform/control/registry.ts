import { listDurableObjectIds, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { registryFile, withValue, type RegistryFile } from "../../support/registry-file.ts";

/** A registry with its tables and nothing in them. */
export async function emptyRegistry(): Promise<D1Database> {
  await withoutTables();
  // in one batch: a call for each migration took longer than most tests
  const statements = env.MIGRATIONS.flatMap(({ queries }) => queries);
  await env.REGISTRY.batch(statements.map((statement) => env.REGISTRY.prepare(statement)));
  return env.REGISTRY;
}

/**
 * A registry without tables; every Durable Object is empty too. workerd's `reset` skips an object that is not in
 * memory, and workerd evicts an object (D1 is an object too) after ten idle seconds. On a busy machine more time
 * passes between two files. Therefore every object is called before the reset.
 */
export async function withoutTables(): Promise<D1Database> {
  await env.REGISTRY.prepare("SELECT 1").run();
  await inMemory(env.REVOCATIONS);
  await inMemory(env.KEYED_REQUESTS);
  await inMemory(env.ROW_LEASES);
  await reset();
  const left = await env.REGISTRY.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'",
  ).all();
  if (left.results.length > 0) throw new Error("the reset left tables of an earlier test in the registry");
  return env.REGISTRY;
}

async function inMemory<T extends Rpc.DurableObjectBranded>(
  namespace: DurableObjectNamespace<T>,
): Promise<void> {
  for (const id of await listDurableObjectIds(namespace))
    await runInDurableObject(namespace.get(id), () => undefined);
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
