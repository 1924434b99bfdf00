/** The part of a V8 CPU profile that is read here (Chrome DevTools Protocol, Profiler.Profile). */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      /** From 0. */
      readonly lineNumber: number;
    };
  }[];
  /** The node on top of the stack at each sample. */
  readonly samples?: readonly number[];
}

/** One isolate of workerd, by the debugger's socket. */
export interface Isolate {
  /** Name of its service. */
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<CpuProfile>;
  /**
   * The bytes that a full collection leaves in its heap, and in buffers outside of the heap. Needs V8's flag
   * `--expose-gc`: workerd never answers `HeapProfiler.collectGarbage`.
   */
  bytesAlive(): Promise<number>;
  close(): void;
}

const sampleMicros = 1_000; // ten isolates are sampled at once: a shorter interval would mostly measure the sampling

/** Chrome DevTools Protocol, Runtime.getHeapUsage. */
interface HeapUsage {
  readonly usedSize: number;
  readonly embedderHeapUsedSize: number;
  readonly backingStorageSize: number;
}

/** Every isolate behind the debugger's port: one for each service that has a Worker. */
export async function isolatesAt(port: number): Promise<readonly Isolate[]> {
  const listed = await fetch(`http://127.0.0.1:${port}/json`);
  const targets: readonly { readonly id: string; readonly webSocketDebuggerUrl: string }[] = JSON.parse(
    await listed.text(),
  );
  return await Promise.all(targets.map(({ id, webSocketDebuggerUrl }) => connect(id, webSocketDebuggerUrl)));
}

interface Reply {
  readonly id?: number;
  /** Of the event `Runtime.executionContextCreated`. */
  readonly params?: { readonly context?: { readonly id: number } };
  readonly result?: { readonly profile?: CpuProfile } & Partial<HeapUsage>;
  readonly error?: { readonly message: string };
}

async function connect(name: string, url: string): Promise<Isolate> {
  const socket = new WebSocket(url);
  await new Promise<void>((open, failed) => {
    socket.addEventListener("open", () => open());
    socket.addEventListener("error", () => failed(new Error(`${name} has no debugger at ${url}`)));
  });
  const waiting = new Map<number, (reply: Reply) => void>();
  let contextId: number | undefined;
  socket.addEventListener("message", ({ data }) => {
    const reply: Reply = JSON.parse(String(data));
    contextId = reply.params?.context?.id ?? contextId;
    if (reply.id !== undefined) waiting.get(reply.id)?.(reply);
  });
  let last = 0;
  const call = (method: string, params: object = {}) =>
    new Promise<Reply["result"]>((done, failed) => {
      const id = ++last;
      waiting.set(id, ({ result, error }) => {
        waiting.delete(id);
        if (error === undefined) done(result);
        else failed(new Error(`${name}: ${method}: ${error.message}`));
      });
      socket.send(JSON.stringify({ id, method, params }));
    });
  return {
    name: name.replace(/^.*:/u, ""),
    async start() {
      await call("Profiler.enable");
      await call("Profiler.setSamplingInterval", { interval: sampleMicros });
      await call("Profiler.start");
    },
    async stop() {
      const result = await call("Profiler.stop");
      if (result?.profile === undefined) throw new Error(`${name} gives no profile`);
      return result.profile;
    },
    async bytesAlive() {
      await call("Runtime.enable");
      await call("Runtime.evaluate", { expression: "gc()", contextId });
      await call("Runtime.disable");
      const alive = await call("Runtime.getHeapUsage");
      return (
        (alive?.usedSize ?? NaN) + (alive?.embedderHeapUsedSize ?? NaN) + (alive?.backingStorageSize ?? NaN)
      );
    },
    close: () => socket.close(),
  };
}
