import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { IncomingMessage, ServerResponse } from "node:http";
import { TLSSocket } from "node:tls";
import { mentionsOf } from "./hidden-origin.ts";

/** Reads along what the TLS fronts of this process answer to anybody: status line, headers, body. */
export class AnswerWatch {
  readonly #started = (message: unknown) => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse }; // as Node documents the channel
    if (request.socket instanceof TLSSocket) this.#readAlong(request, response);
  };
  #answers = 0;
  readonly #hidden: string;
  readonly #found = new Set<string>();

  /** @param hidden the URL whose host and port no answer may hold. */
  constructor(hidden: string) {
    this.#hidden = hidden;
    subscribe("http.server.request.start", this.#started);
  }

  /** Throws when an answer held the address, naming the requests. */
  end(): void {
    unsubscribe("http.server.request.start", this.#started);
    if (this.#found.size > 0)
      throw new Error(`${this.#hidden} stands in the answers to: ${[...this.#found].join("; ")}`);
  }

  /** How many it has read to their end. */
  get answers(): number {
    return this.#answers;
  }

  #readAlong({ method, url }: IncomingMessage, response: ServerResponse): void {
    response.setMaxListeners(20); // the front's own and those of several watches
    const parts: Buffer[] = [];
    for (const name of ["writeHead", "write", "end"] as const) {
      const original = response[name].bind(response) as (...args: unknown[]) => unknown; // called with what it was to be called with
      const alongside = (...args: unknown[]) => {
        const [first] = args;
        if (name === "writeHead") parts.push(Buffer.from(`${JSON.stringify(args)}\n`));
        else if (typeof first === "string" || first instanceof Uint8Array) parts.push(Buffer.from(first));
        return original(...args);
      };
      Object.assign(response, { [name]: alongside });
    }
    response.once("close", () => {
      this.#answers += 1;
      const found = mentionsOf(this.#hidden, Buffer.concat(parts).toString("utf8"));
      if (found.length > 0) this.#found.add(`${method} ${url}: ${found[0]}`);
    });
  }
}
