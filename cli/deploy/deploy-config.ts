import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { readEnvironment } from "./environment.ts";
import { configFile, configsOf } from "./worker-configs.ts";
import { placeholdersOf } from "./checks.ts";
import { complain, giveResult, say } from "../output.ts";
import { readNamedCall } from "../read-call.ts";

export const repository = join(import.meta.dirname, "../..");

/** The folder of an environment's configurations: next to its file, with the environment's name. */
export const folderOf = (file: string, environment: string): string =>
  join(dirname(resolve(file)), environment);

/**
 * Writes the configuration of each worker from the file of an environment, so that no shared value is typed
 * twice. The next deployment uses them: `wrangler deploy -c FILE`. Returns 1 if the file still has a placeholder.
 */
export async function deployConfig(args: readonly string[]): Promise<number> {
  const { name: file } = readNamedCall(args, {});
  const deployment = readEnvironment(file);
  const folder = folderOf(file, deployment.environment);
  mkdirSync(folder, { recursive: true });
  const files: Record<string, string> = {};
  for (const [worker, config] of await configsOf(deployment, repository, folder)) {
    const written = configFile(folder, worker);
    writeFileSync(written, `${JSON.stringify(config, undefined, 2)}\n`);
    files[worker] = written;
    say(`npx wrangler deploy -c ${written}`);
  }
  giveResult({ environment: deployment.environment, files });
  const placeholders = placeholdersOf(deployment);
  for (const each of placeholders) complain(`do not deploy yet: ${each}`);
  return placeholders.length === 0 ? 0 : 1;
}
