import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import { openCheckpoint } from "#ledger/tlog/checkpoint";
import { checkpointKey } from "#ledger/flush";
import { splitFrames } from "#ledger/frame-copies";
import { parseReceipt } from "#ledger/read-receipt";
import { parseVerifierKey } from "#ledger/tlog/signed-note";
import { phylaxIn, phylaxProcess } from "../cli/phylax.ts";
import { pythonIsMissing, verifyLedger } from "../ledger/second-verifier.ts";
import { inLane } from "../support/lane.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

const parent = mkdtempSync(join(tmpdir(), "phylax-e2e-export-"));
// the slow lane takes the period of a deployment
const settleSeconds = inLane({ fast: 3, slow: 45, long: 45 });
const state = join(parent, ".phylax");
let phylax: TestStack;
let receipt: string;
let log: string; // named by the receipt
beforeAll(async () => {
  phylax = await startTestStack({ state, settleSeconds });
  const replies = await Promise.all(
    Array.from({ length: 30 }, () => phylax.ask("telehealth", "Patient/amara-okafor")),
  );
  receipt = String(replies.at(-1)?.headers["phylax-receipt"]);
  const parsed = parseReceipt(receipt);
  log = parsed.ok ? parsed.value.log : "";
}, 60_000);
afterAll(async () => {
  await phylax.close();
  rmSync(parent, { recursive: true, force: true });
});

test("a running ledger is exported by its dev.json and verifies offline with a receipt, by either verifier; a single flipped byte is named", async ({
  expect,
}) => {
  const exported = await phylaxProcess(parent, "ledger", "export", "copy");
  expect(exported, exported.error).toMatchObject({ code: 0, error: "" });
  const logs = Object.keys(phylax.dev.logs);
  expect(readdirSync(join(parent, "copy")).sort()).toEqual(["keys", "root", ...logs].sort());

  const verified = await phylaxIn(parent, "ledger", "verify", "copy", "--receipt", receipt);
  expect(verified, verified.error).toMatchObject({ code: 0, error: "" });
  expect(verified.out).toContain("has the receipt's leaf");
  expect(
    (await phylaxIn(parent, "ledger", "verify", "copy", "--since", `copy/${logs[0] ?? ""}/checkpoint`)).code,
  ).toBe(0);
  expect(
    (await phylaxIn(parent, "ledger", "verify", "--since", `copy/${logs[0] ?? ""}/checkpoint`)).code,
    "the ledger itself",
  ).toBe(0);

  if (!pythonIsMissing) {
    const second = await verifyLedger(
      join(parent, "copy"),
      "--keys",
      join(state, "dev.json"),
      "--receipt",
      receipt,
    );
    expect(second, second.out).toMatchObject({ code: 0, out: expect.stringContaining(`good ${log}: `) });
  }

  const file = join(parent, "copy", log, "frame", "0");
  const bytes = readFileSync(file);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  writeFileSync(file, bytes);
  const { code, error } = await phylaxProcess(parent, "ledger", "verify", "copy");
  expect(code).toBe(1);
  expect(error).toMatch(/^s\d-\d{4}h[12]: WRONG: frame\/0 /);
});

// test/slow/recovery.test.ts bounds how long that takes
test(
  "frames and checkpoint of the first records reach the bucket, on disk below the state folder",
  { timeout: 90_000 },
  async ({ expect }) => {
    const origin = `${phylax.dev.ledgerName}/${log}`;
    const bucket = await phylax.stack.runtime.miniflare.getR2Bucket("LEDGER_BUCKET", "phylax-ledger");
    const key = parseVerifierKey(phylax.dev.logs[log] ?? "");
    await expect
      .poll(
        async () => {
          const note = await bucket.get(checkpointKey(origin));
          if (!key.ok || note === null) return undefined;
          return openCheckpoint(new Uint8Array(await note.arrayBuffer()), key.value);
        },
        { timeout: 80_000, interval: 500 },
      )
      .toMatchObject({ ok: true });
    const { objects } = await bucket.list({ prefix: `log/${origin}/frames/` });
    const first = await bucket.get(objects[0]?.key ?? "");
    expect(splitFrames(new Uint8Array((await first?.arrayBuffer()) ?? []))?.length).toBeGreaterThan(0);
    const onDisk = readdirSync(join(state, "workers"), { recursive: true }).map(String);
    expect(onDisk.some((path) => /r2.*phylax-ledger/u.test(path))).toBe(true);
  },
);
