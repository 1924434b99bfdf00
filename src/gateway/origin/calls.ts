import type {
  ContentPart,
  OriginCaller,
  OriginQuestion,
  Origins,
  OriginTraits,
  OriginWrite,
  OriginWritten,
  StoredContent,
} from "#fhir/ports";
import type { FhirBase } from "#fhir/r4/reference";
import { RowBarrier } from "#fhir/row-barrier";
import { ok, type Result } from "#kernel/result";
import type { HeldLease, RowLeases } from "#limits/row-lease";
import { rowCounts } from "#phi/bytes/row-counts";
import { fitted, type NotAtOrigin } from "./at-origin.ts";
import { answeredBy, forward, readWhole, type Answered, type OriginRefusal } from "./forward.ts";
import { HeldBytes } from "./held-bytes.ts";

export interface OriginCallsSetting {
  /** Name of the origin in the registry. */
  readonly name: string;
  /** FHIR base that the client calls. */
  readonly base: string;
  /** The client for which the origin is called. */
  readonly client: string;
  /** The verified certificate of the connection in the form of RFC 9440: for an origin that wants it. */
  readonly clientCert: string | undefined;
  /** Leases of rows, for an origin that does not honour `If-Match`. */
  readonly leases: RowLeases;
  /** Called with the name of a fault that hid a row, once for each name. */
  readonly onRowFault?: (name: string) => void;
}

/** The whole answer of an origin that is a single resource. */
export interface WholeAnswer {
  readonly body: Uint8Array;
  /** FHIR base of the origin that answered. */
  readonly base: FhirBase;
}

/** All traffic of a request with its origin: every question and every byte of the answers pass here. */
export class OriginCalls {
  readonly name: string;
  readonly base: string;
  /** Around each row of the request and of all its entries. */
  readonly barrier: RowBarrier;
  /** The memory budget of the request and of all its entries. */
  readonly held: HeldBytes;
  readonly #origins: Origins;
  readonly #leases: RowLeases;
  readonly #caller: OriginCaller;
  #traits: Promise<OriginTraits | undefined> | undefined;

  constructor(
    origins: Origins,
    { name, base, client, clientCert, leases, onRowFault }: OriginCallsSetting,
    held = new HeldBytes(),
    barrier = new RowBarrier(onRowFault, () => rowCounts.count("unjudged")),
  ) {
    this.name = name;
    this.base = base;
    this.held = held;
    this.barrier = barrier;
    this.#origins = origins;
    this.#leases = leases;
    this.#caller = { client, certificate: clientCert };
  }

  /** Asks a question in the form that this origin can answer. */
  async ask(question: OriginQuestion): Promise<Result<Answered, OriginRefusal>> {
    const fit = await this.#fitted(question);
    return fit.ok ? forward(this.#origins, this.name, fit.value, this.#caller) : fit;
  }

  /** A question of a type in the form that this origin can answer. A link stays as it is. */
  async #fitted(question: OriginQuestion): Promise<Result<OriginQuestion, NotAtOrigin>> {
    if (!("path" in question)) return ok(question);
    const traits = await this.traits();
    return traits === undefined ? ok(question) : fitted(question, traits);
  }

  /** Reads the whole body of an answer that is a single resource. */
  async read(question: OriginQuestion): Promise<Result<WholeAnswer, OriginRefusal>> {
    const answer = await this.ask(question);
    if (!answer.ok) return answer;
    const body = await readWhole(answer.value.body);
    return body.ok ? ok({ body: body.value, base: answer.value.base }) : body;
  }

  /** Opens content at a storage base of the origin, or a part of the content. */
  async open(url: string, part?: ContentPart): Promise<Result<StoredContent, OriginRefusal>> {
    return answeredBy(await this.#origins.open(this.name, url, this.#caller, part));
  }

  /** Sends a write, once. */
  send(write: OriginWrite): Promise<OriginWritten | undefined> {
    return this.#origins.send(this.name, write, this.#caller);
  }

  /** Takes the lease of a row. `undefined`: another write has it for longer than a request waits. */
  lease(path: string): Promise<HeldLease | undefined> {
    return this.#leases.take(this.name, path);
  }

  /** The origin's registered behaviour, one for all questions of the request. */
  traits(): Promise<OriginTraits | undefined> {
    return (this.#traits ??= this.#origins.traits(this.name));
  }
}
