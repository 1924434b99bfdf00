import { MemorySql } from "./sql-storage.ts";

/** The longest wait of a timer of Node, in milliseconds. A timer with a longer wait would fire at once. */
const TIMER_MAX = 2_147_483_647;
const ALARM_RETRY_MS = 2_000;

type ObjectClass = new (ctx: DurableObjectState, env: never) => object;

/**
 * `timer`: an alarm rings by itself, in real time. `asked`: it rings when `ringAlarms` finds that its time
 * has come by `Date`.
 */
export type Alarms = "timer" | "asked";

/**
 * A Durable Object namespace in this process. Each object has a SQLite database in memory, which outlives
 * the object. The object accepts no call before the work of `blockConcurrencyWhile` is done, and `abort`
 * tears it down. Arguments and answers are copies, as over RPC.
 */
export class ObjectNamespace {
  readonly #objects = new Map<string, MemoryObject>();
  readonly className: string;
  /** The location hint of each object's first call, by the object's name. */
  readonly hints = new Map<string, string | undefined>();
  readonly #make: (ctx: DurableObjectState) => object;
  readonly #alarms: Alarms;

  /** `env` is called when an object starts: the bindings of workers name each other. */
  constructor(objectClass: ObjectClass, env: () => object, alarms: Alarms = "timer") {
    this.#alarms = alarms;
    this.className = objectClass.name;
    // the worker's own class, with the bindings that its configuration names
    this.#make = (ctx) => new objectClass(ctx, env() as never);
  }

  getByName(name: string, options?: { readonly locationHint?: string }): object {
    // as in production, the first call places the object for good
    if (!this.hints.has(name)) this.hints.set(name, options?.locationHint);
    const object = this.#objectOf(name);
    return stubOf((method, args) => object.call(method, args));
  }

  /** Runs SQL in an object's storage without the object's knowledge. */
  storageOf(name: string): Pick<MemorySql, "exec"> {
    return this.#objectOf(name).sql;
  }

  /** The machine with an object's storage is gone: the next call starts the object without any row. */
  lose(name: string): void {
    this.#objects.get(name)?.close();
    this.#objects.delete(name);
  }

  #objectOf(name: string): MemoryObject {
    const object = this.#objects.get(name) ?? new MemoryObject(name, this.#make, this.#alarms);
    this.#objects.set(name, object);
    return object;
  }

  /** Rings each alarm whose time has come, object after object. Answers how many rang. */
  async ringAlarms(): Promise<number> {
    let rung = 0;
    for (const object of this.#objects.values()) if (await object.ringIfDue()) rung += 1;
    return rung;
  }

  /** Ends every object and its timers. */
  close(): void {
    for (const object of this.#objects.values()) object.close();
    this.#objects.clear();
  }
}

/** Calls any method by RPC. It has no `then`, so that a caller can await it. */
export function stubOf(call: (method: string, args: readonly unknown[]) => Promise<unknown>): object {
  return new Proxy(
    {},
    {
      get: (_target, method) =>
        typeof method === "string" && method !== "then"
          ? (...args: readonly unknown[]) => call(method, args)
          : undefined,
    },
  );
}

/** Calls a method with copies, as RPC does. A value that cannot be copied throws. */
export async function called(object: object, method: string, args: readonly unknown[]): Promise<unknown> {
  const found: unknown = Reflect.get(object, method);
  if (typeof found !== "function")
    throw new TypeError(`The RPC receiver does not implement the method "${method}".`);
  const answer: unknown = await Reflect.apply(found, object, structuredClone(args));
  return structuredClone(answer);
}

interface Running {
  readonly object: object;
  readonly started: Promise<unknown>;
  /** Rejects when the object is torn down. */
  readonly broken: Promise<never>;
}

class MemoryObject {
  readonly #name: string;
  readonly #make: (ctx: DurableObjectState) => object;
  readonly sql = new MemorySql();
  #running: Running | undefined;
  readonly #alarms: Alarms;
  #alarm: { readonly at: number; readonly timer: NodeJS.Timeout | undefined } | undefined;

  constructor(name: string, make: (ctx: DurableObjectState) => object, alarms: Alarms) {
    this.#name = name;
    this.#make = make;
    this.#alarms = alarms;
  }

  async call(method: string, args: readonly unknown[]): Promise<unknown> {
    if (method === "alarm") throw new TypeError("alarm is called by the runtime alone");
    const running = (this.#running ??= this.#start());
    const answer = running.started.then(() => called(running.object, method, args));
    return await Promise.race([answer, running.broken]);
  }

  async ringIfDue(): Promise<boolean> {
    if (this.#alarm === undefined || this.#alarm.at > Date.now()) return false;
    await this.#ring();
    return true;
  }

  close(): void {
    clearTimeout(this.#alarm?.timer);
    this.sql.close();
  }

  #start(): Running {
    let isTornDown = false;
    let breaks: (fault: Error) => void = () => {};
    const broken = new Promise<never>((_resolve, reject) => (breaks = reject));
    broken.catch(() => {});
    const tearDown = (reason: string) => {
      isTornDown = true;
      this.#running = undefined;
      breaks(Object.assign(new Error(reason), { durableObjectReset: true, retryable: true }));
    };
    let started: Promise<unknown> = Promise.resolve();
    const living = <A extends readonly unknown[], R>(act: (...args: A) => R) => {
      return (...args: A): R => {
        if (isTornDown) throw new Error("this object was torn down");
        return act(...args);
      };
    };
    const sql = { exec: living(this.sql.exec.bind(this.sql)) };
    Object.defineProperty(sql, "databaseSize", { get: () => this.sql.databaseSize });
    const storage = {
      sql,
      sync: async () => {},
      transactionSync: living(<T>(steps: () => T) => this.sql.transaction(steps)),
      getAlarm: living(async () => this.#alarm?.at ?? null),
      setAlarm: living(async (at: number) => this.#setAlarm(at)),
    };
    const ctx = {
      id: { name: this.#name },
      storage,
      abort: (reason = "aborted") => tearDown(reason),
      waitUntil: (work: Promise<unknown>) => void work.catch(() => {}),
      blockConcurrencyWhile: (start: () => Promise<unknown>) => (started = start()),
    };
    // the members that the objects of this repository use
    const object = this.#make(ctx as unknown as DurableObjectState);
    started.catch((fault: unknown) => tearDown(fault instanceof Error ? fault.message : "the start failed"));
    return { object, started, broken };
  }

  #setAlarm(at: number): void {
    clearTimeout(this.#alarm?.timer);
    if (this.#alarms === "asked") {
      this.#alarm = { at, timer: undefined };
      return;
    }
    const left = at - Date.now();
    const wait = () => (left > TIMER_MAX ? this.#setAlarm(at) : void this.#ring());
    this.#alarm = { at, timer: setTimeout(wait, Math.min(Math.max(left, 0), TIMER_MAX)).unref() };
  }

  async #ring(): Promise<void> {
    this.#alarm = undefined;
    try {
      const running = (this.#running ??= this.#start());
      await running.started;
      const alarm: unknown = Reflect.get(running.object, "alarm");
      if (typeof alarm === "function")
        await Promise.race([Reflect.apply(alarm, running.object, []), running.broken]);
    } catch {
      if (this.#alarm === undefined) this.#setAlarm(Date.now() + ALARM_RETRY_MS);
    }
  }
}
