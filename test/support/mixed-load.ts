import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { setTimeout as wait } from "node:timers/promises";
import type { IncomingHttpHeaders } from "node:http";
import type { JWK } from "jose";
import { accessToken } from "../../cli/connection/access-token.ts";
import { clientOf, type DevClient, type DevFile } from "../../cli/connection/dev-file.ts";
import { keyProof } from "../../cli/connection/key-proof.ts";
import { seeded } from "../../sandbox/synthetic/random.ts";
import { type LoadRequest, loadRequests } from "./load-requests.ts";

/** A request, and the part of its answer that came. `whole`: the answer came to its end. */
export interface Exchange {
  readonly client: string;
  readonly method: string;
  readonly path: string;
  readonly traceId: string;
  /** Names of the resources that it was to create, as `identifier` of `createdSystem`. */
  readonly creates: readonly string[];
  readonly authorization: string;
  readonly proof: string | undefined;
  readonly at: number; // when it was sent, ms
  status: number | undefined;
  headers: IncomingHttpHeaders;
  text: string;
  whole: boolean;
}

const askersAtOnce = 16;
const tokenSeconds = 60; // each client gets a new token this often: tokens are load, too

export interface MixedLoad {
  /** Resolves when no client asks any more and every answer has come or broken. */
  end(): Promise<void>;
}

interface LoadShape {
  readonly requests: typeof loadRequests;
  /** Of an asker after each answer: at least and at most. */
  readonly pauseMilliseconds: readonly [number, number];
}

const mixed: LoadShape = { requests: loadRequests, pauseMilliseconds: [10, 150] };

/** Reads of a single small resource, each at once after the last answer. */
export const smallReads: LoadShape = {
  requests: [(random) => ({ client: "telehealth", path: `Patient/load-${random.int(0, 59)}` })],
  pauseMilliseconds: [0, 0],
};

/**
 * Asks as a dozen clients at once, with a short pause after each answer, through refused and broken
 * connections.
 *
 * @param over gets each request once its answer has come or broken. The load keeps none of them: an hour of
 *   answers does not fit into memory.
 */
export function mixedLoad(
  dev: DevFile,
  seed: number,
  over: (exchange: Exchange) => void,
  { requests, pauseMilliseconds }: LoadShape = mixed,
): MixedLoad {
  const clients = new Clients(dev, over);
  const ending = new AbortController();
  const going = Array.from({ length: askersAtOnce }, async (_, n) => {
    const random = seeded(seed + n);
    while (!ending.signal.aborted) {
      await clients
        .ask(random.pick(requests as [(typeof requests)[number]])(random, dev), ending.signal)
        .catch(() => undefined);
      await wait(random.int(...pauseMilliseconds));
    }
  });
  return {
    async end() {
      ending.abort();
      await Promise.all(going);
      clients.leave();
    },
  };
}

/** The demonstration's clients: their connections, their tokens, and the last nonce from the gateway. */
class Clients {
  readonly #dev: DevFile;
  readonly #over: (exchange: Exchange) => void;
  readonly #agents = new Map<string, Agent>();
  readonly #tokens = new Map<string, { readonly token: Promise<string>; readonly until: number }>();
  #nonce: string | undefined;

  constructor(dev: DevFile, over: (exchange: Exchange) => void) {
    this.#dev = dev;
    this.#over = over;
  }

  async ask(
    { client: id, path, method = "GET", body, creates = [] }: LoadRequest,
    signal: AbortSignal,
  ): Promise<void> {
    const client = clientOf(this.#dev, id);
    const token = id === "lapsed" ? "none" : await this.#token(client);
    const url = `${this.#dev.fhir}/${path}`;
    const proof = client.dpop
      ? await keyProof(keyOf(client), { url, method, nonce: this.#nonce, token })
      : undefined;
    const traceId = randomUUID().replaceAll("-", "");
    const answer: Exchange = {
      client: id,
      method,
      path,
      traceId,
      creates,
      authorization: `${proof === undefined ? "Bearer" : "DPoP"} ${token}`,
      proof,
      at: Date.now(),
      status: undefined,
      headers: {},
      text: "",
      whole: false,
    };
    await this.#send(client, url, answer, body === undefined ? undefined : JSON.stringify(body), signal);
    this.#over(answer);
    this.#nonce = answer.headers["dpop-nonce"]?.toString() ?? this.#nonce;
    if (answer.status === 401) this.#tokens.delete(id);
  }

  leave(): void {
    for (const agent of this.#agents.values()) agent.destroy();
  }

  #send(
    client: DevClient,
    url: string,
    answer: Exchange,
    body: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { authorization, proof, method, traceId } = answer;
    const headers = {
      authorization,
      traceparent: `00-${traceId}-${traceId.slice(16)}-01`,
      ...(proof !== undefined && { dpop: proof }),
      ...(body !== undefined && {
        "content-type": "application/fhir+json",
        "content-length": Buffer.byteLength(body),
      }),
    };
    return new Promise((done) => {
      const asked = request(url, {
        method,
        headers,
        agent: this.#agent(client),
        signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]),
      });
      asked.on("response", (incoming) => {
        // a receipt counts from here on
        Object.assign(answer, { status: incoming.statusCode, headers: incoming.headers });
        incoming.setEncoding("utf8");
        incoming.on("data", (chunk: string) => (answer.text += chunk));
        incoming
          .on("error", () => undefined)
          .on("close", () => {
            answer.whole = incoming.complete;
            done();
          });
      });
      asked.on("error", () => done()).end(body);
    });
  }

  #agent(client: DevClient): Agent {
    const known = this.#agents.get(client.id);
    if (known !== undefined) return known;
    const identity = client.dpop ? {} : { cert: readFileSync(client.cert), key: readFileSync(client.key) };
    const agent = new Agent({ keepAlive: true, ca: readFileSync(this.#dev.ca), ...identity });
    this.#agents.set(client.id, agent);
    return agent;
  }

  #token(client: DevClient): Promise<string> {
    const known = this.#tokens.get(client.id);
    if (known !== undefined && known.until > Date.now()) return known.token;
    const token = accessToken(this.#dev, client);
    this.#tokens.set(client.id, { token, until: Date.now() + tokenSeconds * 1_000 });
    token.catch(() => this.#tokens.delete(client.id));
    return token;
  }
}

function keyOf({ jwk }: DevClient): JWK {
  return JSON.parse(readFileSync(jwk ?? "", "utf8"));
}
