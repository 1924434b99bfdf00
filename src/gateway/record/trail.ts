import type { Counted, RecordProver, Recorded } from "#audit/ports";
import { utf8 } from "#fhir/json/bytes";
import type { ProofVerifier } from "#identity/proof";
import { formatReceipt } from "#ledger/receipt";
import { exhaustedHeaders, rateLimitHeaders } from "#limits/headers";
import type { Budget } from "#limits/ports";
import { windowBytes, type DisclosedWindow, type Disclosure } from "#phi/disclosure";
import type { Arrival, Call } from "#gateway/admission/admit";
import { baseHeaders, outcomeAnswer } from "#gateway/answer/answer";
import { asksForProof } from "#gateway/admission/asks-for-proof";
import { letPageRead } from "#gateway/answer/page-reads";
import { acceptSignature, challenge, isOfSignature, scopeChallenge } from "#gateway/answer/challenge";
import { etagOf, isKnown, lastModified, type Validators } from "#gateway/read/etag";
import type { Part } from "./parts.ts";
import { Recorder, type Appended, type RecorderPorts, type RequestFacts } from "./recorder.ts";
import { faceOf } from "#entrypoint/gateway-face";
import type { GatewayRefusal } from "#gateway/outcome";
import type { ReleaseGate } from "#gateway/admission/release-gate";
import { signAnswer, type SignAnswerPorts, type SignedBody } from "#gateway/answer/sign-answer";
import { sendWindows } from "#gateway/answer/windows";
import { writeAnswer } from "#gateway/answer/write-answer";
import type { WriteOutcome } from "#gateway/write/write-outcome";
import type { ConcernedBy } from "#gateway/origin/concerned-by-write";

export interface TrailPorts extends SignAnswerPorts, RecorderPorts {
  readonly recordProver: RecordProver;
  readonly proofs: ProofVerifier;
  readonly publicUrl: string;
  /** 0 ≤ x < 1. */
  readonly jitter: () => number;
  /** Lets work go on after the answer was begun: an answer in windows is still being written and recorded then. */
  readonly keepAlive: (work: Promise<void>) => void;
}

/** Answers one request: every way out is on record first. When the record fails it throws, and nothing leaves. */
export class Trail {
  readonly #arrival: Arrival;
  readonly #ports: TrailPorts;
  readonly #recorder: Recorder;
  /** Where the budgets of the client are known from. */
  #gate: ReleaseGate | undefined;
  /** What the answer's receipt is of. */
  #receipt: Recorded | undefined;

  constructor(arrival: Arrival, ports: TrailPorts) {
    this.#arrival = arrival;
    this.#ports = ports;
    this.#recorder = new Recorder(arrival, ports);
  }

  learn({ gate, ...facts }: RequestFacts & { readonly gate?: ReleaseGate }): void {
    if (gate !== undefined) this.#gate = gate;
    this.#recorder.learn(facts);
  }

  /** Who asks, for what the ledger records of it itself. */
  get caller() {
    return this.#recorder.caller;
  }

  get #facts(): RequestFacts {
    return this.#recorder.facts;
  }

  /** A refusal that a row decided tells of that row: the names of those whom it concerns are paid for like those of an answer. */
  async refuse(refusal: GatewayRefusal): Promise<Response> {
    const concerned = this.#facts.origin?.concerned;
    const paid =
      concerned === undefined || concerned.due() === 0 ? undefined : await this.#gate?.spendNames(concerned);
    return paid?.ok === false ? this.#refuse(paid.error) : this.#refuse(refusal, concerned?.alone());
  }

  async #refuse(refusal: GatewayRefusal, decidedBy?: DisclosedWindow): Promise<Response> {
    const { call, principal } = this.#facts;
    const face = faceOf(refusal);
    const recorded = await this.#recorder.refusal(face.status, refusal.reason, decidedBy);
    if (recorded === "replayed") return this.#refuse({ reason: "proof_replayed" });
    const headers = this.#headers(recorded);
    if ("nonce" in refusal) headers.set("dpop-nonce", refusal.nonce);
    if ("retryAfterSeconds" in refusal && "policy" in refusal) {
      // Of a quota: the others that were spent from are told beside it.
      for (const [name, value] of Object.entries(
        exhaustedHeaders(refusal, this.#budgets ?? [], this.#ports.jitter()),
      ))
        headers.set(name, value);
    } else if ("retryAfterSeconds" in refusal) headers.set("retry-after", String(refusal.retryAfterSeconds));
    if (refusal.reason === "method_not_supported") headers.set("allow", refusal.allow.join(", ")); // RFC 9110 §15.5.6
    if (isOfSignature(refusal)) headers.set("accept-signature", acceptSignature(this.#arrival));
    if (face.status === 401)
      headers.set("www-authenticate", challenge(this.#ports.publicUrl, call?.origin, call?.scheme, refusal));
    if (refusal.reason === "scope_insufficient" && call?.scheme !== undefined)
      headers.set("www-authenticate", scopeChallenge(call.scheme, principal?.patient, refusal));
    const answer = outcomeAnswer(
      this.#arrival.id,
      face,
      this.#mediaType,
      headers,
      "issues" in refusal ? refusal.issues : [],
    );
    return this.#signed(answer, async () => [await answer.clone().bytes()]);
  }

  /** An answer with nothing of the origin's in it, on record all the same. */
  async tell(resource: object): Promise<Response> {
    const recorded = await this.#recorder.notice(200);
    if (recorded === "replayed") return this.#refuse({ reason: "proof_replayed" });
    const body = JSON.stringify(resource);
    const headers = this.#answerHeaders(recorded, 200);
    return this.#signed(
      new Response(this.#arrival.method === "HEAD" ? null : body, { status: 200, headers }),
      () => [utf8(body)],
    );
  }

  /**
   * A write is about to be sent: on record with whom it is about, before the origin hears of it (P1). What comes back is an answer when it
   * may not be sent.
   */
  async intend(concerned: ConcernedBy): Promise<Response | undefined> {
    return this.#unlessReplayed(await this.#recorder.intent(concerned));
  }

  /** How a write ended, on record before the answer, in one append with what the answer discloses. Without an intent nothing was sent. */
  async conclude(outcome: WriteOutcome): Promise<Response> {
    const recorded = await this.#recorder.written(outcome);
    if (recorded === "replayed") return this.#refuse({ reason: "proof_replayed" });
    const answer = writeAnswer(outcome, {
      id: this.#arrival.id,
      mediaType: this.#mediaType,
      policyDigest: this.#facts.policyDigest ?? "",
      headers: this.#headers(recorded),
    });
    return this.#signed(answer, async () => [await answer.clone().bytes()]);
  }

  /** As {@link intend}, for the writes of a batch or a transaction. */
  async intendParts(parts: readonly Part[]): Promise<Response | undefined> {
    return this.#unlessReplayed(await this.#recorder.intentParts(parts));
  }

  /** How the writes of a batch or a transaction ended, on record before anything else is asked. */
  noteParts(parts: readonly Part[]): Promise<void> {
    return this.#recorder.endedParts(parts);
  }

  /** The answer to a batch or a transaction, or why there is none, once all that it says and did is on record. */
  async concludeParts(
    parts: readonly Part[],
    said: Uint8Array<ArrayBuffer> | GatewayRefusal,
  ): Promise<Response> {
    const receipt = await this.#recorder.lastParts(parts);
    if (receipt === "replayed") return this.#refuse({ reason: "proof_replayed" });
    if (said instanceof Uint8Array)
      return this.#signed(
        new Response(said, { status: 200, headers: this.#answerHeaders(receipt, 200) }),
        () => [said],
      );
    const headers = this.#headers(receipt);
    if ("retryAfterSeconds" in said) headers.set("retry-after", String(said.retryAfterSeconds));
    const answer = outcomeAnswer(
      this.#arrival.id,
      faceOf(said),
      this.#mediaType,
      headers,
      "issues" in said ? said.issues : [],
    );
    return this.#signed(answer, async () => [await answer.clone().bytes()]);
  }

  #unlessReplayed(recorded: Appended): Promise<Response> | undefined {
    return recorded === "replayed" ? this.#refuse({ reason: "proof_replayed" }) : undefined;
  }

  /**
   * A HEAD, and a condition that holds, are answered without the body and on record with all of it: their headers confirm a guess at it.
   * Up to 1 MiB: one record before the first byte. Longer: the intent and the first window in one append, then each further window before
   * its own bytes. `stillGood` throws when the client may not be answered any longer.
   */
  async release(released: Disclosure, stillGood: () => Promise<void>): Promise<Response> {
    const disclosure = this.#facts.origin?.concerned.join(released);
    if (disclosure === undefined) return this.refuse({ reason: "answer_too_large" });
    const { windows, representation, headers: own } = disclosure;
    const [first, ...further] = windows;
    if (first === undefined) throw new Error("a disclosure of nothing");
    const { headers: asked, method } = this.#arrival;
    const etag = representation && etagOf(first.body, this.#facts.policyDigest ?? "");
    const validators = representation && etag !== undefined ? { etag, ...representation } : undefined;
    const status = validators !== undefined && isKnown(asked, validators) ? 304 : 200;
    const bodiless = status === 304 || method === "HEAD";

    if (further.length === 0 && (bodiless || first.body.length <= windowBytes)) {
      const recorded = await this.#recorder.disclosure(first, disclosure, status);
      if (recorded === "replayed") return this.#refuse({ reason: "proof_replayed" });
      const headers = this.#answerHeaders(recorded, status, validators, own);
      return this.#signed(new Response(bodiless ? null : first.body, { status, headers }), () => [
        first.body,
      ]);
    }
    const recorded = await this.#recorder.firstWindow(disclosure, status);
    if (recorded === "replayed") return this.#refuse({ reason: "proof_replayed" });
    const answer = { status, headers: this.#answerHeaders(recorded, status, validators, own) };
    const { headers } = await this.#signed(answer, () => windows.map(({ body }) => body));
    if (bodiless) {
      for (const [index, window] of further.entries())
        await this.#recorder.window(window, index + 2, disclosure, status);
      return new Response(null, { status, headers });
    }
    const { readable, work } = sendWindows(windows, {
      stillGood,
      record: (window, number) => this.#recorder.window(window, number, disclosure, status),
      abort: (reason) => this.#recorder.aborted(reason, disclosure),
    });
    this.#ports.keepAlive(work);
    return new Response(readable, { status: 200, headers });
  }

  /** Each answer to somebody known passes here last, once it is on record: the receipt is signed, too. */
  async #signed<T extends Pick<Response, "status" | "headers">>(answer: T, body: SignedBody): Promise<T> {
    await this.#addProof(answer.headers);
    await signAnswer(
      { status: answer.status, headers: answer.headers, body },
      this.#arrival,
      this.#facts,
      this.#ports,
    );
    return answer;
  }

  /** `Prefer: audit-proof` of somebody known: the receipt with its proof. Whoever is nobody can ask the ledger itself. */
  async #addProof(headers: Headers): Promise<void> {
    if (
      this.#receipt === undefined ||
      this.#facts.principal === undefined ||
      !asksForProof(this.#arrival.headers)
    )
      return;
    const proof = await this.#ports.recordProver.prove(this.#receipt);
    if (proof === undefined) return;
    headers.set("phylax-receipt", formatReceipt({ ...this.#receipt, proof }));
    headers.append("preference-applied", "audit-proof"); // RFC 7240 §3
  }

  get #budgets(): readonly Budget[] | undefined {
    return this.#gate?.budgets;
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
    const { principal } = this.#facts;
    const jkt = principal?.proof?.jkt; // RFC 9449 §8.2: the next proof's nonce comes with this answer
    if (jkt !== undefined) headers.set("dpop-nonce", this.#ports.proofs.nonce(jkt, this.#arrival.at));
    const budgets = this.#budgets;
    if (budgets !== undefined)
      for (const [name, value] of Object.entries(rateLimitHeaders(budgets))) headers.set(name, value);
    return headers;
  }

  /** Before the client is known every registered page may read why it was refused; then only the client's own. */
  get #page(): string | undefined {
    const { page } = this.#arrival;
    const { principal } = this.#facts;
    return page === undefined || principal === undefined || principal.client.corsOrigins.includes(page)
      ? page
      : undefined;
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
}
