import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished, test } from "vitest";
import { verifyLog } from "#ledger/verify";
import { httpLog } from "../../cli/log/http-log.ts";
import { LargeLog } from "../support/large-log.ts";
import { inLane } from "../support/lane.ts";

const frames = inLane({ fast: 10_000, slow: 100_000, long: 1_000_000 });
const LINE_MS = 20;
/** 10⁶ frames take five minutes at most, on an idle machine of two cores. */
const MILLISECONDS_A_FRAME = 0.3;

test("a check over HTTP reads 10⁶ frames in five minutes at 20 ms a request", async ({ expect }) => {
  const folder = mkdtempSync(join(tmpdir(), "phylax-large-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const log = new LargeLog(folder);
  await log.grow(frames);
  log.close();
  const server = join(import.meta.dirname, "../support/delayed-log.ts");
  const child = spawn(process.execPath, [server, folder, String(LINE_MS)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill());
  const [port] = await once(child.stdout, "data");
  const begun = performance.now();
  const reader = httpLog(`http://127.0.0.1:${String(port).trim()}`, "s0-2026h2");
  const result = await verifyLog(reader, log.verifier);
  const milliseconds = performance.now() - begun;
  console.log(`${frames} frames in ${(milliseconds / 1000).toFixed(1)} s`);
  expect(result).toMatchObject({ ok: true, value: { frames } });
  expect(milliseconds).toBeLessThan(frames * MILLISECONDS_A_FRAME);
}, 900_000);
