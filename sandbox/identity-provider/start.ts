import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { randomInt } from "node:crypto";
import { join } from "node:path";
import type { JWK } from "jose";
import type { CertificateFiles } from "../certificates.ts";
import { sandboxIssuer, type SandboxIssuer } from "../issuer.ts";
import { keptSecret, writeWhole } from "../keys.ts";
import { peopleOf, type Person } from "./people.ts";
import { identityProvider } from "./provider.ts";

export interface IdentityProviderOptions {
  readonly state: string;
  readonly server: CertificateFiles;
  /** The gateway's: not taken, though nobody may listen there yet. */
  readonly gatewayPort: number;
  /** FHIR base. */
  readonly audience: string;
  /** FHIR ids of those who can sign in. */
  readonly patients: readonly string[];
  readonly clients: readonly string[];
  readonly say: (line: string) => void;
}

export interface IdentityProvider {
  readonly issuer: SandboxIssuer;
  readonly people: readonly Person[];
  close(): Promise<void>;
}

/** Starts the sandbox's OpenID provider on a loopback port that is kept with the state, so that `iss` stays what clients know. */
export async function startIdentityProvider(options: IdentityProviderOptions): Promise<IdentityProvider> {
  const { state, server: files, gatewayPort, audience, patients, clients, say } = options;
  const server = createServer({ cert: readFileSync(files.cert), key: readFileSync(files.key), minVersion: "TLSv1.3" });
  const port = await listen(server, join(state, "identity-provider.port"), gatewayPort);
  const issuer = await sandboxIssuer(state, `https://localhost:${port}`, audience);
  const people = peopleOf(state, patients);
  const key: JWK = JSON.parse(readFileSync(issuer.jwk, "utf8"));
  const secrets = {
    cookies: keptSecret(join(state, "secrets", "sign-in-cookies")),
    dpopNonce: keptSecret(join(state, "secrets", "sign-in-nonce")),
  };
  server.on("request", identityProvider({ iss: issuer.iss, audience, key, secrets, people, clients }, say).callback());
  say(`identity provider: ${issuer.iss}   who can sign in, and how: docs/sign-in.md`);
  return {
    issuer,
    people,
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

/** Listens on the port of the last start; when somebody else has it, on another one, which is kept from then on. */
async function listen(server: Server, file: string, taken: number): Promise<number> {
  let port = existsSync(file) ? Number(readFileSync(file, "utf8")) : randomPort();
  while (port === taken || !(await listens(server, port))) port = randomPort();
  writeWhole(file, String(port));
  return port;
}

/** Below those that a system gives out by itself: no outgoing connection takes it between two starts. */
const randomPort = (): number => randomInt(10_000, 32_768);

/** False when the port is taken. */
function listens(server: Server, port: number): Promise<boolean> {
  return new Promise((settle, fail) => {
    const failed = (fault: NodeJS.ErrnoException) => (fault.code === "EADDRINUSE" || fault.code === "EACCES" ? settle(false) : fail(fault));
    server.once("error", failed);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", failed);
      settle(true);
    });
  });
}
