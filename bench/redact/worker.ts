import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Running } from "../process/process.ts";
import { embed } from "../workerd/capnp.ts";
import { bundleWorker, serveConfig } from "../workerd/serve.ts";
import type { RedactSubject, RedactWork } from "./cases.ts";
import type { RedactTask } from "./redact-worker.ts";

/** The Worker of the group in a workerd of its own. */
export interface RedactWorker {
  load(name: string, subject: RedactSubject): Promise<void>;
  bytesOf(work: RedactWork): Promise<string>;
  /** CPU microseconds of the process each time. */
  cpuMicros(work: RedactWork, times: number): Promise<number>;
  close(): Promise<void>;
}

const jobsWorker = (script: string) => ({
  modules: [{ name: "jobs.js", esModule: embed(script) }],
  compatibilityDate: "2026-10-01",
  bindings: [
    { name: "DATA_SET_CODES", durableObjectNamespace: { className: "DataSetCodes", serviceName: "jobs" } },
    { name: "CODES_KEY", text: randomBytes(32).toString("base64url") },
    { name: "LEDGER_JURISDICTION", text: "" },
    { name: "DEID_CHECK", text: "" },
  ],
  durableObjectNamespaces: [{ className: "DataSetCodes", uniqueKey: "DataSetCodes", enableSql: true }],
  durableObjectStorage: { localDisk: "codes" },
});

/** @param root the source tree whose Worker and engine it is. */
export async function startRedactWorker(folder: string, root: string): Promise<RedactWorker> {
  const script = await bundleWorker(join(root, "bench/redact/redact-worker.ts"), folder);
  // This tree's: an earlier tree's Worker of the group makes no forms, and may have none of these classes.
  const jobs = await bundleWorker(join(import.meta.dirname, "jobs-worker.ts"), folder);
  const worker = {
    modules: [{ name: "redact.js", esModule: embed(script) }],
    compatibilityDate: "2026-10-01",
    bindings: [{ name: "JOBS", service: { name: "jobs", entrypoint: "CodeBook" } }],
  };
  const storage = join(folder, "codes");
  mkdirSync(storage);
  const running: Running = await serveConfig(
    folder,
    "redact",
    {
      services: [
        { name: "redact", worker },
        { name: "jobs", worker: jobsWorker(jobs) },
        { name: "codes", disk: { path: storage, writable: true } },
      ],
      sockets: [{ name: "http", address: "127.0.0.1:0", http: {}, service: "redact" }],
    },
    ["http"],
  );
  const send = async (method: string, name: string, content: unknown) => {
    const url = `http://127.0.0.1:${running.ready["http"]}/${name}`;
    const response = await fetch(url, { method, body: JSON.stringify(content) });
    if (!response.ok) throw new Error(`redact: ${name}: ${response.status}\n${running.said()}`);
    return await response.text();
  };
  const post = (name: string, task: RedactTask) => send("POST", name, task);
  return {
    load: async (name, subject) => void (await send("PUT", name, subject)),
    bytesOf: ({ subject, how }) => post(subject, { how, times: 1, show: true }),
    async cpuMicros({ subject, how }, times) {
      const before = running.cpuMicros();
      await post(subject, { how, times, show: false });
      return (running.cpuMicros() - before) / times;
    },
    close: () => running.close(),
  };
}
