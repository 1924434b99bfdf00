import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What `npm start` writes to `<state>/dev.json` when all is up (DESIGN §10). Paths are absolute. */
export interface DevFile {
  readonly gateway: string;
  readonly fhir: string;
  readonly audience: string;
  readonly tokenEndpoint: string;
  readonly ledger: string;
  readonly ops: string;
  readonly origin: string;
  readonly ca: string;
  readonly clientCa: { readonly cert: string; readonly key: string };
  readonly ledgerName: string;
  /** Log name to C2SP verifier key. */
  readonly logs: Readonly<Record<string, string>>;
  /** C2SP verifier key of the root log. */
  readonly root: string;
  /** Name to verifier key of those who cosign it. */
  readonly witnesses: Readonly<Record<string, string>>;
  readonly pid: number;
  readonly issuers: readonly DevIssuer[];
  /** Who can sign in at the first of `issuers`. */
  readonly users: readonly DevUser[];
  readonly auditors: readonly { readonly key: string }[];
  /** By certificate alone. */
  readonly operators: readonly DevOperator[];
  /** Operators who sign in as well. */
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

/** Signs in at one of `issuers`, by `client` and for `ops`, and so gets tokens that are bound to `cert`. */
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
  /** Whose tokens it brings: the gateway's own, or one of `issuers`. */
  readonly issuer: string;
  readonly audience: string;
  readonly cert: string;
  readonly key: string;
  /** Only of private_key_jwt. */
  readonly jwk: string | null;
  readonly scope: string;
  readonly purpose: string;
  readonly purposes: readonly string[];
  /** Its tokens are bound to a key that it proves with each request (RFC 9449), here `jwk`; its certificate is not registered. */
  readonly dpop: boolean;
  readonly sub: string | null;
  readonly patient: string | null;
  readonly describe: string;
}

export function readDevFile(state: string): DevFile {
  const dev: DevFile = JSON.parse(readFileSync(join(state, "dev.json"), "utf8"));
  return dev;
}

export function operatorOf(dev: DevFile, id: string | undefined): DevOperator {
  const all: readonly DevOperator[] = [...dev.operators, ...dev.officers];
  const operator = id === undefined ? all[0] : all.find((one) => one.id === id);
  if (operator === undefined)
    throw new Error(`no such operator; there are: ${all.map((one) => one.id).join(", ")}`);
  return operator;
}

export function clientOf(dev: DevFile, id: string): DevClient {
  const client = dev.clients.find((one) => one.id === id);
  if (client === undefined)
    throw new Error(`no such client; there are: ${dev.clients.map((one) => one.id).join(", ")}`);
  return client;
}
