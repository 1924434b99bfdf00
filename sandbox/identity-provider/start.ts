import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import type { JWK } from "jose";
import type { CertificateFiles } from "../certificates.ts";
import { sandboxIssuer, type SandboxIssuer } from "../demo/issuer.ts";
import { endAtOnce } from "../end-at-once.ts";
import { listenOnKeptPort } from "../kept-port.ts";
import { keptSecret } from "../keys.ts";
import { ConsentFiler } from "./consent/consent-filer.ts";
import type { OperatorsSetting } from "./configuration.ts";
import { accountOf, peopleOf, type Account, type Person } from "./people.ts";
import { identityProvider } from "./provider.ts";

export interface IdentityProviderOptions {
  readonly state: string;
  readonly server: CertificateFiles;
  /** Path of the authority that signs valid client certificates. */
  readonly clientCa: string;
  /** Path of the authority of the gateway's certificate. */
  readonly ca: string;
  /** The certificate of the consent page, with which it files Consents at the gateway. */
  readonly consentPage: CertificateFiles;
  /** Ports that are reserved, even if no server listens there yet. */
  readonly portsOfOthers: readonly number[];
  /** FHIR base. */
  readonly audience: string;
  /** FHIR ids of the patients who can sign in. */
  readonly patients: readonly string[];
  readonly clients: readonly string[];
  readonly unboundClients: readonly string[];
  /** The operators' API, and the logins of its operators. */
  readonly operators: { readonly audience: string; readonly logins: readonly string[] };
  readonly say: (line: string) => void;
}

export interface IdentityProvider {
  readonly issuer: SandboxIssuer;
  readonly people: readonly Person[];
  readonly operators: readonly Account[];
  close(): Promise<void>;
}

/**
 * Starts the sandbox's OpenID provider on a loopback port that is stored with the state, so that `iss` stays
 * the same for clients.
 */
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
    requestCert: true, // browsers ask only a user who has a certificate of this authority
    rejectUnauthorized: false,
  });
  const end = endAtOnce(server);
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
  const consents = new ConsentFiler({
    iss: issuer.iss,
    key,
    fhir: audience,
    ca: options.ca,
    certificate: options.consentPage,
  });
  server.on(
    "request",
    identityProvider(
      { iss: issuer.iss, audience, key, secrets, people, clients, unboundClients, operators, consents },
      say,
    ).callback(),
  );
  say(`identity provider: ${issuer.iss}   users and how to sign in: docs/sign-in.md`);
  return {
    issuer,
    people,
    operators: operators.accounts,
    close: end,
  };
}
