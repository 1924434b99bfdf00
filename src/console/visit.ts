import { authenticateOperator, type OperatorRefusal } from "#admin/authenticate-operator";
import { administer, type Verb } from "#admin/administer";
import { roles, type Operator, type SeenOfOperator } from "#admin/operator";
import { afterConfiguration } from "#audit/after-configuration";
import type { IncomingBody } from "#entrypoint/bounded-body";
import type { Problem } from "#entrypoint/problem";
import { addressOf, tlsClientAuthOf } from "#entrypoint/edge";
import type { Instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import { Secret } from "#kernel/secret";
import type { ConsolePorts } from "./ports.ts";
import { cookieNames, cookieOf, type ConsoleSession, type SessionSeal, sessionSignIns } from "./session.ts";

/** Why a visitor sees no page. `seen` has the demanded sign-in, if the operator is known. */
export interface VisitRefused {
  readonly reason: OperatorRefusal["reason"] | "machine_has_no_console";
  readonly seen: SeenOfOperator;
}

/** The answer of a verb that refused or failed, in the words of the operators' API. */
export interface VerbRefused extends Problem {
  readonly requestId: string;
}

/** The question to a verb. */
export interface VerbAsked {
  readonly document?: object;
  /** The `Idempotency-Key` of a form, which a second click sends again. */
  readonly once?: string | undefined;
  readonly parameters?: Readonly<Record<string, string>>;
}

/** A proven operator at a page of the console. */
export interface ConsoleVisit {
  readonly request: Request;
  readonly url: URL;
  readonly id: string;
  readonly at: Instant;
  readonly operator: Operator;
  readonly session: ConsoleSession;
  /** Runs a verb as the operators' API does: checked again, and on record before and after. */
  readonly run: (verb: Verb, asked?: VerbAsked) => Promise<Result<unknown, VerbRefused>>;
}

/** Proves the visitor of a page by certificate and session. Nothing is put on record. */
export async function admitVisit(
  request: Request,
  id: string,
  ports: ConsolePorts,
  seal: SessionSeal,
): Promise<Result<ConsoleVisit, VisitRefused>> {
  const { admin } = ports;
  const url = new URL(request.url);
  const at = admin.clock();
  const seen: SeenOfOperator = {};
  const cookie = cookieOf(request.headers, cookieNames.session);
  const authorization = cookie === undefined ? undefined : new Secret(`Bearer ${cookie}`);
  const tlsClientAuth = tlsClientAuthOf(request);
  const arrival = { at, authorization, dpop: undefined, tlsClientAuth };
  const checked = { ...admin, signIns: sessionSignIns(seal) };
  const call = { ...arrival, method: request.method, url: admin.url + url.pathname };
  const operator = await authenticateOperator(call, roles, checked, seen);
  if (!operator.ok) return err({ reason: operator.error.reason, seen });
  if (operator.value.kind === "machine") return err({ reason: "machine_has_no_console", seen });
  const session = cookie === undefined ? undefined : await seal.openSession(cookie);
  if (session === undefined || session.operator !== operator.value.id)
    return err({ reason: "token_missing", seen });
  const run: ConsoleVisit["run"] = async (verb, { document, once, parameters = {} } = {}) => {
    const submission = {
      ...arrival,
      id: admin.newId(),
      address: addressOf(request.headers),
      contentType: "application/json",
      idempotencyKey: once === undefined ? null : `"${once}"`, // a string of RFC 8941
      ifMatch: null,
      ifNoneMatch: null,
      accept: null,
      path: verb.path.replaceAll(/\{(\w+)\}/gu, (_, name: string) => parameters[name] ?? ""),
      parameters,
      body: document === undefined ? undefined : bytesOf(document),
    };
    const ledger = afterConfiguration(admin.ledger, admin.configured());
    return readVerbAnswer(await administer(submission, { ...checked, ledger }, verb));
  };
  return ok({ request, url, id, at, operator: operator.value, session, run });
}

async function* bytesOf(document: object): NonNullable<IncomingBody> & AsyncGenerator<Uint8Array> {
  yield utf8(JSON.stringify(document));
}

/** Reads the answer of the operators' API: its own JSON, or problem details (RFC 9457). */
async function readVerbAnswer(answer: Response): Promise<Result<unknown, VerbRefused>> {
  const body: unknown = await answer.json();
  if (answer.status === 200) return ok(body);
  // `problem` made it
  return err({ ...(body as Problem), requestId: answer.headers.get("x-request-id") ?? "" });
}
