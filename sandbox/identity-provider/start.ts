import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import type { JWK } from "jose";
import type { CertificateFiles } from "../certificates.ts";
import { sandboxIssuer, type SandboxIssuer } from "../demo/issuer.ts";
import { endAtOnce } from "../end-at-once.ts";
import { listenOnKeptPort } from "../kept-port.ts";
import { keptKey, keptSecret } from "../keys.ts";
import type { KeyedClient } from "../runtime/runtime.ts";
import type { SecretApp } from "./clients.ts";
import { ConsentFiler } from "./consent/consent-filer.ts";
import type { OperatorsSetting, ProviderSetting } from "./configuration.ts";
import { Launches } from "./launches.ts";
import { accountOf, clinicianOf, peopleOf, type Account, type AppUser, type Person } from "./people.ts";
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
  /** FHIR id of the practitioner who can sign in. */
  readonly practitioner: string | undefined;
  readonly clients: readonly string[];
  readonly unboundClients: readonly string[];
  /** Ids of apps with a secret, which is made once and stored with the state. */
  readonly secretClients: readonly string[];
  /** A client with keys that the registry has under this issuer. */
  readonly registered: (iss: string, id: string) => Promise<KeyedClient | undefined>;
  /** The operators' API, and the logins of its operators. */
  readonly operators: { readonly audience: string; readonly logins: readonly string[] };
  readonly say: (line: string) => void;
}

export interface IdentityProvider {
  readonly issuer: SandboxIssuer;
  readonly people: readonly Person[];
  readonly clinicians: readonly AppUser[];
  readonly secretClients: readonly SecretApp[];
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
    practitioner,
    clients,
    unboundClients,
    registered,
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
  const { iss } = issuer;
  const people = peopleOf(state, patients);
  const clinicians = [clinicianOf(state, practitioner)];
  const secretClients = options.secretClients.map((id) => ({
    id,
    secret: keptSecret(join(state, "secrets", `secret-of-${id}`)),
  }));
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
  const setting: ProviderSetting = {
    iss,
    audience,
    key,
    idTokenKey: await keptKey(
      join(state, "issuers", "sandbox-id-tokens.jwk.json"),
      "RS256",
      "sandbox-id-tokens-1",
    ),
    secrets,
    people,
    clinicians,
    launches: new Launches(),
    clients,
    unboundClients,
    secretClients,
    registered: (id) => registered(iss, id),
    operators,
    consents,
  };
  server.on("request", identityProvider(setting, say).callback());
  say(`identity provider: ${issuer.iss}   users and how to sign in: docs/sign-in.md`);
  return {
    issuer,
    people,
    clinicians,
    secretClients,
    operators: operators.accounts,
    close: end,
  };
}
