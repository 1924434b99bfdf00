/**
 * Stands between an isolate and a part of Phylax elsewhere: may note the call, or let the call wait.
 * @param to the part, such as `ledger`
 * @param method of a part that is called by RPC
 * @param object the name of the Durable Object
 */
export type Remote = <T>(to: string, act: () => Promise<T>, method?: string, object?: string) => Promise<T>;

export const direct: Remote = (_, act) => act();

interface Namespace {
  getByName(name: string, options?: object): object;
}

/** A namespace whose objects are called through `remote`. */
export const remoteNamespace = (namespace: Namespace, to: string, remote: Remote): Namespace => ({
  getByName: (name, options) => remoteStub(namespace.getByName(name, options), to, remote, name),
});

/** A stub whose methods are called through `remote`. */
export const remoteStub = (stub: object, to: string, remote: Remote, object?: string): object =>
  new Proxy(stub, {
    get(target, method) {
      const call: unknown = Reflect.get(target, method);
      return typeof call === "function"
        ? (...args: readonly unknown[]) =>
            remote(
              to,
              async (): Promise<unknown> => await Reflect.apply(call, target, args),
              String(method),
              object,
            )
        : call;
    },
  });

/** A call that left an isolate, in a run in which each call takes exactly a tick. */
export interface TracedCall {
  readonly to: string;
  /** The tick in which it began: calls of the same tick run side by side. */
  readonly tick: number;
}

// A tick ends after so many turns of a timer without a call. A process that the machine stops for a while has one
// turn for it, so a busy machine makes a tick longer.
const TURNS = 15;
const TURN_MS = 10;

/**
 * Notes calls, and lets each take a tick of its own time: a tick ends when no further call has begun for a
 * while. So a call that waits for an earlier call begins in a later tick.
 */
export class RemoteTrace {
  calls: TracedCall[] = [];
  #tick = 0;
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #turns = 0;
  #isOn = false;

  readonly remote: Remote = async (to, act) => {
    if (!this.#isOn) return act();
    this.calls.push({ to, tick: this.#tick });
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      this.#turns = 0;
      this.#timer ??= setInterval(() => this.#turn(), TURN_MS);
    });
    return act();
  };

  /**
   * The rounds of a request: the parts that it waits for, round after round, the parts of a round side
   * by side and in the order of their names. Calls that begin after the answer are no part of it.
   */
  async roundsOf(act: () => Promise<unknown>): Promise<readonly (readonly string[])[]> {
    this.calls = [];
    this.#tick = 0;
    this.#isOn = true;
    try {
      await act();
      const last = this.#tick;
      const rounds = Map.groupBy(this.calls, ({ tick }) => tick);
      return [...rounds].flatMap(([tick, calls]) => (tick < last ? [calls.map(({ to }) => to).sort()] : []));
    } finally {
      this.#isOn = false;
      for (const resolve of this.#waiting.splice(0)) resolve();
    }
  }

  #turn(): void {
    this.#turns += 1;
    if (this.#turns < TURNS) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#tick += 1;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
