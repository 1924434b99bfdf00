import type { AuditEvent, EventKind } from "#audit/event";
import type { AccountingCaller } from "#audit/disclosures";
import type { Counted, ProofSink, RecordProver, Recorded, Replayed } from "#audit/ports";
import { utf8 } from "#fhir/bytes";
import type { Interaction } from "#fhir/interaction";
import type { Principal } from "#identity/principal";
import type { ProofVerifier } from "#identity/proof";
import { formatReceipt } from "#ledger/receipt";
import type { Sender } from "#ledger/shard-choice";
import { exhaustedHeaders, rateLimitHeaders } from "#limits/headers";
import type { Budget } from "#limits/ports";
import { windowBytes, type DisclosedWindow, type Disclosure } from "#phi/disclosure";
import { Residences } from "#phi/residences";
import type { Arrival, Call } from "./admit.ts";
import { baseHeaders, outcomeAnswer } from "./answer.ts";
import { asksForProof } from "./asks-for-proof.ts";
import { letPageRead } from "./browser-apps.ts";
import { acceptSignature, challenge, isOfSignature, scopeChallenge } from "./challenge.ts";
import { etagOf, isKnown, lastModified, type Validators } from "./etag.ts";
import { faceOf, type GatewayRefusal } from "./refusal.ts";
import { signAnswer, type SignAnswerPorts, type SignedBody } from "./sign-answer.ts";
import { onRecord } from "./on-record.ts";
import { inAppends, withheldPathsMax, type Part } from "./parts.ts";
import { sendWindows } from "./windows.ts";
import { withStates } from "./with-states.ts";
import { writeAnswer, type WriteOutcome } from "./write-answer.ts";
import type { ConcernedBy } from "./write-plan.ts";

export interface TrailPorts extends SignAnswerPorts {
  readonly ledger: ProofSink;
  readonly recordProver: RecordProver;
  readonly proofs: ProofVerifier;
  /** Over how many logs one client's records are spread. */
  readonly ledgerSpread: number;
  readonly publicUrl: string;
  /** 0 ≤ x < 1. */
  readonly jitter: () => number;
  /** Lets work go on after the answer was begun: an answer in windows is still being written and recorded then. */
  readonly keepAlive: (work: Promise<void>) => void;
}

/** What became known of a request on its way, one stage after the other. */
interface Facts {
  readonly call?: Call;
  /** `x5t#S256` of a verified certificate. */
  readonly certificate?: string;
  readonly principal?: Principal;
  /** `kid` of the key that signed the request. */
  readonly signedBy?: string | undefined;
  readonly budgets?: readonly Budget[];
  readonly interaction?: Interaction;
  readonly policyDigest?: string;
}

/** Follows one request and ends it: every way out records first and answers then. When the record fails it throws, and nothing leaves. */
export class Trail {
  /** Where the patients live whom a record names, by the bodies that were read meanwhile. */
  readonly residences: Residences;
  readonly #arrival: Arrival;
  readonly #ports: TrailPorts;
  #facts: Facts = {};
  /** The request's proof was used up by its first record, or by another request before it. */
  #proofSpent = false;
  /** The first record of a write that was sent: its receipt. */
  #intended: Recorded | Counted | undefined;
  /** What the answer's receipt is of. */
  #receipt: Recorded | undefined;
  /** Of the parts of a batch: each event has a step of its own. */
  #partsRecorded = 0;

  constructor(arrival: Arrival, ports: TrailPorts) {
    this.residences = new Residences(arrival.at);
    this.#arrival = arrival;
    this.#ports = ports;
  }

  learn(facts: Facts): void {
    this.#facts = { ...this.#facts, ...facts };
  }

  /** Who asks, for what the ledger records of it itself. */
  get caller(): AccountingCaller {
    const { id, at, who, from, why, traceId } = this.#event("notice", undefined);
    return { id, at, who, from, why, traceId };
  }

  async refuse(refusal: GatewayRefusal): Promise<Response> {
    const { call, principal } = this.#facts;
    const face = faceOf(refusal);
    const about = "concerned" in refusal ? refusal.concerned : undefined;
    const named = about === undefined ? { patients: this.#askedInVain(face.status) } : this.#named(about);
    const event = { ...this.#event("refusal", { status: face.status, reason: refusal.reason }), ...named };
    const recorded = await this.#recordFirst([event]);
    if (recorded === "replayed") return this.refuse({ reason: "proof_replayed" });
    const headers = this.#headers(recorded);
    if ("nonce" in refusal) headers.set("dpop-nonce", refusal.nonce);
    if ("retryAfterSeconds" in refusal && "policy" in refusal) {
      // Of a quota: the others that were spent from are told beside it.
      const { budgets = [] } = this.#facts;
      for (const [name, value] of Object.entries(exhaustedHeaders(refusal, budgets, this.#ports.jitter()))) headers.set(name, value);
    }
    if (refusal.reason === "origin_circuit_open") headers.set("retry-after", String(refusal.retryAfterSeconds));
    if (refusal.reason === "method_not_supported") headers.set("allow", refusal.allow.join(", ")); // RFC 9110 §15.5.6
    if (isOfSignature(refusal)) headers.set("accept-signature", acceptSignature(this.#arrival));
    if (face.status === 401) headers.set("www-authenticate", challenge(this.#ports.publicUrl, call?.origin, call?.scheme, refusal));
    if (refusal.reason === "scope_insufficient" && call?.scheme !== undefined)
      headers.set("www-authenticate", scopeChallenge(call.scheme, principal?.patient, refusal));
    const answer = outcomeAnswer(this.#arrival.id, face, this.#mediaType, headers, "issues" in refusal ? refusal.issues : []);
    return this.#signed(answer, async () => [await answer.clone().bytes()]);
  }

  /** An answer with nothing of the origin's in it, on record all the same. */
  async tell(resource: object): Promise<Response> {
    const recorded = await this.#recordFirst([this.#event("notice", { status: 200 })]);
    if (recorded === "replayed") return this.refuse({ reason: "proof_replayed" });
    const body = JSON.stringify(resource);
    const headers = this.#answerHeaders(recorded, 200);
    return this.#signed(new Response(this.#arrival.method === "HEAD" ? null : body, { status: 200, headers }), () => [utf8(body)]);
  }

  /**
   * A write is about to be sent: on record with whom it is about, before the origin hears of it (P1). What comes back is an answer when it
   * may not be sent.
   */
  async intend(concerned: ConcernedBy): Promise<Response | undefined> {
    const recorded = await this.#recordFirst([{ ...this.#event("intent", {}), ...this.#named(concerned) }]);
    if (recorded === "replayed") return this.refuse({ reason: "proof_replayed" });
    this.#intended = recorded;
    return undefined;
  }

  /** How a write ended, on record before the answer, in one append with what the answer discloses. Without an intent nothing was sent. */
  async conclude(outcome: WriteOutcome): Promise<Response> {
    const [step, withheld] = [this.#intended === undefined ? 0 : 1, outcome.disclosure?.withheldPaths.slice(0, withheldPathsMax) ?? []];
    const { status, type, id, reason, disclosure } = outcome;
    const event = this.#event("write", { status, reason });
    const written: AuditEvent = { ...event, ...this.#named(outcome.concerned), what: { ...event.what, type, id }, step };
    const [window] = disclosure?.windows ?? []; // of one resource there is one
    const events =
      window === undefined ? [written] : [written, { ...this.#disclosure(window, withheld, status), what: written.what, step: step + 1 }];
    const recorded = this.#intended === undefined ? await this.#recordFirst(events) : await this.#record(events);
    if (recorded === "replayed") return this.refuse({ reason: "proof_replayed" });
    const headers = this.#headers(this.#intended ?? recorded);
    const answer = writeAnswer(outcome, {
      id: this.#arrival.id,
      mediaType: this.#mediaType,
      policyDigest: this.#facts.policyDigest ?? "",
      headers,
    });
    return this.#signed(answer, async () => [await answer.clone().bytes()]);
  }

  /** As {@link intend}, for the writes of a batch or a transaction. */
  async intendParts(parts: readonly Part[]): Promise<Response | undefined> {
    const recorded = await this.#recordParts(parts);
    if (recorded === "replayed") return this.refuse({ reason: "proof_replayed" });
    this.#intended = recorded;
    return undefined;
  }

  /** How the writes of a batch or a transaction ended, on record before anything else is asked. */
  async noteParts(parts: readonly Part[]): Promise<void> {
    await this.#recordParts(parts); // after the intent: a proof is used up by then
  }

  /** The answer to a batch or a transaction, or why there is none, once all that it says and did is on record. */
  async concludeParts(parts: readonly Part[], said: Uint8Array<ArrayBuffer> | GatewayRefusal): Promise<Response> {
    const recorded = parts.length === 0 && this.#intended !== undefined ? this.#intended : await this.#recordParts(parts);
    if (recorded === "replayed") return this.refuse({ reason: "proof_replayed" });
    const receipt = this.#intended ?? recorded;
    if (said instanceof Uint8Array)
      return this.#signed(new Response(said, { status: 200, headers: this.#answerHeaders(receipt, 200) }), () => [said]);
    const headers = this.#headers(receipt);
    if ("retryAfterSeconds" in said) headers.set("retry-after", String(said.retryAfterSeconds));
    const answer = outcomeAnswer(this.#arrival.id, faceOf(said), this.#mediaType, headers);
    return this.#signed(answer, async () => [await answer.clone().bytes()]);
  }

  #partEvent({ kind, what, outcome, ...about }: Part): AuditEvent {
    const [event, step] = [this.#event(kind, outcome), this.#partsRecorded];
    this.#partsRecorded += 1;
    return { ...event, ...about, what: { ...event.what, ...what }, step };
  }

  async #recordParts(parts: readonly Part[]): Promise<Recorded | Counted | Replayed> {
    let first: Recorded | Counted | undefined;
    for (const group of inAppends(parts)) {
      const recorded = await this.#recordFirst(group.map((part) => this.#partEvent(part)));
      if (recorded === "replayed") return recorded;
      first ??= recorded;
    }
    if (first === undefined) throw new Error("an answer without a record");
    return first;
  }

  #named({ patients, unnamed }: ConcernedBy): Pick<AuditEvent, "patients" | "unnamed"> {
    const { call, interaction } = this.#facts;
    const { type, id } = onRecord(interaction);
    return {
      patients: [...patients].map((patient) => ({ patient: `${call?.origin}/Patient/${patient}`, counts: {} })),
      unnamed: unnamed && type !== undefined ? [id === undefined ? type : `${type}/${id}`] : [],
    };
  }

  /**
   * A HEAD, and a condition that holds, are answered without the body and on record with all of it: their headers confirm a guess at it.
   * Up to 1 MiB: one record before the first byte. Longer: the intent and the first window in one append, then each further window before
   * its own bytes. `stillGood` throws when the client may not be answered any longer.
   */
  async release({ windows, withheldPaths, representation, headers: own }: Disclosure, stillGood: () => Promise<void>): Promise<Response> {
    const [first, ...further] = windows;
    if (first === undefined) throw new Error("a disclosure of nothing");
    const { headers: asked, method } = this.#arrival;
    const etag = representation && etagOf(first.body, this.#facts.policyDigest ?? "");
    const validators = representation && etag !== undefined ? { etag, ...representation } : undefined;
    const status = validators !== undefined && isKnown(asked, validators) ? 304 : 200;
    const bodiless = status === 304 || method === "HEAD";

    const withheld = withheldPaths.slice(0, withheldPathsMax);
    const event = (window: DisclosedWindow) => this.#disclosure(window, withheld, status);
    if (further.length === 0 && (bodiless || first.body.length <= windowBytes)) {
      const recorded = await this.#recordFirst([event(first)]);
      if (recorded === "replayed") return this.refuse({ reason: "proof_replayed" });
      const headers = this.#answerHeaders(recorded, status, validators, own);
      return this.#signed(new Response(bodiless ? null : first.body, { status, headers }), () => [first.body]);
    }
    const numbered = (window: DisclosedWindow, number: number): AuditEvent => ({
      ...event(window),
      step: number, // the intent is step 0
      window: { number, complete: number === windows.length },
    });
    const intent: AuditEvent = { ...this.#event("intent", { status }), withheld: { paths: withheld } };
    const recorded = await this.#recordFirst([intent, numbered(first, 1)]);
    if (recorded === "replayed") return this.refuse({ reason: "proof_replayed" });
    const answer = { status, headers: this.#answerHeaders(recorded, status, validators, own) };
    const { headers } = await this.#signed(answer, () => windows.map(({ body }) => body));
    if (bodiless) {
      for (const [index, window] of further.entries()) await this.#record([numbered(window, index + 2)]);
      return new Response(null, { status, headers });
    }
    const { readable, work } = sendWindows(windows, {
      stillGood,
      record: async (window, number) => void (await this.#record([numbered(window, number)])),
      // After every window there could be: one whose record got no answer may be on record all the same, under its own step.
      abort: async (reason) => void (await this.#record([{ ...this.#event("aborted", { reason }), step: windows.length + 1 }])),
    });
    this.#ports.keepAlive(work);
    return new Response(readable, { status: 200, headers });
  }

  /** Each answer to somebody known passes here last, once it is on record: the receipt is signed, too. */
  async #signed<T extends Pick<Response, "status" | "headers">>(answer: T, body: SignedBody): Promise<T> {
    await this.#addProof(answer.headers);
    await signAnswer({ status: answer.status, headers: answer.headers, body }, this.#arrival, this.#facts, this.#ports);
    return answer;
  }

  /** `Prefer: audit-proof` of somebody known: the receipt with its proof. Whoever is nobody can ask the ledger itself. */
  async #addProof(headers: Headers): Promise<void> {
    if (this.#receipt === undefined || this.#facts.principal === undefined || !asksForProof(this.#arrival.headers)) return;
    const proof = await this.#ports.recordProver.prove(this.#receipt);
    if (proof === undefined) return;
    headers.set("phylax-receipt", formatReceipt({ ...this.#receipt, proof }));
    headers.append("preference-applied", "audit-proof"); // RFC 7240 §3
  }

  get #mediaType(): Call["mediaType"] {
    return this.#facts.call?.mediaType ?? "application/fhir+json";
  }

  #headers(recorded: Recorded | Counted): Headers {
    const headers = baseHeaders(this.#arrival.id);
    letPageRead(headers, this.#page);
    if (recorded !== "counted") {
      this.#receipt = recorded;
      headers.set("phylax-receipt", formatReceipt(recorded));
    }
    const { budgets, principal } = this.#facts;
    const jkt = principal?.proof?.jkt; // RFC 9449 §8.2: the next proof's nonce comes with this answer
    if (jkt !== undefined) headers.set("dpop-nonce", this.#ports.proofs.nonce(jkt, this.#arrival.at));
    if (budgets !== undefined) for (const [name, value] of Object.entries(rateLimitHeaders(budgets))) headers.set(name, value);
    return headers;
  }

  /** Before the client is known every registered page may read why it was refused; then only the client's own. */
  get #page(): string | undefined {
    const { page } = this.#arrival;
    const { principal } = this.#facts;
    return page === undefined || principal === undefined || principal.client.corsOrigins.includes(page) ? page : undefined;
  }

  #answerHeaders(
    recorded: Recorded | Counted,
    status: number,
    validators?: Validators,
    own: Readonly<Record<string, string>> = {},
  ): Headers {
    const headers = this.#headers(recorded);
    if (status !== 304) headers.set("content-type", `${this.#mediaType}; charset=utf-8`); // RFC 9110 §15.4.5
    for (const [name, value] of Object.entries(own)) headers.set(name, value);
    if (validators === undefined) return headers;
    headers.set("etag", validators.etag);
    const modified = lastModified(validators.lastUpdated);
    if (modified !== undefined) headers.set("last-modified", modified);
    return headers;
  }

  /** The first append of this request uses its proof up: of all requests with one proof, one gets past here. */
  async #recordFirst(events: readonly AuditEvent[]): Promise<Recorded | Counted | Replayed> {
    const proof = this.#facts.principal?.proof;
    if (proof === undefined || this.#proofSpent) return this.#record(events);
    this.#proofSpent = true;
    return this.#ports.ledger.recordOnce(this.#located(events), proof);
  }

  #record(events: readonly AuditEvent[]): Promise<Recorded | Counted> {
    return this.#ports.ledger.record(this.#located(events), this.#sender(this.#facts.principal));
  }

  #located(events: readonly AuditEvent[]): readonly AuditEvent[] {
    return events.map((event) => withStates(event, this.residences));
  }

  #disclosure({ patients, unnamed, counts, withheldResources }: DisclosedWindow, paths: readonly string[], status: number): AuditEvent {
    return { ...this.#event("disclosure", { status }), patients, unnamed, counts, withheld: { paths, resources: withheldResources } };
  }

  #event(kind: EventKind, outcome: AuditEvent["outcome"]): AuditEvent {
    const { call, certificate, principal, signedBy, interaction, policyDigest } = this.#facts;
    return {
      id: this.#arrival.id,
      at: this.#arrival.at,
      kind,
      who: {
        client: principal?.client.id,
        certificate: principal?.certificate ?? certificate,
        jkt: principal?.proof?.jkt,
        issuer: principal?.issuer,
        tokenId: principal?.tokenId,
        subject: principal?.client.external && principal.subject, // of the built-in issuer the client itself
        user: principal?.user,
        patient: principal?.patient,
        unbound: principal?.unbound === true ? true : undefined,
        signedBy,
      },
      from: { address: this.#address },
      what: { ...onRecord(interaction), method: this.#arrival.method, origin: call?.origin, path: call?.segments.join("/") },
      why: principal && {
        purposes: [principal.purpose],
        agreement: principal.agreement,
        policy: policyDigest,
        grant: `${principal.client.id}/${principal.grant.origin}/${principal.grant.purpose}`,
      },
      outcome,
      patients: [],
      unnamed: [],
      counts: {},
      traceId: call?.traceId,
    };
  }

  /** That a patient is not there tells about that patient, if only that somebody asked. */
  #askedInVain(status: number): AuditEvent["patients"] {
    const { call, interaction } = this.#facts;
    if (status !== 404 || call === undefined || interaction === undefined || !("id" in interaction)) return [];
    return interaction.type === "Patient" ? [{ patient: `${call.origin}/Patient/${interaction.id}`, counts: {} }] : [];
  }

  get #address(): string {
    return this.#arrival.headers.get("cf-connecting-ip") ?? "";
  }

  /** An anonymous refusal stays with its address, so that a flood meets one log and its cap. */
  #sender(principal: Principal | undefined): Sender {
    if (principal === undefined) return { kind: "address", address: this.#address };
    const { client, proof } = principal;
    if (proof !== undefined) return { kind: "key", jkt: proof.jkt };
    return { kind: "client", client: client.id, requestId: this.#arrival.id, spread: this.#ports.ledgerSpread };
  }
}
