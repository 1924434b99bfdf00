import type { AuditEvent, EventKind } from "#audit/event";
import type { AuditSink, Counted, Recorded } from "#audit/ports";
import type { Interaction } from "#fhir/interaction";
import type { Principal } from "#identity/principal";
import { formatReceipt } from "#ledger/receipt";
import type { Sender } from "#ledger/shard-choice";
import { exhaustedHeaders, rateLimitHeaders } from "#limits/headers";
import type { Budget } from "#limits/ports";
import type { Disclosure } from "#phi/disclose";
import type { Arrival, Call } from "./admit.ts";
import { baseHeaders, outcomeAnswer } from "./answer.ts";
import { challenge } from "./challenge.ts";
import { faceOf, type GatewayRefusal } from "./refusal.ts";

export interface TrailPorts {
  readonly ledger: AuditSink;
  /** Over how many logs one client's records are spread. */
  readonly ledgerSpread: number;
  readonly publicUrl: string;
  /** 0 ≤ x < 1. */
  readonly jitter: () => number;
}

/** What became known of a request on its way, one stage after the other. */
interface Facts {
  readonly call?: Call;
  /** `x5t#S256` of a verified certificate. */
  readonly certificate?: string;
  readonly principal?: Principal;
  readonly budget?: Budget;
  readonly interaction?: Interaction;
  readonly policyDigest?: string;
}

// A record keeps as many (audit/check); the policy digest beside them names the view that they come from.
const withheldPathsMax = 1_000;

/** Follows one request and ends it: every way out records first and answers then. When the record fails it throws, and nothing leaves. */
export class Trail {
  readonly #arrival: Arrival;
  readonly #ports: TrailPorts;
  #facts: Facts = {};

  constructor(arrival: Arrival, ports: TrailPorts) {
    this.#arrival = arrival;
    this.#ports = ports;
  }

  learn(facts: Facts): void {
    this.#facts = { ...this.#facts, ...facts };
  }

  async refuse(refusal: GatewayRefusal): Promise<Response> {
    const face = faceOf(refusal);
    const recorded = await this.#record("refusal", { status: face.status, reason: refusal.reason }, undefined);
    const headers = this.#headers(recorded);
    if (refusal.reason === "quota_exhausted") {
      for (const [name, value] of Object.entries(exhaustedHeaders(refusal, this.#ports.jitter()))) headers.set(name, value);
    }
    if (refusal.reason === "origin_resting") headers.set("retry-after", String(refusal.retryAfterSeconds));
    if (face.status === 401) headers.set("www-authenticate", challenge(this.#ports.publicUrl, this.#facts.call?.origin, refusal));
    return outcomeAnswer(this.#arrival.id, face, this.#mediaType, headers);
  }

  async release(disclosure: Disclosure): Promise<Response> {
    const recorded = await this.#record("disclosure", { status: 200 }, disclosure);
    const headers = this.#headers(recorded);
    headers.set("content-type", `${this.#mediaType}; charset=utf-8`);
    return new Response(disclosure.body, { status: 200, headers });
  }

  get #mediaType(): Call["mediaType"] {
    return this.#facts.call?.mediaType ?? "application/fhir+json";
  }

  #headers(recorded: Recorded | Counted): Headers {
    const headers = baseHeaders(this.#arrival.id);
    if (recorded !== "counted") headers.set("phylax-receipt", formatReceipt(recorded));
    const { budget } = this.#facts;
    if (budget !== undefined) for (const [name, value] of Object.entries(rateLimitHeaders(budget))) headers.set(name, value);
    return headers;
  }

  #record(kind: EventKind, outcome: AuditEvent["outcome"], disclosure: Disclosure | undefined): Promise<Recorded | Counted> {
    const { call, certificate, principal, interaction, policyDigest } = this.#facts;
    const event: AuditEvent = {
      id: this.#arrival.id,
      at: this.#arrival.at,
      kind,
      who: {
        client: principal?.client.id,
        certificate: principal?.certificate ?? certificate,
        issuer: principal?.issuer,
        tokenId: principal?.tokenId,
      },
      from: { address: this.#address },
      what: { ...asked(interaction), method: this.#arrival.method, origin: call?.origin, path: call?.segments.join("/") },
      why: principal && {
        purposes: [principal.purpose],
        agreement: principal.agreement,
        policy: policyDigest,
        grant: `${principal.client.id}/${principal.grant.origin}/${principal.grant.purpose}`,
      },
      outcome,
      patients: disclosure?.patients ?? [],
      unnamed: disclosure?.unnamed ?? [],
      counts: disclosure?.counts ?? {},
      withheld: disclosure && { paths: disclosure.withheldPaths.slice(0, withheldPathsMax), resources: disclosure.withheldResources },
      traceId: call?.traceId,
    };
    return this.#ports.ledger.record([event], this.#sender(principal));
  }

  get #address(): string {
    return this.#arrival.headers.get("cf-connecting-ip") ?? "";
  }

  /** An anonymous refusal stays with its address, so that a flood meets one log and its cap. */
  #sender(principal: Principal | undefined): Sender {
    return principal === undefined
      ? { kind: "address", address: this.#address }
      : { kind: "client", client: principal.client.id, requestId: this.#arrival.id, spread: this.#ports.ledgerSpread };
  }
}

/** The interaction as the record names it; search values may name a patient, and the record is sealed. */
function asked(interaction: Interaction | undefined): AuditEvent["what"] {
  if (interaction === undefined) return {};
  switch (interaction.kind) {
    case "read":
      return { interaction: "read", type: interaction.type, id: interaction.id };
    case "search":
      return {
        interaction: "search-type",
        type: interaction.type,
        parameters: interaction.parameters.map(
          ({ definition, values }) => [definition.code, values.map(({ text }) => text).join(",")] as const,
        ),
      };
  }
}
