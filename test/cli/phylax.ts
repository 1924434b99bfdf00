import { spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { SampleLog } from "../ledger/sample-log.ts";

/** Runs the command as somebody would who has no development stack below his folder, or in a folder of the test's own. */
export async function phylaxIn(cwd: string, ...args: readonly string[]): Promise<{ code: number | null; out: string; error: string }> {
  const { INIT_CWD: _, ...env } = process.env;
  const main = join(import.meta.dirname, "../../cli/main.ts");
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"], cwd, env });
  const done = new Promise<number | null>((resolve) => child.on("exit", resolve));
  const [out, error] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await done, out, error };
}

export const phylax = (...args: readonly string[]) => phylaxIn(tmpdir(), ...args);

/** Serves a sample log, whichever it is at the moment, as a ledger would. */
export function logServer(served: () => SampleLog): { listen(): Promise<string>; close(): void } {
  const server = createServer((request, response) => {
    const bytes = served().objects.get((request.url ?? "").replace("/ledger/s0-2026h2/", ""));
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  });
  return {
    async listen() {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}/ledger/`; // a TCP server has an AddressInfo
    },
    close: () => server.close(),
  };
}
