import type * as z from "zod";
import type { Approval } from "#audit/event";
import type { IncomingBody } from "#entrypoint/bounded-body";
import { bodyPatienceMilliseconds } from "#entrypoint/timely-body";
import type { Instant } from "#kernel/clock";
import { ok, type Result } from "#kernel/result";
import type { RecordedOnly } from "#entrypoint/client-refusals";
import { claimAction } from "./act-once.ts";
import { json, notModified, problem } from "./answer.ts";
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
   * True: it changes something. It takes an `Idempotency-Key`, and its document and effect go on record as
   * texts.
   */
  readonly changes: boolean;
  /**
   * True: a repeat widens nothing, even if the first act was done and a further operator has acted since. Without
   * it a repeat under a key whose first outcome is unknown is refused.
   */
  readonly isRepeatable: boolean;
  /** The form of its document. The reader of the document decides; this form describes it. */
  readonly document?: z.core.$ZodType;
  /** The parameters of its path and its query. */
  readonly parameters?: z.ZodObject;
  /** The form of its answer. */
  readonly answer: z.ZodType;
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
  /** Undefined for `GET`. */
  readonly document: unknown;
  readonly operator: Operator;
  /** The parameters of the path and of the query. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The opaque part of `If-Match`. */
  readonly ifMatch: string | undefined;
}

/** A completed act. */
export interface Act {
  /** It has counts and flags, and no patient data. */
  readonly answer: object;
  /** For the record: the entries that changed. */
  readonly effect?: readonly object[];
  /** The proposal that the operator approved. */
  readonly approval?: Approval;
  /** The opaque part of the answer's `ETag`. */
  readonly etag?: string;
}

/**
 * Runs a verb for an operator. It is on record before it is done and after; when the first record fails,
 * this throws and nothing is done. Under an `Idempotency-Key` a repeat gets the first result; if that is unknown, only a repeatable verb is done
 * again.
 */
export async function administer(
  submission: Submission,
  ports: Pick<
    AdminPorts,
    "ledger" | "operators" | "denials" | "signIns" | "proofs" | "requestKeys" | "url" | "clock"
  >,
  verb: Verb,
): Promise<Response> {
  const { interaction, method, roles } = verb;
  const { id, at, authorization, path } = submission;
  const trail = new Trail(submission, ports.ledger, { interaction, method, path });
  // A caller who is not proven, or no more, gets the face of a refusal alone: it does not name the failed check.
  let shownReason = (_reason: AdminRefusal["reason"]): { readonly reason?: string } => ({});
  const answerRefusal = (refusal: AdminRefusal, receipt: Readonly<Record<string, string>>) => {
    const face = publicFaces[refusal.reason];
    const challenged = face.status === 401 && {
      "www-authenticate": operatorChallenge(refusal, authorization?.reveal() ?? "", trail.seen.demand),
    };
    const nonce = "nonce" in refusal ? { "dpop-nonce": refusal.nonce } : nextNonce(trail.seen, ports, at);
    const retry = "retryAfterSeconds" in refusal && { "retry-after": String(refusal.retryAfterSeconds) };
    const headers = { ...receipt, ...challenged, ...nonce, ...retry };
    const { status, title } = face;
    return problem(id, { status, title, ...shownReason(refusal.reason) }, headers);
  };
  const refuse = async (refusal: AdminRefusal) => {
    const { reason } = refusal;
    return answerRefusal(refusal, await trail.refused({ status: publicFaces[reason].status, reason }));
  };

  const call = { ...submission, method, url: `${ports.url}/${path}` };
  const operator = await authenticateOperator(call, roles, ports, trail.seen);
  if (!operator.ok) return refuse(operator.error);
  submission.body?.trust?.();
  shownReason = (reason) => (publicFaces[reason].status === 401 ? {} : { reason });
  // A condition that nothing checks would be a condition that always holds.
  const ifMatch = submission.ifMatch === null ? undefined : etagIn(submission.ifMatch);
  if (submission.ifMatch !== null && (verb.isConditional !== true || ifMatch === undefined))
    return refuse({ reason: "state_not_named" });
  const document =
    method === "GET" ? ok(noDocument) : await readDocument(submission.contentType, submission.body);
  if (!document.ok) return refuse(document.error);
  // A slow body could let an operator act long after a suspension, a denial or the end of the sign-in.
  if (ports.clock() - at > bodyPatienceMilliseconds) return refuse({ reason: "body_timed_out" });

  const digest = await digestOf(document.value);
  const submitted = verb.changes ? JSON.stringify(document.value.value) : undefined;
  const key = verb.changes ? submission.idempotencyKey : null;
  const claimed = await claimAction(key, operator.value.id, `${path} ${digest ?? ""}`, ports.requestKeys);
  if (!claimed.ok) return refuse(claimed.error);
  const once = claimed.value;
  const answer = async (): Promise<Response> => {
    const receipt = await trail.intends(digest, submitted).catch(async (fault: unknown) => {
      // Only the ledger can use up a proof, so a sender with a proof needs a log that works.
      const mayAct = verb.repairsLedger === true && trail.seen.proof === undefined;
      if (mayAct && (await mayStillAct(roles, ports, trail.seen, ports.clock())).ok)
        await verb.act({
          document: document.value.value,
          operator: operator.value,
          parameters: submission.parameters,
          ifMatch,
        });
      throw fault;
    });
    if (receipt === "replayed") return refuse({ reason: "proof_replayed" });
    const headers = { ...receipt, ...nextNonce(trail.seen, ports, at) };
    const still = await mayStillAct(roles, ports, trail.seen, ports.clock());
    if (!still.ok) {
      shownReason = () => ({});
      const { reason } = still.error;
      await trail.ended({ status: publicFaces[reason].status, reason });
      return answerRefusal(still.error, receipt);
    }
    if (once?.result !== undefined) {
      await trail.ended({ status: 200, reason: "write_repeated" satisfies RecordedOnly });
      return json(id, 200, once.result, headers);
    }
    if (once?.isResumed === true && !verb.isRepeatable) {
      const { status, title } = publicFaces.outcome_unknown;
      await trail.ended({ status, reason: "outcome_unknown" });
      return problem(id, { status, title, reason: "outcome_unknown" }, headers);
    }
    await once?.acting();
    const done = await verb.act({
      document: document.value.value,
      operator: still.value,
      parameters: submission.parameters,
      ifMatch,
    });
    if (!done.ok) {
      await once?.rejected();
      const isUnknown = once?.isResumed === true;
      const { reason, pointer, detail } = isUnknown
        ? { ...done.error, reason: "outcome_unknown" as const }
        : done.error;
      const { status, title } = publicFaces[reason];
      await trail.ended({ status, reason });
      return problem(id, { status, title, pointer, detail, reason }, headers);
    }
    const { answer: result, effect, approval, etag } = done.value;
    const tagged = etag === undefined ? headers : { ...headers, etag: `"${etag}"` };
    if (etag !== undefined && isNamed(submission.ifNoneMatch, etag)) {
      await trail.ended({ status: 304 });
      return notModified(id, tagged);
    }
    await once?.done(result);
    await trail.ended({ status: 200 }, effect && JSON.stringify(effect), approval);
    return json(id, 200, result, tagged);
  };
  try {
    return await answer();
  } finally {
    await once?.releases();
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
