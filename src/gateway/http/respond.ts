import type { RecordProver } from "#audit/ports";
import { setAll, type HeaderFields } from "#entrypoint/base-headers";
import { faceOf } from "#entrypoint/gateway-face";
import { receiptHeader } from "#entrypoint/request-records";
import { doneOutcome } from "#fhir/outcome";
import { asksForOutcome } from "#fhir/preconditions";
import type { AnswerSigner } from "#identity/answer-signature";
import { utf8 } from "#kernel/encoded";
import { bundleText } from "#gateway/change/bundle-text";
import type { GatewayRefusal } from "#gateway/outcome";
import type { ReleasedAnswer, ReleasedOutcome } from "#gateway/release";
import type { Arrival, Call } from "./admit.ts";
import { addRefusalHeaders, bodyFields, recordedFields, type AnswerHeadersPorts } from "./answer-headers.ts";
import { outcomeAnswer } from "./answer.ts";
import { asksForProof } from "./asks-for-proof.ts";
import { sendWindows } from "./send-windows.ts";
import { targetUri, type AskedName } from "./prove-signed.ts";

export interface RespondPorts extends AskedName, AnswerHeadersPorts {
  readonly answers: AnswerSigner;
  readonly recordProver: RecordProver;
  /** Lets work go on after the answer was begun: an answer in windows is still being written then. */
  readonly keepAlive: (work: Promise<void>) => void;
}

type SignedBody = () => readonly Uint8Array[] | Promise<readonly Uint8Array[]>;

/** Writes a released answer as a Response. @param call undefined: the request was not admitted. */
export function respond(
  answer: ReleasedAnswer,
  arrival: Arrival,
  call: Call | undefined,
  ports: RespondPorts,
): Promise<Response> {
  return new Responder(answer, arrival, call, ports).response();
}

class Responder {
  readonly #answer: ReleasedAnswer;
  readonly #arrival: Arrival;
  readonly #call: Call | undefined;
  readonly #ports: RespondPorts;

  constructor(answer: ReleasedAnswer, arrival: Arrival, call: Call | undefined, ports: RespondPorts) {
    this.#answer = answer;
    this.#arrival = arrival;
    this.#call = call;
    this.#ports = ports;
  }

  async response(): Promise<Response> {
    const { outcome } = this.#answer;
    const { id } = this.#arrival;
    switch (outcome.kind) {
      case "refused":
        return this.#refused(outcome.refusal);
      case "local":
        return this.#whole(this.#arrival.method === "HEAD" ? null : outcome.text, utf8(outcome.text));
      case "shown":
        return this.#shown(outcome);
      case "written":
        return this.#signedWhole(this.#written(outcome));
      case "batch":
      case "transaction": {
        const { kind, entries, doneText } = outcome;
        const bytes =
          doneText === undefined
            ? bundleText(kind, entries, id)
            : utf8(JSON.stringify(doneOutcome(id, doneText)));
        return this.#whole(bytes, bytes);
      }
    }
  }

  async #shown({
    status,
    body,
    pieces,
    validators,
    headers,
  }: Extract<ReleasedOutcome, { kind: "shown" }>): Promise<Response> {
    const fields = this.#fields();
    Object.assign(fields, bodyFields(status, this.#mediaType, validators), headers);
    const head = this.#isProvenOrSigned
      ? (await this.#signed({ status, headers: new Headers(fields) }, pieces)).headers
      : fields;
    if (body === undefined || body instanceof Uint8Array)
      return new Response(body ?? null, { status, headers: head });
    const { readable, work } = sendWindows(body);
    this.#ports.keepAlive(work);
    return new Response(readable, { status, headers: head });
  }

  /** FHIR R4 http §3.1.0.4, §3.1.0.8. The body has only the redacted resource of the origin. */
  #written({ write, validators }: Extract<ReleasedOutcome, { kind: "written" }>): Response {
    const { refusal, reason, location, returns, disclosure } = write;
    let { status } = write;
    const headers = new Headers(this.#fields());
    if (refusal !== undefined) {
      if ("retryAfterSeconds" in refusal) headers.set("retry-after", String(refusal.retryAfterSeconds));
      return outcomeAnswer(this.#arrival.id, faceOf(refusal), this.#mediaType, headers);
    }
    if (location !== undefined) headers.set("location", location);
    const [window] = reason === undefined ? (disclosure?.windows ?? []) : [];
    let body: BodyInit | null = window?.body ?? null;
    if (reason === undefined && asksForOutcome(returns)) {
      body = JSON.stringify(doneOutcome(this.#arrival.id));
      if (status === 204) status = 200;
    }
    if (body !== null) setAll(headers, bodyFields(status, this.#mediaType, window && validators));
    return new Response(body, { status, headers });
  }

  #refused(refusal: GatewayRefusal): Promise<Response> {
    const face = faceOf(refusal);
    const headers = new Headers(this.#fields());
    addRefusalHeaders(headers, refusal, face.status, this.#arrival, this.#call, this.#answer, this.#ports);
    const issues = "issues" in refusal ? refusal.issues : [];
    return this.#signedWhole(outcomeAnswer(this.#arrival.id, face, this.#mediaType, headers, issues));
  }

  #whole(body: BodyInit | null, bytes: Uint8Array): Promise<Response> {
    const headers = { ...this.#fields(), ...bodyFields(200, this.#mediaType, undefined) };
    return this.#signed(new Response(body, { status: 200, headers }), () => [bytes]);
  }

  get #mediaType(): Call["mediaType"] {
    return this.#call?.mediaType ?? "application/fhir+json";
  }

  #fields(): HeaderFields {
    return recordedFields(this.#arrival, this.#answer, this.#ports);
  }

  get #isProvenOrSigned(): boolean {
    const { who, recorded } = this.#answer;
    return (
      who !== undefined &&
      (who.grant.signedResponses || (recorded !== "counted" && asksForProof(this.#arrival.headers)))
    );
  }

  #signedWhole(answer: Response): Promise<Response> {
    return this.#signed(answer, async () => [await answer.clone().bytes()]);
  }

  /**
   * The last step of each answer: the signature covers the receipt, too. It throws when the answer cannot be signed:
   * then the answer must not leave. Answers to unknown callers are not signed.
   *
   * @param body as it will leave: it is made only for a signature.
   */
  async #signed<T extends Pick<Response, "status" | "headers">>(answer: T, body: SignedBody): Promise<T> {
    const { status, headers } = answer;
    await this.#addProof(headers);
    const [call, who] = [this.#call, this.#answer.who];
    if (call === undefined || who?.grant.signedResponses !== true) return answer;
    // RFC 9111 §5.2.2.6: compression on the way would change the bytes of the digest
    headers.set("cache-control", "no-store, no-transform");
    const { method, headers: asked } = this.#arrival;
    const fields = await this.#ports.answers.sign(
      // RFC 9110 §6.4.1: no body follows
      { status, headers, body: method === "HEAD" || status === 304 ? undefined : await body() },
      { method, url: targetUri(this.#ports, call), headers: asked, signatureRead: who.grant.signedRequests },
    );
    setAll(headers, fields);
    return answer;
  }

  /**
   * `Prefer: audit-proof` of a known caller: the receipt with its proof. An unknown caller can ask the
   * ledger itself.
   */
  async #addProof(headers: Headers): Promise<void> {
    const { who, recorded } = this.#answer;
    if (recorded === "counted" || who === undefined || !asksForProof(this.#arrival.headers)) return;
    const proof = await this.#ports.recordProver.prove(recorded);
    if (proof === undefined) return;
    setAll(headers, receiptHeader(recorded, proof));
    headers.append("preference-applied", "audit-proof"); // RFC 7240 §3
  }
}
