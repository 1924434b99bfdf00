import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { err, ok, type Result } from "#kernel/result";

/** What `npm start` was asked for (DESIGN §10). */
export interface StartOptions {
  /** The front's port; 8443 unless told. */
  readonly port: number;
  /** Absolute. Holds keys, certificates, the registry, the ledger, and dev.json. */
  readonly state: string;
  /** A folder of FHIR bundles instead of the synthetic patients. */
  readonly bundles: string | undefined;
  /** Throw the state away first. */
  readonly reset: boolean;
}

export const usage = `usage: npm start -- [--port N] [--state DIR] [--bundles DIR] [--reset]
  --port N       port of the gateway (8443)
  --state DIR    keys, certificates, registry and ledger; kept between starts (.phylax)
  --bundles DIR  serve these FHIR bundles (.json, .json.gz, .ndjson, .ndjson.gz) instead of the synthetic patients
  --reset        throw the state away first, the ledger too`;

/** Reads the command line strictly: an option that this version does not have is an error, never ignored. */
export function readOptions(args: readonly string[], folder: string): Result<StartOptions, string> {
  let values: { port: string; state: string; bundles?: string; reset?: boolean };
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        port: { type: "string", default: "8443" },
        state: { type: "string", default: ".phylax" },
        bundles: { type: "string" },
        reset: { type: "boolean" },
      },
    }));
  } catch (problem) {
    return err(problem instanceof Error ? problem.message : "unreadable options");
  }
  const port = Number(values.port);
  if (!/^[0-9]{1,5}$/u.test(values.port) || port < 1 || port > 65_535) return err("--port: expected a number from 1 to 65535");
  return ok({
    port,
    state: resolve(folder, values.state),
    bundles: values.bundles === undefined ? undefined : resolve(folder, values.bundles),
    reset: values.reset ?? false,
  });
}
