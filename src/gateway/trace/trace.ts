import { gatewayFaces } from "#entrypoint/gateway-face";
import type { GatewayFace } from "#entrypoint/public-face";
import type { Interaction } from "#fhir/interaction";
import type { OriginAnswer, OriginWritten } from "#fhir/ports";
import type { Principal } from "#identity/principal";
import type { Clock, Instant } from "#kernel/clock";

/** The stages of a request, each a span. A stage ends where the next stage begins. */
export type StageName =
  | "authenticate"
  | "lease"
  | "thread"
  | "review"
  | "interpret"
  | "authorize"
  | "answer"
  | "release";

/** Calls that a stage makes, each a span below its stage. */
export type CallName = "origin" | "append";

declare const own: unique symbol;
/** An id that this deployment gave: of a request, a client or an origin. Only this file makes it. */
export type OwnId = string & { readonly [own]: true };

/** The end of a request, as far as its trace shows it. */
interface Ended {
  readonly kind: "refused" | "local" | "shown" | "written" | "batch" | "transaction";
  readonly refusal?: { readonly reason: keyof typeof gatewayFaces };
}

/** All attributes of spans (P7): each is an id of this deployment, or a word of a closed list. No text fits. */
export interface Attributes {
  /** The request's id, as its records and `X-Request-Id` have it. */
  readonly request?: OwnId;
  readonly client?: OwnId | undefined;
  readonly origin?: OwnId | undefined;
  readonly interaction?: Interaction["kind"] | undefined;
  readonly outcome?: Ended["kind"] | OriginAnswer["kind"] | OriginWritten["kind"] | "unknown" | "fault";
  /** The public code of a refusal. The record has the finer reason. */
  readonly code?: GatewayFace["code"] | undefined;
}

export interface TraceSpan {
  /** 8 random bytes in hex. */
  readonly id: string;
  readonly parent: string | undefined;
  readonly name: StageName | CallName | "request";
  readonly begin: Instant;
  /** Undefined: it has not ended. */
  end: Instant | undefined;
  attributes: Attributes;
}

/** The ids of a valid `traceparent` (W3C Trace Context §3.2). */
export interface CallerSpan {
  readonly traceId: string | undefined;
  readonly parentId?: string | undefined;
}

interface TraceMeans {
  /** 16 random bytes in hex. */
  readonly newId: () => string;
  readonly clock: Clock;
  /** Receives the trace once its request has ended. */
  readonly onEnd: (trace: Trace) => void;
}

// A transaction or a join may call its origin some hundred times.
const spansMax = 256;

/**
 * An id that spells a text in ASCII or a number in decimal digits. A random id of 8 bytes does so in one case of
 * 1,100, an id of 16 bytes in one of 2,000,000.
 */
const spelling = /^(?:\d+|(?:00|[2-7][\da-f])+)$/u;

/** The spans of a request that the sample has. */
export class Trace {
  readonly #means: TraceMeans;
  readonly #spans: TraceSpan[] = [];
  readonly #root: TraceSpan;
  #id: string;
  #parent: string | undefined;
  #stage: TraceSpan | undefined;

  /** @param request the request's id: the ids of the trace are others. */
  constructor(request: string, means: TraceMeans) {
    this.#means = means;
    this.#id = means.newId();
    this.#root = this.#newSpan("request", undefined, { request: request as OwnId });
  }

  /** 16 random bytes in hex, or the trace id of a proven caller. */
  get id(): string {
    return this.#id;
  }

  /** The caller's span, in which the request's span stands. */
  get callerSpan(): string | undefined {
    return this.#parent;
  }

  get spans(): readonly TraceSpan[] {
    return this.#spans;
  }

  /**
   * Continues the trace of a proven caller: the ids of strangers reach no collector. An id that spells a text or a
   * number may name a person, and is left out.
   */
  continueFrom({ traceId, parentId }: CallerSpan): void {
    if (traceId === undefined || spelling.test(traceId)) return;
    this.#id = traceId;
    if (parentId !== undefined && !spelling.test(parentId)) this.#parent = parentId;
  }

  /** Begins a stage, and ends the stage before. */
  stage(name: StageName): void {
    const before = this.#stage;
    this.#stage = this.#newSpan(name, this.#root.id, {});
    if (before !== undefined) before.end = this.#stage.begin;
  }

  /** Makes a call of the present stage in a span. The call gets the span's `traceparent`. */
  async during<T>(
    name: CallName,
    call: (traceparent: string) => Promise<T>,
    attributesOf: (answer: T) => Attributes = () => ({}),
  ): Promise<T> {
    const span = this.#newSpan(name, (this.#stage ?? this.#root).id, { outcome: "fault" });
    try {
      const answer = await call(`00-${this.#id}-${span.id}-01`);
      span.attributes = attributesOf(answer);
      return answer;
    } finally {
      span.end = this.#means.clock();
    }
  }

  /** Ends every span, and the trace. `ended` is undefined after a fault without a record. */
  end(who: Principal | undefined, interaction: Interaction | undefined, ended: Ended | undefined): void {
    this.#root.attributes = {
      ...this.#root.attributes,
      client: who?.client.id as OwnId | undefined,
      origin: who?.grant.origin as OwnId | undefined,
      interaction: interaction?.kind,
      outcome: ended?.kind ?? "fault",
      code: ended?.refusal && gatewayFaces[ended.refusal.reason].code,
    };
    const at = this.#means.clock();
    for (const span of this.#spans) span.end ??= at;
    this.#means.onEnd(this);
  }

  #newSpan(name: TraceSpan["name"], parent: string | undefined, attributes: Attributes): TraceSpan {
    const { newId, clock } = this.#means;
    const span: TraceSpan = {
      id: newId().slice(16),
      parent,
      name,
      begin: clock(),
      end: undefined,
      attributes,
    };
    if (this.#spans.length < spansMax) this.#spans.push(span);
    return span;
  }
}
