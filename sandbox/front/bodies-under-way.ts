/** A request while its body comes. */
interface Coming {
  once(event: "end" | "close", listener: () => void): unknown;
}

/**
 * The bodies that are not sent to their end yet, by client: each holds a socket to the Worker. While three of four
 * sockets are held, a client that holds a quarter of them gets no further one, so slow bodies of one client keep no
 * other client away.
 */
export class BodiesUnderWay {
  readonly #most: number;
  readonly #ofClient = new Map<string, number>();
  #all = 0;

  /** @param most the sockets for requests with a body. */
  constructor(most: number) {
    this.#most = most;
  }

  /** False: the client holds too many. `client`: its certificate or address. */
  take(client: string, body: Coming): boolean {
    const own = this.#ofClient.get(client) ?? 0;
    if (this.#all >= (3 * this.#most) / 4 && own >= this.#most / 4) return false;
    this.#all += 1;
    this.#ofClient.set(client, own + 1);
    let isOver = false;
    const end = () => {
      if (isOver) return;
      isOver = true;
      this.#all -= 1;
      const left = (this.#ofClient.get(client) ?? 1) - 1;
      if (left > 0) this.#ofClient.set(client, left);
      else this.#ofClient.delete(client);
    };
    body.once("end", end);
    body.once("close", end);
    return true;
  }
}
