import type {
  OriginAnswer,
  OriginBody,
  OriginFault,
  OriginQuestion,
  Origins,
  OriginTraits,
  OriginWrite,
  OriginWritten,
} from "#fhir/ports";
import { baseNames, type FhirBase } from "#fhir/r4/reference";
import type { Clock } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { Secret } from "#kernel/secret";
import { isAt } from "#platform/config/allowed-places";
import { afterFailure, healthy, openForSeconds, type OriginHealth } from "./breaker.ts";
import { ConfigError } from "#platform/config/config-error";
import type { BearerSource } from "./origin-tokens.ts";
import { declaredLength, FramedBody, PieceReader } from "./pieces.ts";

/** A registered origin, ready to be called. */
export interface OriginAddress {
  /** Calls use the first name. The origin may name itself by any of them. */
  readonly base: FhirBase;
  readonly bearer: Secret | BearerSource | undefined;
  /** The origin receives the certificate of the calling client. */
  readonly forwardClientCert: boolean;
}

export interface UpstreamOptions {
  readonly find: (origin: string) => Promise<OriginAddress | undefined>;
  /** Needs no secret of the origin. */
  readonly traits: (origin: string) => Promise<OriginTraits | undefined>;
  /**
   * `host` or `host:port` that may be called, by deployment configuration: a registry entry alone opens no
   * way into the network.
   */
  readonly hosts: ReadonlySet<string>;
  readonly clock: Clock;
}

// For one question, from the request to the last byte of the answer.
const timeoutMilliseconds = 10_000;

// These statuses say that the server is unavailable. A 500 or 501 may be one request's own doing, and must
// not close the origin to all clients.
const unavailable: ReadonlySet<number> = new Set([502, 503, 504]);

/**
 * Calls the named origins. A read may be repeated, so it is tried once more when the connection failed
 * before an answer began. A write is sent once (a second time only with a new token, after the origin
 * answered 401 to the first).
 */
export function upstream({ find, traits, hosts, clock }: UpstreamOptions): Origins {
  const health = new Map<string, OriginHealth>();
  const note = (origin: string, failed: boolean) =>
    health.set(origin, failed ? afterFailure(health.get(origin) ?? healthy, clock()) : healthy);

  const noteFailure = (origin: string, answer: Exclude<OriginAnswer, { kind: "answered" }>) =>
    note(
      origin,
      answer.kind === "unreachable" ||
        answer.kind === "timed_out" ||
        (answer.kind === "refused" && unavailable.has(answer.status)),
    );
  /** The origin's address, unless its breaker is open or it does not exist. */
  const callable = async (origin: string, clientCert: string | undefined) => {
    const address = await find(origin);
    if (address === undefined) return undefined;
    const known = health.get(origin) ?? healthy;
    const rest = openForSeconds(known, clock());
    if (rest > 0) return { kind: "circuit_open", retryAfterSeconds: rest } as const;
    const caller = {
      base: address.base,
      clientCert: address.forwardClientCert ? clientCert : undefined,
      hosts,
    };
    return {
      kind: "callable",
      known,
      caller,
      bearer: address.bearer,
      onEnd: (failed: boolean) => void note(origin, failed),
    } as const;
  };

  return {
    traits,
    async ask(origin, question, clientCert) {
      const called = await callable(origin, clientCert);
      if (called?.kind !== "callable") return called;
      const { caller, known, onEnd } = called;
      const asking = () =>
        withBearer(called.bearer, (bearer) => once({ ...caller, bearer }, question, onEnd));
      let answer = await asking();
      // No second try for an origin that is already failing: retries would double its load at the worst
      // time.
      if (answer.kind === "unreachable" && known.failuresInARow === 0) answer = await asking();
      // An answer that began is judged at its end.
      if (answer.kind !== "answered") noteFailure(origin, answer);
      return answer;
    },
    async send(origin, write, clientCert) {
      const called = await callable(origin, clientCert);
      if (called?.kind !== "callable") return called;
      const { caller, onEnd } = called;
      const answer = await withBearer(called.bearer, (bearer) =>
        sendOnce({ ...caller, bearer }, write, onEnd),
      );
      if (answer.kind !== "written") noteFailure(origin, answer);
      return answer;
    },
  };
}

/**
 * Asks with a token of the origin's token endpoint. When the origin refuses the token, a new token is
 * fetched once; without any token the origin cannot be asked.
 */
async function withBearer<Answer extends OriginAnswer | OriginWritten>(
  bearer: OriginAddress["bearer"],
  ask: (bearer: Secret | undefined) => Promise<Answer>,
): Promise<Answer | OriginFault> {
  if (bearer === undefined || bearer instanceof Secret) return ask(bearer);
  const token = await bearer.current().catch(() => undefined);
  if (token === undefined) return { kind: "unreachable" };
  const answer = await ask(token);
  if (answer.kind !== "refused" || answer.status !== 401) return answer;
  const newToken = await bearer.anew().catch(() => token);
  return newToken === token ? answer : ask(newToken);
}

interface Caller {
  readonly base: FhirBase;
  readonly bearer: Secret | undefined;
  readonly clientCert: string | undefined;
  readonly hosts: ReadonlySet<string>;
}

async function once(
  caller: Caller,
  question: OriginQuestion,
  onEnd: (failed: boolean) => void,
): Promise<OriginAnswer> {
  const { url, form } = addressOf(baseNames(caller.base), question);
  // Strict: an origin must not ignore a search parameter that it does not know (FHIR R4 §3.1.1.4.4), because
  // then it returns more rows.
  const headers: Record<string, string> = { prefer: "handling=strict" };
  if (form !== undefined) headers["content-type"] = "application/x-www-form-urlencoded";
  const sending = form === undefined ? { method: "GET" } : { method: "POST", body: form };
  return reached(caller, url, { ...sending, headers }, async (response) => {
    if (response.status === 200)
      return { kind: "answered", body: bodyOf(response, onEnd), base: caller.base };
    await response.body?.cancel();
    return notAnswered(response);
  });
}

async function sendOnce(
  caller: Caller,
  write: OriginWrite,
  onEnd: (failed: boolean) => void,
): Promise<OriginWritten> {
  const { method, path, body, version, ifNone } = write;
  const headers: Record<string, string> = { prefer: "return=representation" };
  if (body !== undefined) headers["content-type"] = "application/fhir+json";
  if (version !== undefined) headers["if-match"] = `W/"${version}"`;
  if (ifNone === "same id") headers["if-none-match"] = "*";
  else if (ifNone !== undefined) headers["if-none-exist"] = ifNone.matches;
  const sending = body === undefined ? { method, headers } : { method, headers, body };
  return reached(caller, below(baseNames(caller.base)[0], path), sending, async (response) => {
    const { status } = response;
    if (status === 200 || status === 201 || status === 204) {
      const location = response.headers.get("location") ?? undefined;
      const isJson = /^application\/(?:fhir\+)?json\s*(?:;|$)/iu.test(
        response.headers.get("content-type") ?? "",
      );
      return { kind: "written", status, isJson, location, body: bodyOf(response, onEnd), base: caller.base };
    }
    await response.body?.cancel();
    return notAnswered(response);
  });
}

function notAnswered({ status, headers }: Response): Extract<OriginAnswer, { kind: "absent" | "refused" }> {
  if (status === 404 || status === 410) return { kind: "absent" };
  if (status !== 429 && status !== 503) return { kind: "refused", status };
  return { kind: "refused", status, retryAfterSeconds: retryAfter(headers.get("retry-after")) };
}

// A client waits at most five minutes on an origin's word alone. An origin that gives no time is asked again
// soon.
const [retryMax, retryUsual] = [300, 10];

/** Reads RFC 9110 §10.2.3, a number of seconds or a date, as seconds. */
function retryAfter(text: string | null): number {
  const seconds =
    text === null
      ? NaN
      : /^\d+$/u.test(text)
        ? Number(text)
        : Math.ceil((Date.parse(text) - Date.now()) / 1_000);
  return Number.isNaN(seconds) ? retryUsual : Math.min(retryMax, Math.max(1, seconds));
}

/**
 * Sends the request. Redirects are not followed: an origin could send the question, and its credential,
 * anywhere.
 */
async function reached<Answer>(
  { hosts, bearer, clientCert }: Caller,
  url: URL,
  sending: {
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string;
  },
  read: (response: Response) => Promise<Answer>,
): Promise<Answer | OriginFault> {
  if (!isAt(url, hosts)) throw new ConfigError("ORIGIN_HOSTS", "an origin's host");
  const headers: Record<string, string> = { accept: "application/fhir+json", ...sending.headers };
  if (bearer !== undefined) headers["authorization"] = `Bearer ${bearer.reveal()}`;
  // RFC 9440 §2.2; the client's own headers never come this far
  if (clientCert !== undefined) headers["client-cert"] = clientCert;
  try {
    return await read(
      await fetch(url.href, {
        ...sending,
        headers,
        redirect: "manual",
        signal: AbortSignal.timeout(timeoutMilliseconds),
      }),
    );
  } catch (fault) {
    return faultOf(fault);
  }
}

/**
 * An address below an origin's base. Throws for a path that a URL parser would fold or cut, because the
 * address would then differ from the judged address. Each path is made of types, ids and names of
 * operations, which contain neither segments of dots nor any of `\\`, `%`, `?` and `#`.
 */
function below(base: string, path: string, query = ""): URL {
  if (path !== "" && (!/^[\w$.-]+(?:\/[\w$.-]+)*$/u.test(path) || /(?:^|\/)\.+(?:\/|$)/u.test(path)))
    throw new Error("a path below an origin is not plain");
  return new URL(`${base}/${path}${query === "" ? "" : `?${query}`}`);
}

function addressOf(
  [base]: readonly [string, ...string[]],
  question: OriginQuestion,
): { readonly url: URL; readonly form: string | undefined } {
  if ("link" in question) return { url: new URL(base + question.link), form: undefined };
  const { path, query, posted } = question;
  if (posted === true) return { url: below(base, `${path}/_search`), form: query };
  return { url: below(base, path, query), form: undefined };
}

/**
 * A body that breaks off yields its fault as the last item, and the fault counts against the origin. A
 * reader that stops closes the connection.
 */
function bodyOf(response: Response, onEnd: (failed: boolean) => void): OriginBody {
  const pieces = FramedBody.of(response) ?? new PieceReader(response.body, declaredLength(response.headers));
  const reading = new BodyReading(pieces, onEnd);
  return { [Symbol.asyncIterator]: () => reading };
}

type Pieces = Pick<PieceReader, "next" | "stop">;

/** Written out: a generator around a generator would cost more than the read of a short body. */
class BodyReading implements AsyncIterator<Result<Uint8Array, OriginFault>, undefined> {
  readonly #pieces: Pieces;
  readonly #onEnd: (failed: boolean) => void;
  #isOver = false;

  constructor(pieces: Pieces, onEnd: (failed: boolean) => void) {
    this.#pieces = pieces;
    this.#onEnd = onEnd;
  }

  async next(): Promise<IteratorResult<Result<Uint8Array, OriginFault>, undefined>> {
    if (this.#isOver) return ended;
    try {
      const piece = await this.#pieces.next();
      if (piece !== undefined) return { done: false, value: ok(piece) };
      this.#end(false);
      return ended;
    } catch (fault) {
      this.#end(true);
      return { done: false, value: err(faultOf(fault)) };
    }
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#isOver = true;
    await this.#pieces.stop();
    return ended;
  }

  #end(failed: boolean): void {
    this.#isOver = true;
    this.#onEnd(failed);
  }
}

const ended: IteratorReturnResult<undefined> = { done: true, value: undefined };

const faultOf = (fault: unknown): OriginFault => ({
  kind: fault instanceof Error && fault.name === "TimeoutError" ? "timed_out" : "unreachable",
});
