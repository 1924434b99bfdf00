import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { IncomingMessage, ServerResponse } from "node:http";
import { TLSSocket } from "node:tls";
import { mentionsOf } from "./hidden-origin.ts";

/** Copies each answer that the TLS fronts of this process send: status line, headers and body. */
export class AnswerWatch {
  readonly #started = (message: unknown) => {
    // as Node documents the channel
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
    if (request.socket instanceof TLSSocket) this.#readAlong(request, response);
  };
  #answers = 0;
  readonly #hidden: string;
  readonly #found = new Set<string>();

  /** @param hidden the URL that no answer may name by host or port. */
  constructor(hidden: string) {
    this.#hidden = hidden;
    subscribe("http.server.request.start", this.#started);
  }

  /** Throws when an answer named the address, and lists the requests. */
  end(): void {
    unsubscribe("http.server.request.start", this.#started);
    if (this.#found.size > 0)
      throw new Error(`${this.#hidden} stands in the answers to: ${[...this.#found].join("; ")}`);
  }

  /** The number of answers that it has read to the end. */
  get answers(): number {
    return this.#answers;
  }

  #readAlong({ method, url }: IncomingMessage, response: ServerResponse): void {
    response.setMaxListeners(20); // for the front's own listeners and several watches
    const parts: Buffer[] = [];
    for (const name of ["writeHead", "write", "end"] as const) {
      // the caller's own arguments are passed on
      const original = response[name].bind(response) as (...args: unknown[]) => unknown;
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
      // P8 hides the origin from clients. The registry, which operators read, names it.
      if (url?.startsWith("/api/registry") === true) return;
      const found = mentionsOf(this.#hidden, Buffer.concat(parts).toString("utf8"));
      if (found.length > 0) this.#found.add(`${method} ${url}: ${found[0]}`);
    });
  }
}
