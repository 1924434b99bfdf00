import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { setTimeout as wait } from "node:timers/promises";
import type { IncomingHttpHeaders } from "node:http";
import type { JWK } from "jose";
import type { Resource } from "@medplum/fhirtypes";
import { accessToken } from "../../cli/access-token.ts";
import { clientOf, type DevClient, type DevFile } from "../../cli/dev-file.ts";
import { keyProof } from "../../cli/key-proof.ts";
import { seeded, type Random } from "../../sandbox/synthetic/random.ts";

/** One request, and as much of its answer as came; `whole` when all of it did. */
export interface Told {
  readonly client: string;
  readonly method: string;
  readonly path: string;
  readonly traceId: string;
  /** Names of the resources that it was to create, as `identifier` of `newOnes`. */
  readonly creates: readonly string[];
  readonly authorization: string;
  readonly proof: string | undefined;
  readonly at: number; // when it was sent, ms
  status: number | undefined;
  headers: IncomingHttpHeaders;
  text: string;
  whole: boolean;
}

export const newOnes = "urn:phylax:load";
const plain = Array.from({ length: 60 }, (_, n) => `load-${n}`);
const large = ["large-0", "large-1", "large-2"]; // a search of one's observations is more than 1 MiB
const askersAtOnce = 16;
const tokenSeconds = 60; // each client gets a new token this often: tokens are load, too

/** What the origin holds beside the demonstration's data: patients enough that none of them has more lines than one accounting holds. */
export function loadedResources(): Resource[] {
  const observation = (patient: string, n: number, bytes: number): Resource => ({
    resourceType: "Observation",
    id: `${patient}-o${n}`,
    status: "final",
    code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
    subject: { reference: `Patient/${patient}` },
    ...(bytes > 0 && { note: [{ text: "n".repeat(bytes) }] }),
  });
  const everyone = [...plain, ...large];
  return [
    ...everyone.map((id): Resource => ({ resourceType: "Patient", id, name: [{ family: id }] })),
    ...everyone.flatMap((id) => Array.from({ length: 4 }, (_, n) => observation(id, n, large.includes(id) ? 400_000 : 0))),
  ];
}

interface Wish {
  readonly client: string;
  readonly path: string;
  readonly method?: string;
  readonly body?: object;
  readonly creates?: readonly string[];
}

const newObservation = (patient: string, name: string) => ({
  resourceType: "Observation",
  status: "final",
  identifier: [{ system: newOnes, value: name }],
  category: [{ coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" }] }],
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
  subject: { reference: `Patient/${patient}` },
  effectiveDateTime: "2026-01-05",
});

/** Reads, searches, refusals, streams, writes, batches and accountings, by every kind of client that the demonstration has. */
const wishes: readonly ((random: Random, dev: DevFile) => Wish)[] = [
  (random) => ({ client: "telehealth", path: `Patient/${random.int(0, 59) === 0 ? "nobody" : one(random)}` }),
  (random) => ({ client: "payer", path: `Patient?_id=${one(random)},${one(random)},${one(random)}` }),
  (random) => ({ client: "public-health", path: `Observation?patient=${one(random)}` }),
  (random) => ({ client: "operations", path: `Patient?_id=${one(random)},${one(random)}` }),
  (random) => ({ client: "research", path: `Observation?patient=${one(random)}` }),
  (random) => ({ client: "telehealth-mobile", path: `Observation?patient=${one(random)}` }),
  (random) => ({ client: "telehealth-mobile", path: `Patient/${one(random)}` }),
  (random) => ({ client: "telehealth", path: `Observation?patient=${random.pick(["large-0", "large-1", "large-2"])}` }),
  (random) => ({ client: "patient-app", path: `Patient/${one(random)}` }), // nearly always another one's: refused
  (random) => ({ client: "lapsed", path: `Patient/${one(random)}` }), // it has no token
  (random) => ({ client: "patient-app", path: `MedicinalProduct/${random.int(0, 9)}` }),
  (random) => ({ client: "privacy-officer", path: `Patient/${one(random)}/$disclosures` }),
  (_, dev) => ({ client: "patient-app", path: `Patient/${clientOf(dev, "patient-app").patient ?? ""}/$disclosures` }),
  (random) => creates("charting", one(random)),
  (_, dev) => creates("diary", clientOf(dev, "diary").patient ?? ""),
  (random) => {
    const names = [randomUUID(), randomUUID()];
    const entry = names.map((name) => ({
      resource: newObservation(one(random), name),
      request: { method: "POST", url: "Observation" },
    }));
    const read = { request: { method: "GET", url: `Patient/${one(random)}` } };
    const type = random.pick(["batch", "transaction"]);
    return {
      client: "charting",
      path: "",
      method: "POST",
      body: { resourceType: "Bundle", type, entry: [...entry, read] },
      creates: names,
    };
  },
];
const one = (random: Random): string => plain[random.int(0, plain.length - 1)] ?? "";

function creates(client: string, patient: string): Wish {
  const name = randomUUID();
  return { client, path: "Observation", method: "POST", body: newObservation(patient, name), creates: [name] };
}

export interface MixedLoad {
  /** Everything that was asked since it began, in the order of asking. */
  readonly told: readonly Told[];
  /** Resolves when nobody asks any more and every answer has come or broken. */
  end(): Promise<void>;
}

/** Asks as a dozen clients at once, as fast as they are answered but for a short pause, through refused and broken connections. */
export function mixedLoad(dev: DevFile, seed: number): MixedLoad {
  const told: Told[] = [];
  const clients = new Clients(dev);
  const ending = new AbortController();
  const going = Array.from({ length: askersAtOnce }, async (_, n) => {
    const random = seeded(seed + n);
    while (!ending.signal.aborted) {
      await clients.ask(random.pick(wishes as [(typeof wishes)[number]])(random, dev), told, ending.signal).catch(() => undefined);
      await wait(random.int(10, 150));
    }
  });
  return {
    told,
    async end() {
      ending.abort();
      await Promise.all(going);
      clients.leave();
    },
  };
}

/** The demonstration's clients: their connections, tokens, and the nonce that the gateway gave last. */
class Clients {
  readonly #dev: DevFile;
  readonly #agents = new Map<string, Agent>();
  readonly #tokens = new Map<string, { readonly token: Promise<string>; readonly until: number }>();
  #nonce: string | undefined;

  constructor(dev: DevFile) {
    this.#dev = dev;
  }

  async ask({ client: id, path, method = "GET", body, creates = [] }: Wish, told: Told[], signal: AbortSignal): Promise<void> {
    const client = clientOf(this.#dev, id);
    const token = id === "lapsed" ? "none" : await this.#token(client);
    const url = `${this.#dev.fhir}/${path}`;
    const proof = client.dpop ? await keyProof(keyOf(client), { url, method, nonce: this.#nonce, token }) : undefined;
    const traceId = randomUUID().replaceAll("-", "");
    const answer: Told = {
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
    told.push(answer);
    await this.#send(client, url, answer, body === undefined ? undefined : JSON.stringify(body), signal);
    this.#nonce = answer.headers["dpop-nonce"]?.toString() ?? this.#nonce;
    if (answer.status === 401) this.#tokens.delete(id);
  }

  leave(): void {
    for (const agent of this.#agents.values()) agent.destroy();
  }

  #send(client: DevClient, url: string, answer: Told, body: string | undefined, signal: AbortSignal): Promise<void> {
    const { authorization, proof, method, traceId } = answer;
    const headers = {
      authorization,
      traceparent: `00-${traceId}-${traceId.slice(16)}-01`,
      ...(proof !== undefined && { dpop: proof }),
      ...(body !== undefined && { "content-type": "application/fhir+json", "content-length": Buffer.byteLength(body) }),
    };
    return new Promise((done) => {
      const asked = request(url, {
        method,
        headers,
        agent: this.#agent(client),
        signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]),
      });
      asked.on("response", (incoming) => {
        Object.assign(answer, { status: incoming.statusCode, headers: incoming.headers }); // a receipt counts from here on
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
