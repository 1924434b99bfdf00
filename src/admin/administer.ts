import type * as z from "zod";
import type { Approval } from "#audit/event";
import type { IncomingBody } from "#entrypoint/bounded-body";
import { bodyPatienceMilliseconds } from "#entrypoint/timely-body";
import { withoutPrivateKeys } from "#identity/jose/private-keys";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { RecordedOnly } from "#entrypoint/client-refusals";
import { claimAction, type ActionAttempt } from "./act-once.ts";
import { json, notModified, plainText, problem } from "./answer.ts";
import { operatorChallenge } from "./challenge.ts";
import { authenticateOperator, mayStillAct } from "./authenticate-operator.ts";
import type { Operator, Role, SeenOfOperator } from "./operator.ts";
import type { AdminPorts } from "./ports.ts";
import type { SignedCall } from "./prove-sign-in.ts";
import { readDocument } from "./read-document.ts";
import { publicFaces, type AdminRefusal, type RejectionReason } from "./refusal.ts";
import { Trail, type OperatorArrival } from "./trail.ts";

/**
 * A request at the operators' door: the caller's evidence, and the document that a verb reads after the
 * operator is proven.
 */
export interface Submission extends OperatorArrival, Omit<SignedCall, "method" | "url"> {
  readonly tlsClientAuth: unknown;
  readonly contentType: string | null;
  readonly idempotencyKey: string | null;
  readonly ifMatch: string | null;
  readonly ifNoneMatch: string | null;
  readonly accept: string | null;
  /** The requested path, without the first slash. */
  readonly path: string;
  /** The parameters of the path and of the query. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly body: IncomingBody;
}

/** A document that control rejects, and the reason. */
export interface Rejected {
  readonly reason: RejectionReason;
  /** RFC 6901, into the document. */
  readonly pointer: string;
  readonly detail: string;
}

/** A rejection for a member of the document; `""`: for the whole document. */
export const rejectedAt = (
  member: string,
  reason: RejectionReason,
  detail: string,
): Result<never, Rejected> => err({ reason, pointer: member === "" ? "" : `/${member}`, detail });

/** An action that an operator with a role may ask for, by a document. */
export interface Verb {
  /** For the record, and as the operation's id in the API's description. */
  readonly interaction: string;
  /** A sentence for the API's description. */
  readonly does: string;
  /** `GET`: it takes no document. */
  readonly method: "GET" | "POST";
  /** Path of its address: `api/proposals/{proposal}` has the parameter `proposal`. */
  readonly path: string;
  /** An operator with any of these roles may ask for it. */
  readonly roles: readonly Role[];
  /**
   * A verb that changes something takes an `Idempotency-Key`, and its document and effect go on record as documents.
   * `repeatably`: a repeat widens nothing, even if the first act was done and a further operator has acted since.
   * `once`: a repeat under a key whose first outcome is unknown is refused.
   */
  readonly changes: "nothing" | "repeatably" | "once";
  /** The form of its document. The reader of the document decides; this form describes it. */
  readonly document?: z.core.$ZodType;
  /** The parameters of its path and its query. */
  readonly parameters?: z.ZodObject;
  /** The form of its answer; of a text, of the text. */
  readonly answer: z.ZodType;
  /** The media type of its answer; `application/json` without it. */
  readonly answerType?: string;
  /** True: `If-Match` names the state that the act expects. A verb without it refuses `If-Match`. */
  readonly isConditional?: boolean;
  /** True: the answer has an `ETag`, and `If-None-Match` is answered by 304. */
  readonly hasEtag?: boolean;
  /**
   * True: it gives lost logs a stand-in. If no log takes the record before the act, the act is done and the
   * answer is 503: the repeat is on record, with the effect.
   */
  readonly repairsLedger?: boolean;
  readonly act: (call: OperatorCall) => Promise<Result<Act, Rejected>>;
}

/** A proven request for a verb. */
export interface OperatorCall {
  /** The id by which its records name the request. */
  readonly requestId: string;
  /** Undefined for `GET`. */
  readonly document: unknown;
  readonly operator: Operator;
  /** The parameters of the path and of the query. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The opaque part of `If-Match`. */
  readonly ifMatch: string | undefined;
  readonly accept: string | null;
  /** Asks whether the operator may go on, for an answer that lasts. */
  readonly mayStill: () => Promise<boolean>;
}

/** An answer that is no JSON. */
export class Text {
  readonly mediaType: string;
  readonly text: string | ReadableStream<Uint8Array>;

  constructor(mediaType: string, text: Text["text"]) {
    this.mediaType = mediaType;
    this.text = text;
  }
}

/** A completed act. */
export interface Act {
  /** It has counts and flags, and no patient data. */
  readonly answer: object | Text;
  /** For the record: the entries that changed. */
  readonly effect?: readonly object[];
  /** The proposal that the operator approved. */
  readonly approval?: Approval;
  /** The opaque part of the answer's `ETag`. */
  readonly etag?: string;
}

/** The part of the ports that a verb needs around its act. */
type VerbPorts = Pick<
  AdminPorts,
  "ledger" | "operators" | "denials" | "signIns" | "proofs" | "requestKeys" | "url" | "clock"
>;

/**
 * Runs a verb for an operator. It is on record before it is done and after; when the first record fails,
 * this throws and nothing is done. Under an `Idempotency-Key` a repeat gets the first result; if that is unknown,
 * only a repeatable verb is done again.
 */
export const administer = (submission: Submission, ports: VerbPorts, verb: Verb): Promise<Response> =>
  new VerbRequest(submission, ports, verb).answer();

/** What goes on record of a document. */
interface Recorded {
  /** SHA-256 in hex. */
  readonly digest: string | undefined;
  /** The text, without a private key in it; undefined: the verb changes nothing. */
  readonly text: string | undefined;
}

/** A request for a verb, from the proof of its operator to its answer. */
class VerbRequest {
  readonly #submission: Submission;
  readonly #ports: VerbPorts;
  readonly #verb: Verb;
  readonly #trail: Trail;
  /** False: the operator is not proven, or no longer. Then the answer does not name the failed check. */
  #isProven = false;

  constructor(submission: Submission, ports: VerbPorts, verb: Verb) {
    const { interaction, method } = verb;
    this.#submission = submission;
    this.#ports = ports;
    this.#verb = verb;
    this.#trail = new Trail(submission, ports.ledger, { interaction, method, path: submission.path });
  }

  async answer(): Promise<Response> {
    const { method, roles, changes, isConditional } = this.#verb;
    const { at, path, body, contentType, idempotencyKey, parameters, accept } = this.#submission;
    const ports = this.#ports;
    const call = { ...this.#submission, method, url: `${ports.url}/${path}` };
    const operator = await authenticateOperator(call, roles, ports, this.#trail.seen);
    if (!operator.ok) return this.#refuse(operator.error);
    body?.trust?.();
    this.#isProven = true;
    // A condition that nothing checks would be a condition that always holds.
    const condition = this.#submission.ifMatch;
    const ifMatch = condition === null ? undefined : etagIn(condition);
    if (condition !== null && (isConditional !== true || ifMatch === undefined))
      return this.#refuse({ reason: "state_not_named" });
    const document = method === "GET" ? ok(noDocument) : await readDocument(contentType, body);
    if (!document.ok) return this.#refuse(document.error);
    // A slow body could let an operator act long after a suspension, a denial or the end of the sign-in.
    if (ports.clock() - at > bodyPatienceMilliseconds) return this.#refuse({ reason: "body_timed_out" });

    const digest = await digestOf(document.value);
    const key = changes === "nothing" ? null : idempotencyKey;
    const claimed = await claimAction(key, operator.value.id, `${path} ${digest ?? ""}`, ports.requestKeys);
    if (!claimed.ok) return this.#refuse(claimed.error);
    const { value } = document.value;
    try {
      return await this.#run(
        {
          requestId: this.#submission.id,
          document: value,
          operator: operator.value,
          parameters,
          ifMatch,
          accept,
          mayStill: async () => (await this.#mayStill()).ok,
        },
        { digest, text: changes === "nothing" ? undefined : withoutPrivateKeys(value) },
        claimed.value,
      );
    } finally {
      await claimed.value?.release();
    }
  }

  /** Does the act, between the record of its intent and the record of its end. */
  async #run(call: OperatorCall, document: Recorded, attempt: ActionAttempt | undefined): Promise<Response> {
    const { changes, act } = this.#verb;
    const { id, at } = this.#submission;
    const receipt = await this.#intend(call, document);
    if (receipt === "replayed") return this.#refuse({ reason: "proof_replayed" });
    const headers = { ...receipt, ...nextNonce(this.#trail.seen, this.#ports, at) };
    const still = await this.#mayStill();
    if (!still.ok) {
      this.#isProven = false;
      const { reason } = still.error;
      await this.#trail.ended({ status: publicFaces[reason].status, reason });
      return this.#answerRefusal(still.error, receipt);
    }
    if (attempt?.result !== undefined) {
      await this.#trail.ended({ status: 200, reason: "write_repeated" satisfies RecordedOnly });
      return json(id, 200, attempt.result, headers);
    }
    if (attempt?.isResumed === true && changes === "once") {
      const { status, title } = publicFaces.outcome_unknown;
      await this.#trail.ended({ status, reason: "outcome_unknown" });
      return problem(id, { status, title, reason: "outcome_unknown" }, headers);
    }
    await attempt?.acting();
    const done = await act({ ...call, operator: still.value });
    return done.ok
      ? this.#answerDone(done.value, attempt, headers)
      : this.#answerRejected(done.error, attempt, headers);
  }

  #mayStill(): ReturnType<typeof mayStillAct> {
    return mayStillAct(this.#verb.roles, this.#ports, this.#trail.seen, this.#ports.clock());
  }

  /** Puts the intent on record. Throws when the ledger cannot. */
  async #intend(call: OperatorCall, { digest, text }: Recorded): ReturnType<Trail["intends"]> {
    try {
      return await this.#trail.intends(digest, text);
    } catch (fault) {
      const { repairsLedger, act } = this.#verb;
      // Only the ledger can use up a proof, so a sender with a proof needs a log that works.
      const mayAct = repairsLedger === true && this.#trail.seen.proof === undefined;
      if (mayAct && (await call.mayStill())) await act(call);
      throw fault;
    }
  }

  async #answerDone(
    { answer, effect, approval, etag }: Act,
    attempt: ActionAttempt | undefined,
    headers: Readonly<Record<string, string>>,
  ): Promise<Response> {
    const { id, ifNoneMatch } = this.#submission;
    const tagged = etag === undefined ? headers : { ...headers, etag: `"${etag}"` };
    if (etag !== undefined && isNamed(ifNoneMatch, etag)) {
      await this.#trail.ended({ status: 304 });
      return notModified(id, tagged);
    }
    await attempt?.done(answer);
    await this.#trail.ended({ status: 200 }, effect && JSON.stringify(effect), approval);
    return answer instanceof Text
      ? plainText(id, answer.mediaType, answer.text, tagged)
      : json(id, 200, answer, tagged);
  }

  async #answerRejected(
    rejected: Rejected,
    attempt: ActionAttempt | undefined,
    headers: Readonly<Record<string, string>>,
  ): Promise<Response> {
    await attempt?.rejected();
    const { pointer, detail } = rejected;
    const reason = attempt?.isResumed === true ? "outcome_unknown" : rejected.reason;
    const { status, title } = publicFaces[reason];
    await this.#trail.ended({ status, reason });
    return problem(this.#submission.id, { status, title, pointer, detail, reason }, headers);
  }

  async #refuse(refusal: AdminRefusal): Promise<Response> {
    const { reason } = refusal;
    const receipt = await this.#trail.refused({ status: publicFaces[reason].status, reason });
    return this.#answerRefusal(refusal, receipt);
  }

  #answerRefusal(refusal: AdminRefusal, receipt: Readonly<Record<string, string>>): Response {
    const { id, at, authorization } = this.#submission;
    const { seen } = this.#trail;
    const { reason } = refusal;
    const { status, title } = publicFaces[reason];
    const challenged = status === 401 && {
      "www-authenticate": operatorChallenge(refusal, authorization?.reveal() ?? "", seen.demand),
    };
    const nonce = "nonce" in refusal ? { "dpop-nonce": refusal.nonce } : nextNonce(seen, this.#ports, at);
    const retry = "retryAfterSeconds" in refusal && { "retry-after": String(refusal.retryAfterSeconds) };
    const shown = this.#isProven && status !== 401 ? { reason } : {};
    return problem(id, { status, title, ...shown }, { ...receipt, ...challenged, ...nonce, ...retry });
  }
}

/** The nonce for a caller who has proven a key (RFC 9449 §8.2). */
function nextNonce(
  { proof }: SeenOfOperator,
  { proofs }: Pick<AdminPorts, "proofs">,
  at: Instant,
): Readonly<Record<string, string>> {
  return proof === undefined ? {} : { "dpop-nonce": proofs.nonce(proof.jkt, at) };
}

/** The opaque part of a single strong entity tag (RFC 9110 §8.8.3). */
const etagIn = (header: string): string | undefined => /^"([!#-~]+)"$/u.exec(header.trim())?.[1];

/** RFC 9110 §13.1.2: a list of tags, compared weakly. */
const isNamed = (ifNoneMatch: string | null, etag: string): boolean =>
  ifNoneMatch?.split(",").some((each) => each.trim().replace(/^W\//u, "") === `"${etag}"`) === true;

const noDocument = { bytes: undefined, value: undefined };

/** SHA-256 of the document in hex; undefined without a document. */
async function digestOf({
  bytes,
}: {
  readonly bytes: Uint8Array<ArrayBuffer> | undefined;
}): Promise<string | undefined> {
  if (bytes === undefined) return undefined;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
