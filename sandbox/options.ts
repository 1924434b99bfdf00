import { isPrivateUrl } from "#fhir/loopback";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { err, ok, type Result } from "#kernel/result";

/** The options of `npm start`. Paths are absolute. */
export interface StartOptions {
  /** The front's port; by default 8443. */
  readonly port: number;
  /** The folder for keys, certificates, the registry, the ledger, and dev.json. */
  readonly state: string;
  /** A folder of FHIR bundles instead of the synthetic patients. */
  readonly bundles: string | undefined;
  /** Base of an existing FHIR R4 server, instead of the sandbox's; without a trailing slash. */
  readonly origin: string | undefined;
  /** The variable of the environment with the bearer token of `origin`. */
  readonly bearerFrom: string | undefined;
  /** A registry file to merge after the demonstration's. */
  readonly registry: string | undefined;
  /** An act that opens access needs the approval of a second person. */
  readonly twoPersons: boolean;
  /** The file that gets the trace of each request. */
  readonly trace: string | undefined;
  /** Deletes the state first. */
  readonly reset: boolean;
}

export const usage = `usage: npm start -- [--port N] [--state DIR] [--bundles DIR | --origin URL [--bearer-from VARIABLE]] [--registry FILE] [--two-persons] [--trace FILE] [--reset]
  --port N         port of the gateway (8443)
  --state DIR      keys, certificates, registry and ledger; stored between starts (.phylax)
  --bundles DIR    serve these FHIR bundles (.json, .json.gz, .ndjson, .ndjson.gz) instead of the synthetic patients
  --origin URL     protect this FHIR R4 server instead of the sandbox's
  --bearer-from VARIABLE  the environment variable with that server's bearer token
  --registry FILE  merge this registry file (docs/registry.md): issuers, clients, agreements, policies, grants, origins
  --two-persons    an operator's act that opens access needs the approval of a second operator (docs/registry.md)
  --trace FILE     append the trace of each request at the FHIR base, without patient data (docs/traces.md)
  --reset          delete the state first, the ledger too`;

interface Given {
  readonly port: string;
  readonly state: string;
  readonly bundles?: string;
  readonly origin?: string;
  readonly "bearer-from"?: string;
  readonly registry?: string;
  readonly trace?: string;
  readonly reset?: boolean;
  readonly "two-persons"?: boolean;
}

/** Reads the command line strictly: an option that this version does not have is an error, never ignored. */
export function readOptions(args: readonly string[], folder: string): Result<StartOptions, string> {
  let given: Given;
  try {
    given = parse(args);
  } catch (problem) {
    return err(problem instanceof Error ? problem.message : "unreadable options");
  }
  const port = Number(given.port);
  if (!/^[0-9]{1,5}$/u.test(given.port) || port < 1 || port > 65_535)
    return err("--port: expected a number from 1 to 65535");
  if (given.origin !== undefined && given.bundles !== undefined)
    return err(
      "--bundles: the data of the sandbox's FHIR server, which --origin replaces; give one of the two",
    );
  const origin = given.origin === undefined ? ok(undefined) : readBase(given.origin);
  if (!origin.ok) return err(`--origin: ${origin.error}`);
  const bearerFrom = given["bearer-from"];
  if (bearerFrom !== undefined && given.origin === undefined)
    return err("--bearer-from: the token is for the server of --origin; give both");
  // The registry's form of a secret's name. The value must not be given here: other processes see a command line.
  if (bearerFrom !== undefined && !/^[A-Z][A-Z0-9_]{0,63}$/u.test(bearerFrom))
    return err("--bearer-from: expected the name of an environment variable, such as ORIGIN_TOKEN");
  const absolute = (path: string | undefined) => (path === undefined ? undefined : resolve(folder, path));
  return ok({
    port,
    state: resolve(folder, given.state),
    bundles: absolute(given.bundles),
    origin: origin.value,
    bearerFrom,
    registry: absolute(given.registry),
    twoPersons: given["two-persons"] ?? false,
    trace: absolute(given.trace),
    reset: given.reset ?? false,
  });
}

function parse(args: readonly string[]): Given {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      port: { ...text, default: "8443" },
      state: { ...text, default: ".phylax" },
      bundles: text,
      origin: text,
      "bearer-from": text,
      registry: text,
      trace: text,
      "two-persons": { type: "boolean" },
      reset: { type: "boolean" },
    },
  });
  return values;
}

/** A FHIR base in the registry's form. An error never quotes the input, because it may contain a password. */
function readBase(text: string): Result<string, string> {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:"))
    return err("expected a URL of https:// or http://");
  if (url.username !== "" || url.password !== "")
    return err("expected a URL without a user name or password");
  if (/[?#]/u.test(text)) return err("expected a URL without a query or fragment");
  // The registry's own rule: patient data crosses no network in the clear.
  if (!isPrivateUrl(url)) return err("expected https:// for a host that is not this machine");
  return ok(url.href.replace(/\/+$/u, ""));
}
