import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DevFile } from "../../cli/connection/dev-file.ts";

/** Runs `phylax ledger verify` as an outsider would: in its own process, with the public keys alone. */
export function verifyLedger(
  dev: DevFile,
  extra: readonly string[] = [],
): Promise<{ readonly code: number | null; readonly said: string }> {
  const keys = Object.values(dev.logs).flatMap((key) => ["--key", key]);
  const main = join(import.meta.dirname, "../../cli/main.ts");
  const child = spawn(process.execPath, [main, "ledger", "verify", dev.ledger, ...keys, ...extra], {
    cwd: tmpdir(), // the project's own folder may have the stack of a developer
  });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((done) => child.on("close", (code) => done({ code, said })));
}
