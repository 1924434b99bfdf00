import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { startStack } from "../../sandbox/stack.ts";
import type { WorkerBundles } from "../../sandbox/runtime/worker-bundles.ts";
import { freePort } from "./free-port.ts";

// No two stacks share a key or a secret, because a test hands one stack a text that another stack sealed.
// Stacks share the certificate authorities and the certificates, because making them takes long.
const retained = new Set(["pki", "workers"]);
const retainedOfWorkers = new Set(["d1"]);

/**
 * Makes a state folder that a test's stack can start from: certificates and a migrated registry without
 * entries. Making them takes a third of a start; a copy takes some milliseconds.
 */
export async function makeTemplateState(state: string, workers: WorkerBundles): Promise<void> {
  const stack = await startStack({
    port: await freePort(),
    state,
    bundles: undefined,
    workers,
    say: () => {},
  });
  await stack.close();
  removeOthers(state, retained);
  removeOthers(join(state, "workers"), retainedOfWorkers);
  emptyRegistry(join(state, "workers", "d1"));
}

function removeOthers(folder: string, names: ReadonlySet<string>): void {
  for (const name of readdirSync(folder))
    if (!names.has(name)) rmSync(join(folder, name), { recursive: true });
}

/**
 * Leaves the tables and the list of migrations: an entry of the template would name an issuer at a port on
 * which no server listens.
 */
function emptyRegistry(folder: string): void {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    /\/[0-9a-f]{64}\.sqlite$/u.test(name),
  );
  const [file, ...others] = files;
  if (file === undefined || others.length > 0)
    throw new Error(`expected one registry, found ${files.length}`);
  const registry = new DatabaseSync(join(folder, file));
  registry.exec("PRAGMA foreign_keys = OFF");
  const tables = registry
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    .all();
  for (const { name } of tables) {
    if (name !== "d1_migrations" && name !== "_cf_METADATA") registry.exec(`DELETE FROM "${String(name)}"`);
  }
  registry.close();
}
