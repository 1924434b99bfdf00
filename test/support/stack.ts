import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accessToken, type AccessTokenRequest } from "../../cli/connection/access-token.ts";
import { clientOf, readDevFile, type DevClient, type DevFile } from "../../cli/connection/dev-file.ts";
import { send, type Reply, type Sending } from "../../cli/connection/mutual-tls.ts";
import { startStack, type Stack } from "../../sandbox/stack.ts";
import { inject } from "vitest";
import { AnswerWatch } from "./answer-watch.ts";
import { freePort } from "./free-port.ts";
import { SecretWatch } from "./secret-watch.ts";

/**
 * A whole Phylax for a test file, as `npm start` starts it, with a record of the requests that reached the
 * origin.
 */
export interface TestStack {
  readonly dev: DevFile;
  /** The stack's folder. */
  readonly state: string;
  readonly stack: Stack;
  /** Every request that reached the FHIR server: `GET /fhir/Patient/x`. */
  readonly forwarded: string[];
  client(id: string): DevClient;
  token(id: string, request?: AccessTokenRequest): Promise<string>;
  /** Asks as a client with its own certificate and its own token. A path is relative to the FHIR base. */
  ask(id: string, path: string, sending?: Sending): Promise<Reply>;
  /** Throws when any answer named the origin, or when a secret was printed or stood in an error. */
  close(): Promise<void>;
}

/**
 * A new state folder with the certificate authorities of the template, for a file that needs them before its
 * stack runs.
 */
export function preparedState(): string {
  const state = mkdtempSync(join(tmpdir(), "phylax-"));
  cpSync(inject("templateState"), state, { recursive: true });
  return state;
}

export interface TestStackOptions {
  readonly bundles?: string;
  readonly state?: string;
  readonly origin?: string;
  readonly bearerFrom?: string;
  readonly registry?: string;
  readonly gatewaysElsewhere?: number;
  readonly secondHost?: boolean;
  /** The file that gets the trace of each request. */
  readonly trace?: string;
  /** An operator's act that opens access needs the approval of a second operator. */
  readonly twoPersons?: boolean;
  /**
   * The ledger's LEDGER_SETTLE_SECONDS. The default is 3, because tests wait for copies in R2 and for the
   * root log.
   */
  readonly settleSeconds?: number;
  /** Opens the debugger's port of the runtime. */
  readonly isInspected?: boolean;
}

/** A stack for one test file: no further file shares its options, its faults and its denials. */
export async function startTestStack(options: TestStackOptions = {}): Promise<TestStack> {
  const state = options.state ?? mkdtempSync(join(tmpdir(), "phylax-"));
  const secrets = new SecretWatch(state); // before anything can print
  const running = await run(state, options, (line) => secrets.hear(line));
  return watched(running, state, secrets, async () => {
    await running.stack.close();
    return () => {
      if (options.state === undefined) rmSync(state, { recursive: true, force: true });
    };
  });
}

let shared:
  | { readonly state: string; readonly running: Promise<Running>; hear: (line: string) => void }
  | undefined;

/**
 * The stack that test files of this runner share. A file may use it if it starts the stack without options,
 * denies no client of the demonstration, exhausts no client's quota, and leaves no row at the origin that
 * another file would count. The stack ends with the runner.
 */
export async function sharedTestStack(): Promise<TestStack> {
  if (shared === undefined) {
    const state = mkdtempSync(join(tmpdir(), "phylax-shared-"));
    process.once("exit", () => rmSync(state, { recursive: true, force: true }));
    const running = run(state, {}, (line) => shared?.hear(line));
    shared = { state, running, hear: () => {} };
  }
  const { state } = shared;
  const secrets = new SecretWatch(state);
  shared.hear = (line) => secrets.hear(line);
  const running = await shared.running;
  running.forwarded.length = 0;
  return watched(running, state, secrets, async () => () => {});
}

interface Running {
  readonly stack: Stack;
  readonly dev: DevFile;
  readonly forwarded: string[];
}

async function run(state: string, options: TestStackOptions, say: (line: string) => void): Promise<Running> {
  if (!existsSync(join(state, "pki"))) cpSync(inject("templateState"), state, { recursive: true });
  const forwarded: string[] = [];
  const stack = await startStack({
    port: await freePort(),
    state,
    workers: inject("workers"),
    bundles: options.bundles,
    origin: options.origin,
    bearerFrom: options.bearerFrom,
    registry: options.registry,
    say,
    inspectStorage: true,
    settleSeconds: options.settleSeconds ?? 3,
    isInspected: options.isInspected ?? false,
    gatewaysElsewhere: options.gatewaysElsewhere ?? 0,
    secondHost: options.secondHost ?? false,
    trace: options.trace,
    twoPersons: options.twoPersons ?? false,
    onOriginRequest: ({ method, path }) => forwarded.push(`${method} ${path}`),
  });
  return { stack, dev: readDevFile(state), forwarded };
}

/** @param end ends the stack that a file started and returns the clean-up to run after it. */
function watched(
  { stack, dev, forwarded }: Running,
  state: string,
  secrets: SecretWatch,
  end: () => Promise<() => void>,
): TestStack {
  const watch = new AnswerWatch(dev.origin);
  const tokens = new Map<string, Promise<string>>();
  const client = (id: string) => clientOf(dev, id);
  const token = (id: string, request: AccessTokenRequest = {}) => accessToken(dev, client(id), request);
  return {
    dev,
    state,
    stack,
    forwarded,
    client,
    token,
    async ask(id, path, sending = {}) {
      const kept = tokens.get(id) ?? token(id);
      tokens.set(id, kept);
      const headers = { authorization: `Bearer ${await kept}`, ...sending.headers };
      return send(dev, client(id), path.startsWith("https:") ? path : `${dev.fhir}/${path}`, {
        ...sending,
        headers,
      });
    },
    async close() {
      const cleanUp = await end();
      try {
        secrets.end();
      } finally {
        cleanUp();
      }
      watch.end();
    },
  };
}
