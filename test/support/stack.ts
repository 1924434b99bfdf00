import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accessToken, type TokenRequest } from "../../cli/access-token.ts";
import { clientOf, readDevFile, type DevClient, type DevFile } from "../../cli/dev-file.ts";
import { send, type Reply, type Sending } from "../../cli/mutual-tls.ts";
import { startStack, type Stack } from "../../sandbox/stack.ts";
import { AnswerWatch } from "./answer-watch.ts";
import { SecretWatch } from "./secret-watch.ts";

/** A whole Phylax of its own for a test file, as `npm start` makes it, with a look at what reached the origin. */
export interface TestStack {
  readonly dev: DevFile;
  readonly stack: Stack;
  /** Every request that reached the FHIR server: `GET /fhir/Patient/x`. */
  readonly forwarded: string[];
  client(id: string): DevClient;
  token(id: string, request?: TokenRequest): Promise<string>;
  /** As a client with its own certificate and a token of its own; a path is taken below the FHIR base. */
  ask(id: string, path: string, sending?: Sending): Promise<Reply>;
  /** Throws when any answer to anybody named the origin, or a secret was printed or stood in an error. */
  close(): Promise<void>;
}

// Test files run side by side: each runner has ports of its own, so that none takes what another has chosen and not yet used.
const portsOfRunner = 1_500;
const firstPort = 20_000 + (Number(process.env["VITEST_POOL_ID"] ?? 0) % 8) * portsOfRunner;

/** A port on which nobody listens, below those that a system gives out by itself: none of its own choices can take it before it is used. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(firstPort, firstPort + portsOfRunner);
    const server = createServer();
    const listens = await new Promise<boolean>((settle) => {
      server.once("error", () => settle(false));
      server.listen(port, "127.0.0.1", () => settle(true));
    });
    if (!listens) continue;
    await new Promise((closed) => server.close(closed));
    return port;
  }
}

export async function startTestStack(
  options: {
    readonly bundles?: string;
    readonly state?: string;
    readonly origin?: string;
    readonly registry?: string;
    readonly gatewaysElsewhere?: number;
    readonly secondHost?: boolean;
  } = {},
): Promise<TestStack> {
  const state = options.state ?? mkdtempSync(join(tmpdir(), "phylax-"));
  const forwarded: string[] = [];
  const secrets = new SecretWatch(state); // before anything can print
  const stack = await startStack({
    port: await freePort(),
    state,
    bundles: options.bundles,
    origin: options.origin,
    registry: options.registry,
    say: (line) => secrets.hear(line),
    inspectStorage: true,
    gatewaysElsewhere: options.gatewaysElsewhere ?? 0,
    secondHost: options.secondHost ?? false,
    onOriginRequest: ({ method, path }) => forwarded.push(`${method} ${path}`),
  });
  const dev = readDevFile(state);
  const watch = new AnswerWatch(dev.origin);
  const tokens = new Map<string, Promise<string>>();
  const client = (id: string) => clientOf(dev, id);
  const token = (id: string, request: TokenRequest = {}) => accessToken(dev, client(id), request);
  return {
    dev,
    stack,
    forwarded,
    client,
    token,
    async ask(id, path, sending = {}) {
      const kept = tokens.get(id) ?? token(id);
      tokens.set(id, kept);
      const headers = { authorization: `Bearer ${await kept}`, ...sending.headers };
      return send(dev, client(id), path.startsWith("https:") ? path : `${dev.fhir}/${path}`, { ...sending, headers });
    },
    async close() {
      await stack.close();
      try {
        secrets.end();
      } finally {
        if (options.state === undefined) rmSync(state, { recursive: true, force: true });
      }
      watch.end();
    },
  };
}
