import type {
  ContentPart,
  OriginAnswer,
  OriginBody,
  OriginCaller,
  OriginFault,
  OriginQuestion,
  Origins,
  OriginTraits,
  OriginWrite,
  OriginWritten,
  StoredContent,
} from "#fhir/ports";
import { baseNames, type FhirBase } from "#fhir/r4/reference";
import { isStoredAt } from "#fhir/origin";
import type { Clock } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { memo } from "#kernel/memo";
import { Secret } from "#kernel/secret";
import { isAt } from "#platform/config/allowed-places";
import {
  admitCall,
  afterAbandon,
  afterFailure,
  afterSuccess,
  healthy,
  isSteady,
  type OriginHealth,
} from "./breaker.ts";
import { Bulkhead, type BulkheadLimits } from "#limits/bulkhead";
import { ConfigError } from "#platform/config/config-error";
import type { CertifiedFetch } from "#platform/config/named-secret";
import type { BearerSource } from "./origin-tokens.ts";
import { declaredLength, FramedBody, PieceReader } from "./pieces.ts";
import { OriginRest, type RestReason } from "./origin-rest.ts";
import { RetryBudget, retryDelay } from "./retry-budget.ts";

/** A registered origin, ready to be called. */
export interface OriginAddress {
  /** Calls use the first name. The origin may name itself by any of them. */
  readonly base: FhirBase;
  readonly bearer: Secret | BearerSource | undefined;
  /** Sends each request, for an origin that asks for a client certificate. */
  readonly certified?: CertifiedFetch | undefined;
  /** Headers of each request, such as an API key. */
  readonly headers: readonly (readonly [name: string, value: Secret | BearerSource])[];
  /** The places of content outside of the server. */
  readonly storage?: readonly StorageAddress[] | undefined;
  /** The origin receives the certificate of the calling client. */
  readonly forwardClientCert: boolean;
  /** The origin receives the span of each call of a traced request. */
  readonly forwardTrace?: boolean;
  readonly limits: OriginLimits;
}

export interface StorageAddress extends Pick<OriginAddress, "headers"> {
  readonly base: string;
  readonly bytesMax: number;
}

/** `timeoutMilliseconds`: for one question, from the request to the last byte of the answer. */
export type OriginLimits = BulkheadLimits;

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
  readonly wait: (milliseconds: number) => Promise<unknown>;
  /** A random number from 0 to 1, exclusive. */
  readonly chance: () => number;
  readonly meter?: OriginMeter;
}

/** Learns of each call of a registered origin. */
export interface OriginMeter {
  /** Returns how to end it. `isPaced`: the reader of the answer decides how long it takes. */
  readonly begins: (isPaced: boolean) => () => void;
  readonly result: (origin: string, kind: CountedResult) => void;
}

type CountedResult = (OriginAnswer | OriginWritten | StoredContent)["kind"];

// These statuses say that the server is unavailable. A 500 or 501 may be one request's own doing, and must
// not close the origin to all clients.
const unavailable: ReadonlySet<number> = new Set([502, 503, 504]);

/** The state of the calls to an origin, in an isolate. */
class Traffic {
  health: OriginHealth = healthy;
  readonly bulkhead = new Bulkhead();
  readonly retries = new RetryBudget();
  readonly rest = new OriginRest();
}

/**
 * Calls the named origins. A read may be repeated, so it is tried once more when the connection failed
 * before an answer began. A write is sent once (a second time only with a new token, after the origin
 * answered 401 to the first).
 */
export function upstream({ find, traits, hosts, clock, wait, chance, meter }: UpstreamOptions): Origins {
  const known = new Map<string, Traffic>();
  const trafficOf = (origin: string): Traffic => {
    const traffic = known.get(origin) ?? new Traffic();
    known.set(origin, traffic);
    return traffic;
  };

  /** The origin's address with a slot for this call, unless it does not exist or may not be called now. */
  const callable = async (...asked: Parameters<typeof admitted>) => {
    const called = await admitted(...asked);
    if (called?.kind === "circuit_open") meter?.result(asked[0], called.kind);
    return called;
  };
  const admitted = async (
    origin: string,
    { client, certificate, traceparent }: OriginCaller,
    place = origin,
  ) => {
    const address = await find(origin);
    if (address === undefined) return undefined;
    const { base, bearer, limits } = address;
    const traffic = trafficOf(place);
    const at = clock();
    const rest = traffic.rest.of(client, at);
    if (rest !== undefined) return { kind: "circuit_open", ...rest } as const;
    const admission = admitCall(traffic.health, client, at, limits.timeoutMilliseconds);
    if (admission.kind === "circuit_open") return { ...admission, because: "failing" } as const;
    const slot = traffic.bulkhead.take(client, limits, at);
    if (typeof slot === "string")
      return { kind: "circuit_open", because: slot, retryAfterSeconds: busySeconds } as const;
    const before = traffic.health;
    const wasSteady = isSteady(traffic.health, at);
    traffic.health = admission.health;
    let end = meter?.begins(place !== origin);
    return {
      kind: "callable",
      caller: {
        base,
        clientCert: address.forwardClientCert ? certificate : undefined,
        traceparent: address.forwardTrace === true ? traceparent : undefined,
        hosts,
        timeoutMilliseconds: limits.timeoutMilliseconds,
        certified: address.certified,
        further: address.headers,
      },
      bearer,
      /** No second try for an origin that is already failing: it would double its load at the worst time. */
      mayRepeat: () => wasSteady && traffic.retries.spend(),
      count: () => traffic.retries.add(),
      onEnd: {
        judged: (failed: boolean) => {
          traffic.health = failed
            ? afterFailure(traffic.health, client, clock())
            : afterSuccess(traffic.health, client);
        },
        abandoned: () => {
          if (admission.health !== before) traffic.health = afterAbandon(traffic.health, client);
        },
        over: () => {
          traffic.bulkhead.give(slot);
          end?.();
          end = undefined;
        },
        result: (kind: CountedResult) => meter?.result(origin, kind),
        answered: () => traffic.rest.noteAnswered(),
        noteRetryAfter: (because: RestReason, seconds: number) =>
          traffic.rest.noteRetryAfter(client, because, seconds, clock()),
      },
    } as const;
  };

  return {
    traits,
    async ask(origin, question, caller) {
      const called = await callable(origin, caller);
      if (called?.kind !== "callable") return called;
      const { onEnd } = called;
      const asking = () =>
        withBearer(called.bearer, (bearer) => once({ ...called.caller, bearer }, question, onEnd));
      return settled(onEnd, async () => {
        called.count();
        const answer = await asking();
        if (!isWorthRepeating(answer) || !called.mayRepeat()) return answer;
        await wait(retryDelay(chance()));
        return asking();
      });
    },
    async open(origin, url, caller, part) {
      const storage = (await find(origin))?.storage?.find(({ base }) => isStoredAt(url, base));
      if (storage === undefined) return { kind: "absent" };
      // A storage that fails does not close the FHIR server.
      const called = await callable(origin, caller, `${origin} ${storage.base}`);
      if (called?.kind !== "callable") return called;
      const { hosts: listed, timeoutMilliseconds } = called.caller;
      const asker = { ...ownCredentials(storage), hosts: listed, timeoutMilliseconds };
      return settled(called.onEnd, () => openOnce(asker, url, storage, part, called.onEnd));
    },
    async send(origin, write, caller) {
      const called = await callable(origin, caller);
      if (called?.kind !== "callable") return called;
      const { onEnd } = called;
      return settled(onEnd, () =>
        withBearer(called.bearer, (bearer) => sendOnce({ ...called.caller, bearer }, write, onEnd)),
      );
    },
  };
}

const busySeconds = 1;

/** Receives the end of a call. An answer that began ends with its last byte. */
interface CallEnd {
  /** The call showed that the origin fails, or that it answers. */
  readonly judged: (failed: boolean) => void;
  /** The reader left, and the call showed neither. */
  readonly abandoned: () => void;
  /** The call needs no slot any more. */
  readonly over: () => void;
  readonly result: (kind: CountedResult) => void;
  /** The origin did what it was asked, or has no such resource. */
  readonly answered: () => void;
  /** The origin asked not to be called for a time. */
  readonly noteRetryAfter: (because: RestReason, seconds: number) => void;
}

/** Reports a call without a body at once. */
async function settled<Answer extends OriginAnswer | OriginWritten | StoredContent>(
  { judged, over, answered, result }: CallEnd,
  call: () => Promise<Answer>,
): Promise<Answer> {
  let isOpen = false;
  try {
    const answer = await call();
    result(answer.kind);
    isOpen = answer.kind === "answered" || answer.kind === "written";
    if (isOpen || answer.kind === "absent") answered();
    if (!isOpen)
      judged(
        answer.kind === "unreachable" ||
          answer.kind === "timed_out" ||
          (answer.kind === "refused" && unavailable.has(answer.status)),
      );
    return answer;
  } finally {
    if (!isOpen) over();
  }
}

/** The connection failed before an answer began, or a proxy says that it did. */
const isWorthRepeating = (answer: OriginAnswer): boolean =>
  answer.kind === "unreachable" || (answer.kind === "refused" && answer.status === 502);

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
  readonly traceparent: string | undefined;
  readonly hosts: ReadonlySet<string>;
  readonly timeoutMilliseconds: number;
  readonly certified: CertifiedFetch | undefined;
  readonly further: OriginAddress["headers"];
}

async function once(caller: Caller, question: OriginQuestion, onEnd: CallEnd): Promise<OriginAnswer> {
  const { url, form } = addressOf(baseNames(caller.base), question);
  // Strict: an origin must not ignore a search parameter that it does not know (FHIR R4 §3.1.1.4.4), because
  // then it returns more rows.
  const headers: Record<string, string> = { prefer: "handling=strict" };
  if (form !== undefined) headers["content-type"] = "application/x-www-form-urlencoded";
  const sending = form === undefined ? { method: "GET" } : { method: "POST", body: form };
  const signal = AbortSignal.timeout(caller.timeoutMilliseconds);
  return reached(caller, url, { ...sending, headers }, signal, async (response) => {
    if (response.status === 200)
      return { kind: "answered", body: bodyOf(response, onEnd), base: caller.base };
    await response.body?.cancel();
    return notAnswered(response, onEnd);
  });
}

/** A storage gets neither the token for the FHIR server nor the caller's certificate. */
const ownCredentials = ({ base, headers }: StorageAddress) => ({
  base,
  bearer: undefined,
  clientCert: undefined,
  traceparent: undefined,
  certified: undefined,
  further: headers,
});

async function openOnce(
  caller: Caller,
  url: string,
  { bytesMax }: StorageAddress,
  part: ContentPart | undefined,
  onEnd: CallEnd,
): Promise<StoredContent | Exclude<OriginAnswer, { readonly kind: "answered" }>> {
  // RFC 9110 §12.5.3: a coded content would have another length and another hash
  const headers = {
    accept: "*/*",
    "accept-encoding": "identity",
    ...(part && { range: `bytes=${part.first}-${part.last}`, "if-range": part.validator }),
  };
  const early = new AbortController();
  const late = () => early.abort(new DOMException("no answer in time", "TimeoutError"));
  const timer = setTimeout(late, caller.timeoutMilliseconds);
  const signal = AbortSignal.any([early.signal, AbortSignal.timeout(openedMilliseconds)]);
  type Opened = Awaited<ReturnType<typeof openOnce>>;
  return reached(caller, url, { method: "GET", headers }, signal, async (response): Promise<Opened> => {
    const { status, headers: stated } = response;
    const tag = stated.get("etag") ?? "";
    const validator = /^"[\x21\x23-\x7e]*"$/u.test(tag) ? tag : undefined;
    const range = part && `bytes ${part.first}-${part.last}/${part.length}`;
    const isAsked =
      part === undefined
        ? status === 200
        : status === 206 && stated.get("content-range") === range && validator === part.validator;
    if (isAsked && !stated.has("content-encoding"))
      return {
        kind: "answered",
        body: bodyOf(response, onEnd),
        bytesMax,
        type: stated.get("content-type") ?? undefined,
        length: part?.length ?? declaredLength(stated),
        validator,
        first: part?.first,
      };
    await response.body?.cancel();
    return notAnswered(response, onEnd);
  }).finally(() => clearTimeout(timer));
}

// A content leaves as fast as its reader takes it.
const openedMilliseconds = 600_000;

async function sendOnce(caller: Caller, write: OriginWrite, onEnd: CallEnd): Promise<OriginWritten> {
  const { method, path, body, version, ifNone } = write;
  const headers: Record<string, string> = { prefer: "return=representation" };
  if (body !== undefined) headers["content-type"] = "application/fhir+json";
  if (version !== undefined) headers["if-match"] = `W/"${version}"`;
  if (ifNone === "same id") headers["if-none-match"] = "*";
  else if (ifNone !== undefined) headers["if-none-exist"] = ifNone.matches;
  const sending = body === undefined ? { method, headers } : { method, headers, body };
  const url = below(baseNames(caller.base)[0], path);
  const signal = AbortSignal.timeout(caller.timeoutMilliseconds);
  return reached(caller, url, sending, signal, async (response) => {
    const { status } = response;
    if (status === 200 || status === 201 || status === 204) {
      const location = response.headers.get("location") ?? undefined;
      const isJson = /^application\/(?:fhir\+)?json\s*(?:;|$)/iu.test(
        response.headers.get("content-type") ?? "",
      );
      return { kind: "written", status, isJson, location, body: bodyOf(response, onEnd), base: caller.base };
    }
    await response.body?.cancel();
    return notAnswered(response, onEnd);
  });
}

function notAnswered(
  { status, headers }: Response,
  { noteRetryAfter }: CallEnd,
): Extract<OriginAnswer, { kind: "absent" | "refused" }> {
  if (status === 404 || status === 410) return { kind: "absent" };
  if (status !== 429 && status !== 503) return { kind: "refused", status };
  const seconds = retryAfter(headers.get("retry-after"));
  if (seconds !== undefined) noteRetryAfter(status === 429 ? "origin_throttled" : "failing", seconds);
  return { kind: "refused", status, retryAfterSeconds: seconds ?? retryUsual };
}

// A client waits at most five minutes on an origin's word alone. An origin that gives no time is asked again
// soon.
const [retryMax, retryUsual] = [300, 10];

/** Reads RFC 9110 §10.2.3, a number of seconds or a date, as seconds; undefined for neither. */
function retryAfter(text: string | null): number | undefined {
  const seconds =
    text === null
      ? NaN
      : /^\d+$/u.test(text)
        ? Number(text)
        : Math.ceil((Date.parse(text) - Date.now()) / 1_000);
  return Number.isNaN(seconds) ? undefined : Math.min(retryMax, Math.max(1, seconds));
}

/**
 * Sends the request. Redirects are not followed: an origin could send the question, and its credential,
 * anywhere.
 */
async function reached<Answer>(
  { hosts, bearer, clientCert, traceparent, certified, further }: Caller,
  url: string,
  sending: {
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string;
  },
  signal: AbortSignal,
  read: (response: Response) => Promise<Answer>,
): Promise<Answer | OriginFault> {
  if (!isAt(siteOf(url), hosts)) throw new ConfigError("ORIGIN_HOSTS", "an origin's host");
  const headers: Record<string, string> = { accept: "application/fhir+json", ...sending.headers };
  if (bearer !== undefined) headers["authorization"] = `Bearer ${bearer.reveal()}`;
  // RFC 9440 §2.2; the client's own headers never come this far
  if (clientCert !== undefined) headers["client-cert"] = clientCert;
  if (traceparent !== undefined) headers["traceparent"] = traceparent;
  try {
    for (const [name, value] of further)
      headers[name] = (value instanceof Secret ? value : await value.current()).reveal();
    const init: RequestInit = { ...sending, headers, redirect: "manual", signal };
    return await read(certified === undefined ? await fetch(url, init) : await certified.fetch(url, init));
  } catch (fault) {
    return faultOf(fault);
  }
}

/**
 * An address below an origin's base. Throws for a path that a URL parser would fold or cut, because the
 * address would then differ from the judged address. Each path is made of types, ids and names of
 * operations, which contain neither segments of dots nor any of `\\`, `%`, `?` and `#`.
 */
function below(base: string, path: string, query = ""): string {
  if (path !== "" && (!/^[\w$.-]+(?:\/[\w$.-]+)*$/u.test(path) || /(?:^|\/)\.+(?:\/|$)/u.test(path)))
    throw new Error("a path below an origin is not plain");
  return `${base}/${path}${query === "" ? "" : `?${query}`}`;
}

/** The host of an address. All addresses below a base have the same text before their path. */
function siteOf(url: string): URL {
  const pathAt = url.indexOf("/", url.indexOf("//") + 2);
  return siteOfText(pathAt < 0 ? url : url.slice(0, pathAt));
}

const siteOfText = memo(64, (text) => new URL(text));

function addressOf(
  [base]: readonly [string, ...string[]],
  question: OriginQuestion,
): { readonly url: string; readonly form: string | undefined } {
  if ("link" in question) return { url: new URL(base + question.link).href, form: undefined };
  const { path, query, posted } = question;
  if (posted === true) return { url: below(base, `${path}/_search`), form: query };
  return { url: below(base, path, query), form: undefined };
}

/**
 * A body that breaks off yields its fault as the last item, and the fault counts against the origin. A
 * reader that stops closes the connection.
 */
function bodyOf(response: Response, onEnd: CallEnd): OriginBody {
  const pieces = FramedBody.of(response) ?? new PieceReader(response.body, declaredLength(response.headers));
  const reading = new BodyReading(pieces, onEnd);
  return { [Symbol.asyncIterator]: () => reading };
}

type Pieces = Pick<PieceReader, "next" | "stop">;

/** Written out: a generator around a generator would cost more than the read of a short body. */
class BodyReading implements AsyncIterator<Result<Uint8Array, OriginFault>, undefined> {
  readonly #pieces: Pieces;
  readonly #onEnd: CallEnd;
  #isOver = false;
  #hasBegun = false;

  constructor(pieces: Pieces, onEnd: CallEnd) {
    this.#pieces = pieces;
    this.#onEnd = onEnd;
  }

  async next(): Promise<IteratorResult<Result<Uint8Array, OriginFault>, undefined>> {
    if (this.#isOver) return ended;
    try {
      const piece = await this.#pieces.next();
      if (piece !== undefined) {
        this.#hasBegun = true;
        return { done: false, value: ok(piece) };
      }
      this.#end(false);
      return ended;
    } catch (fault) {
      this.#end(true);
      return { done: false, value: err(faultOf(fault)) };
    }
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    if (!this.#isOver) {
      // A piece of an answer shows that the origin answers.
      if (this.#hasBegun) this.#onEnd.judged(false);
      else this.#onEnd.abandoned();
    }
    this.#isOver = true;
    this.#onEnd.over();
    await this.#pieces.stop();
    return ended;
  }

  #end(failed: boolean): void {
    this.#isOver = true;
    this.#onEnd.judged(failed);
    this.#onEnd.over();
  }
}

const ended: IteratorReturnResult<undefined> = { done: true, value: undefined };

const faultOf = (fault: unknown): OriginFault => ({
  kind: fault instanceof Error && fault.name === "TimeoutError" ? "timed_out" : "unreachable",
});
