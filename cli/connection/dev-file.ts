import { readFileSync } from "node:fs";
import { join } from "node:path";
import { UnusableFile, UnusableName } from "../misuse.ts";

/**
 * The content of `<state>/dev.json`, which `npm start` writes when every worker is up. Paths are absolute.
 */
export interface DevFile {
  readonly gateway: string;
  readonly fhir: string;
  readonly audience: string;
  readonly tokenEndpoint: string;
  readonly ledger: string;
  readonly ops: string;
  /** The operators' pages. */
  readonly console: string;
  readonly origin: string;
  readonly ca: string;
  readonly clientCa: { readonly cert: string; readonly key: string };
  readonly ledgerName: string;
  /** Log name to C2SP verifier key. */
  readonly logs: Readonly<Record<string, string>>;
  /** C2SP verifier key of the root log. */
  readonly root: string;
  /** Name to verifier key of each witness that cosigns the root log. */
  readonly witnesses: Readonly<Record<string, string>>;
  readonly pid: number;
  readonly issuers: readonly DevIssuer[];
  /** People who can sign in at the first of `issuers`. */
  readonly users: readonly DevUser[];
  /** Practitioners who can sign in there, and launch apps for patients. */
  readonly clinicians: readonly Omit<DevUser, "patient">[];
  /** Apps with a secret there. */
  readonly apps: readonly { readonly id: string; readonly secret: string }[];
  readonly auditors: readonly { readonly key: string }[];
  /** Operators who need their certificate alone. */
  readonly operators: readonly DevOperator[];
  /** Operators who also sign in. */
  readonly officers: readonly DevOfficer[];
  readonly clients: readonly DevClient[];
}

/** An external issuer; `jwk` is its private key, which exists here because this is a development stack. */
export interface DevIssuer {
  readonly iss: string;
  readonly jwk: string;
  readonly kid: string;
  readonly alg: string;
  readonly audience: string;
}

export interface DevUser {
  readonly login: string;
  readonly password: string;
  /** Secret of the second factor (RFC 6238) in base32. */
  readonly totp: string;
  /** FHIR id. */
  readonly patient: string;
  readonly fhirUser: string;
}

export interface DevOperator {
  readonly id: string;
  readonly roles: readonly string[];
  readonly cert: string;
  readonly key: string;
}

/**
 * An operator who signs in at one of `issuers`, by `client` and for `ops`. The tokens are bound to `cert`.
 */
export interface DevOfficer extends DevOperator {
  readonly client: string;
  readonly login: string;
  readonly password: string;
  /** Secret of the second factor (RFC 6238) in base32. */
  readonly totp: string;
  readonly signIn: {
    readonly iss: string;
    readonly sub: string;
    readonly acr: readonly string[];
    readonly maxAgeSeconds: number;
  };
}

export interface DevClient {
  readonly id: string;
  readonly kind: string;
  readonly auth: "private_key_jwt" | "tls_client_auth" | "external";
  /** Issuer of its tokens: the gateway itself, or one of `issuers`. */
  readonly issuer: string;
  readonly audience: string;
  readonly cert: string;
  readonly key: string;
  /** Only with private_key_jwt. */
  readonly jwk: string | null;
  readonly scope: string;
  readonly purpose: string;
  readonly purposes: readonly string[];
  /**
   * Its tokens are bound to a key that it proves with each request (RFC 9449), here `jwk`. Its certificate is
   * not registered.
   */
  readonly dpop: boolean;
  readonly sub: string | null;
  readonly patient: string | null;
  readonly describe: string;
}

export function readDevFile(state: string): DevFile {
  const file = join(state, "dev.json");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    throw new UnusableFile(`${file} cannot be read: run npm start, or name its state folder with --state`);
  }
  const dev: DevFile = JSON.parse(text);
  return dev;
}

export function operatorOf(dev: DevFile, id: string | undefined): DevOperator {
  const all: readonly DevOperator[] = [...dev.operators, ...dev.officers];
  const operator = id === undefined ? all[0] : all.find((each) => each.id === id);
  if (operator === undefined)
    throw new UnusableName(`no operator ${id ?? ""}; choose from: ${all.map((each) => each.id).join(", ")}`);
  return operator;
}

export function clientOf(dev: DevFile, id: string): DevClient {
  const client = dev.clients.find((each) => each.id === id);
  if (client === undefined)
    throw new UnusableName(`no client ${id}; choose from: ${dev.clients.map((each) => each.id).join(", ")}`);
  return client;
}
