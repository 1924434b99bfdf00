import type { Counted, RecordProver, Recorded } from "#audit/ports";
import { faceOf } from "#entrypoint/gateway-face";
import { utf8 } from "#kernel/encoded";
import { setAll, type HeaderFields } from "#entrypoint/base-headers";
import { receiptHeader, type Appended } from "#entrypoint/request-records";
import { windowBytes, type DisclosedWindow, type Disclosure } from "#phi/disclosure";
import type { Arrival } from "#gateway/admission/admit";
import { asksForProof } from "#gateway/admission/asks-for-proof";
import { bytesOf } from "#gateway/admission/release-gate";
import type { GatewayRefusal } from "#gateway/outcome";
import { BodyValidators, isKnown } from "#gateway/read/etag";
import type { Part } from "#gateway/record/parts";
import { onRefusal } from "#gateway/record/refusal-decision";
import type { Recorder, RequestFacts } from "#gateway/record/recorder";
import type { WriteOutcome } from "#gateway/change/write-outcome";
import { outcomeAnswer } from "./answer.ts";
import {
  addRefusalHeaders,
  bodyFields,
  mediaTypeOf,
  recordedFields,
  type AnswerHeadersPorts,
} from "./answer-headers.ts";
import type { LedgerQueue } from "./ledger-queue.ts";
import { recordedGrant, type ElementMeasure } from "#gateway/record/measuring";
import { isAnswerSigned, signAnswer, type SignAnswerPorts, type SignedBody } from "./sign-answer.ts";
import { sendWindows } from "./windows.ts";
import { writeAnswer } from "./write-answer.ts";

export interface AnswerPorts extends SignAnswerPorts, AnswerHeadersPorts {
  readonly ledgerQueue: LedgerQueue;
  readonly recordProver: RecordProver;
  readonly elements: ElementMeasure;
  /**
   * Lets work go on after the answer was begun: an answer in windows is still being written and recorded
   * then.
   */
  readonly keepAlive: (work: Promise<void>) => void;
}

/**
 * A drafted answer. `answer` needs the receipt that `record` returns: no Response leaves without a record.
 */
export interface AnswerDraft {
  /**
   * Size of an answer that may still be given up before its record. Undefined where something was done
   * already, which must go on record.
   */
  readonly bytes?: number;
  readonly record: () => Promise<Appended>;
  readonly answer: (recorded: Recorded | Counted) => Promise<Response>;
}

/** Drafts the answers to a request. Their disclosures are cleared. */
export class Drafts {
  readonly #arrival: Arrival;
  readonly #recorder: Recorder;
  readonly #ports: AnswerPorts;

  constructor(arrival: Arrival, recorder: Recorder, ports: AnswerPorts) {
    this.#arrival = arrival;
    this.#recorder = recorder;
    this.#ports = ports;
  }

  get #facts(): RequestFacts {
    return this.#recorder.facts;
  }

  /** @param decidedBy the rows that the refusal discloses. */
  refusal(refusal: GatewayRefusal, decidedBy?: DisclosedWindow): AnswerDraft {
    return {
      record: () => this.#recorder.refusal(faceOf(refusal).status, onRefusal(refusal), decidedBy),
      answer: (recorded) => this.#refused(refusal, recorded),
    };
  }

  /** An answer without any resource of the origin. */
  local(resource: object): AnswerDraft {
    const text = JSON.stringify(resource);
    return {
      bytes: text.length,
      record: () => this.#recorder.notice(200),
      answer: (recorded) => this.#whole(this.#arrival.method === "HEAD" ? null : text, utf8(text), recorded),
    };
  }

  written(outcome: WriteOutcome): AnswerDraft {
    return {
      record: () => this.#recorder.written(outcome),
      answer: async (recorded) => {
        const answer = writeAnswer(outcome, {
          id: this.#arrival.id,
          mediaType: mediaTypeOf(this.#facts),
          policyDigest: this.#facts.policyDigest ?? "",
          headers: new Headers(this.#fields(recorded)),
        });
        const signed = await this.#signed(answer, recorded, async () => [await answer.clone().bytes()]);
        if (this.#isMeasured && signed.body !== null) this.#measure([await signed.clone().bytes()]);
        return signed;
      },
    };
  }

  /** @param bundle the answer's text, or why there is none. */
  bundle(
    kind: "batch" | "transaction",
    parts: readonly Part[],
    bundle: Uint8Array<ArrayBuffer> | GatewayRefusal,
  ): AnswerDraft {
    return {
      record: () => this.#recorder.lastParts(kind, parts),
      answer: async (recorded) => {
        if (!(bundle instanceof Uint8Array)) return this.#refused(bundle, recorded);
        const whole = await this.#whole(bundle, bundle, recorded);
        this.#measure([bundle]);
        return whole;
      },
    };
  }

  /**
   * The answer to a HEAD, and a 304, have no body, but the whole body is on record: their headers confirm a
   * guess at it. Up to 1 MiB there is a single record before the first byte. A longer answer has an append
   * with the intent and the first window, then an append for each further window before its bytes.
   */
  disclosure(disclosure: Disclosure, mayGoOn: () => Promise<boolean>): AnswerDraft {
    const { windows, representation } = disclosure;
    const [first, ...further] = windows;
    if (first === undefined) throw new Error("a disclosure of nothing");
    const { headers: asked, method } = this.#arrival;
    const validators =
      representation &&
      new BodyValidators(first.body, this.#facts.policyDigest ?? "", representation.lastUpdated);
    const status = validators !== undefined && isKnown(asked, validators) ? 304 : 200;
    const isBodiless = status === 304 || method === "HEAD";
    const isOne = further.length === 0 && (isBodiless || first.body.length <= windowBytes);
    let tagged: Promise<void> | undefined;
    const headOf = async (recorded: Recorded | Counted): Promise<HeaderFields | Headers> => {
      if (tagged !== undefined) await tagged;
      const fields = this.#fields(recorded);
      Object.assign(fields, bodyFields(status, mediaTypeOf(this.#facts), validators), disclosure.headers);
      if (!this.#isProvenOrSigned(recorded)) return fields;
      const unsigned = { status, headers: new Headers(fields) };
      return (await this.#signed(unsigned, recorded, () => windows.map(({ body }) => body))).headers;
    };
    const recordWindow = (window: DisclosedWindow, number: number) =>
      this.#recorder.window(window, number, disclosure, status);
    return {
      bytes: bytesOf(disclosure),
      record: () => {
        const recording = isOne
          ? this.#recorder.disclosure(first, disclosure, status)
          : this.#recorder.firstWindow(disclosure, status);
        tagged = validators?.makeTag(); // while the ledger works
        return recording;
      },
      answer: async (recorded) => {
        const headers = await headOf(recorded);
        if (isOne) {
          if (!isBodiless) this.#measure([first.body]);
          return new Response(isBodiless ? null : first.body, { status, headers });
        }
        if (isBodiless) {
          for (const [index, window] of further.entries()) await recordWindow(window, index + 2);
          return new Response(null, { status, headers });
        }
        const { readable, work } = sendWindows(windows, {
          stillGood: async () => {
            if (!(await mayGoOn())) throw new Error("denied in the middle of the answer");
          },
          record: recordWindow,
          abort: (reason) => this.#recorder.aborted(reason, disclosure),
          sent: () => this.#measure(windows.map(({ body }) => body)),
        });
        this.#ports.keepAlive(work);
        return new Response(readable, { status: 200, headers });
      },
    };
  }

  get #isMeasured(): boolean {
    return this.#facts.principal?.grant.measureElements === true;
  }

  /** Counts the elements of a body that is on record and is sent, if the grant asks for it. */
  #measure(bodies: readonly Uint8Array[]): void {
    const { principal } = this.#facts;
    if (principal === undefined || !this.#isMeasured) return;
    this.#ports.elements.note(recordedGrant(principal), this.#arrival.at, bodies);
  }

  async #refused(refusal: GatewayRefusal, recorded: Recorded | Counted): Promise<Response> {
    const face = faceOf(refusal);
    const headers = new Headers(this.#fields(recorded));
    addRefusalHeaders(headers, refusal, face.status, this.#arrival, this.#facts, this.#ports);
    const issues = "issues" in refusal ? refusal.issues : [];
    const answer = outcomeAnswer(this.#arrival.id, face, mediaTypeOf(this.#facts), headers, issues);
    return this.#signed(answer, recorded, async () => [await answer.clone().bytes()]);
  }

  #whole(body: BodyInit | null, bytes: Uint8Array, recorded: Recorded | Counted): Promise<Response> {
    const headers = { ...this.#fields(recorded), ...bodyFields(200, mediaTypeOf(this.#facts), undefined) };
    return this.#signed(new Response(body, { status: 200, headers }), recorded, () => [bytes]);
  }

  #fields(recorded: Recorded | Counted): HeaderFields {
    return recordedFields(this.#arrival, this.#facts, recorded, this.#ports);
  }

  #isProvenOrSigned(recorded: Recorded | Counted): boolean {
    return (
      isAnswerSigned(this.#facts) ||
      (recorded !== "counted" && this.#facts.principal !== undefined && asksForProof(this.#arrival.headers))
    );
  }

  /** This is the last step of each answer: the signature covers the receipt, too. */
  async #signed<T extends Pick<Response, "status" | "headers">>(
    answer: T,
    recorded: Recorded | Counted,
    body: SignedBody,
  ): Promise<T> {
    const { status, headers } = answer;
    await this.#addProof(headers, recorded);
    await signAnswer({ status, headers, body }, this.#arrival, this.#facts, this.#ports);
    return answer;
  }

  /**
   * `Prefer: audit-proof` of a known caller: the receipt with its proof. An unknown caller can ask the
   * ledger itself.
   */
  async #addProof(headers: Headers, recorded: Recorded | Counted): Promise<void> {
    const { principal } = this.#facts;
    if (recorded === "counted" || principal === undefined || !asksForProof(this.#arrival.headers)) return;
    const proof = await this.#ports.recordProver.prove(recorded);
    if (proof === undefined) return;
    setAll(headers, receiptHeader(recorded, proof));
    headers.append("preference-applied", "audit-proof"); // RFC 7240 §3
  }
}
