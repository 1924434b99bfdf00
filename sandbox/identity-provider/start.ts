import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import type { JWK } from "jose";
import type { CertificateFiles } from "../certificates.ts";
import { sandboxIssuer, type SandboxIssuer } from "../issuer.ts";
import { listenOnKeptPort } from "../kept-port.ts";
import { keptSecret } from "../keys.ts";
import type { OperatorsSetting } from "./configuration.ts";
import { accountOf, peopleOf, type Account, type Person } from "./people.ts";
import { identityProvider } from "./provider.ts";

export interface IdentityProviderOptions {
  readonly state: string;
  readonly server: CertificateFiles;
  /** Path of the authority whose client certificates it believes. */
  readonly clientCa: string;
  /** Ports that are not taken, though nobody may listen there yet. */
  readonly portsOfOthers: readonly number[];
  /** FHIR base. */
  readonly audience: string;
  /** FHIR ids of those who can sign in. */
  readonly patients: readonly string[];
  readonly clients: readonly string[];
  readonly unboundClients: readonly string[];
  /** The operators' door, and the logins of those who can sign in for it. */
  readonly operators: { readonly audience: string; readonly logins: readonly string[] };
  readonly say: (line: string) => void;
}

export interface IdentityProvider {
  readonly issuer: SandboxIssuer;
  readonly people: readonly Person[];
  readonly operators: readonly Account[];
  close(): Promise<void>;
}

/** Starts the sandbox's OpenID provider on a loopback port that is kept with the state, so that `iss` stays what clients know. */
export async function startIdentityProvider(options: IdentityProviderOptions): Promise<IdentityProvider> {
  const {
    state,
    server: files,
    clientCa,
    portsOfOthers,
    audience,
    patients,
    clients,
    unboundClients,
    say,
  } = options;
  const server = createServer({
    cert: readFileSync(files.cert),
    key: readFileSync(files.key),
    minVersion: "TLSv1.3",
    ca: readFileSync(clientCa),
    requestCert: true, // browsers ask only a user who has one of this authority's
    rejectUnauthorized: false,
  });
  const port = await listenOnKeptPort(server, join(state, "identity-provider.port"), portsOfOthers);
  const issuer = await sandboxIssuer(state, `https://localhost:${port}`, audience);
  const people = peopleOf(state, patients);
  const operators: OperatorsSetting = {
    audience: options.operators.audience,
    accounts: options.operators.logins.map((login) => accountOf(state, login)),
  };
  const key: JWK = JSON.parse(readFileSync(issuer.jwk, "utf8"));
  const secrets = {
    cookies: keptSecret(join(state, "secrets", "sign-in-cookies")),
    dpopNonce: keptSecret(join(state, "secrets", "sign-in-nonce")),
  };
  server.on(
    "request",
    identityProvider(
      { iss: issuer.iss, audience, key, secrets, people, clients, unboundClients, operators },
      say,
    ).callback(),
  );
  say(`identity provider: ${issuer.iss}   who can sign in, and how: docs/sign-in.md`);
  return {
    issuer,
    people,
    operators: operators.accounts,
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
