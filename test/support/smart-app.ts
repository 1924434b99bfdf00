import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import type { DevFile } from "../../cli/connection/dev-file.ts";
import { appOf, type Browser } from "./browser.ts";
import { typed } from "./patient-web.ts";

const require = createRequire(import.meta.url);
const smart: (
  request: IncomingMessage,
  response: ServerResponse,
  storage: object,
) => SmartApi = require("fhirclient");

// Written by hand, as far as the tests call it: the package's own types would bring the whole DOM into every
// file of this project.
interface SmartApi {
  authorize(options: Readonly<Record<string, string>>): Promise<unknown>;
  ready(): Promise<SmartClient>;
}

interface SmartClient {
  readonly state: { readonly tokenResponse: object };
  readonly patient: {
    readonly id: string;
    read(): Promise<unknown>;
    request(path: string, options: object): Promise<unknown>;
  };
  readonly user: { read(): Promise<unknown> };
  refresh(): Promise<unknown>;
  request(asked: string | { readonly url: string; readonly includeResponse: true }): Promise<unknown>;
}

/**
 * A web app on fhirclient as npm has it, server side. It is given the FHIR base, its id and the certificates
 * that it trusts, and nothing more.
 */
export class SmartApp {
  readonly #server: Server;
  readonly #kept = new Map<string, unknown>();
  #signedIn: SmartClient | undefined;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(
    dev: DevFile,
    clientId: string,
    scope: string,
    secret: { readonly clientSecret?: string } = {},
  ): Promise<SmartApp> {
    // its fetch takes the default certificates, as under NODE_EXTRA_CA_CERTS
    setDefaultCACertificates([...getCACertificates(), readFileSync(dev.ca, "utf8")]);
    const server = createServer();
    const app = new SmartApp(server);
    server.on("request", (request, response) => {
      app.#serve(request, response, { iss: dev.fhir, clientId, scope, ...secret }).catch((fault: unknown) => {
        response.writeHead(500).end(String(fault));
      });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    return app;
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    options: Readonly<Record<string, string>>,
  ) {
    const storage = {
      get: async (key: string) => this.#kept.get(key),
      set: async (key: string, value: unknown) => this.#kept.set(key, structuredClone(value)).get(key),
      unset: async (key: string) => this.#kept.delete(key),
    };
    const api = smart(request, response, storage);
    if (request.url?.split("?")[0] === "/launch") {
      await api.authorize({ ...options, redirectUri: "/callback", pkceMode: "required" });
      return;
    }
    this.#signedIn = await api.ready();
    response.end("You can close this window.");
  }

  /** The address of its launch page. */
  get launchUri(): string {
    const { port } = this.#server.address() as AddressInfo; // it listens on a port
    return `http://127.0.0.1:${port}/launch`;
  }

  /** The address to which its launch page sends the browser. */
  async launch(at = this.launchUri): Promise<URL> {
    const answer = await fetch(at, { redirect: "manual" });
    return new URL(answer.headers.get("location") ?? (await answer.text()));
  }

  /** A person signs in and agrees. The browser brings the app its code. `at`: the address that launches the app. */
  async signIn(user: Parameters<typeof typed>[0], browser: Browser, at?: string): Promise<SmartClient> {
    const consent = await browser.submit(await browser.open(await this.launch(at)), typed(user));
    const answer = await fetch(appOf(await browser.submit(consent, { decision: "allow" })));
    if (this.#signedIn === undefined || !answer.ok) throw new Error(await answer.text());
    return this.#signedIn;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }
}
