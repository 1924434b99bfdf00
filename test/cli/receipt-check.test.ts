import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { fromUtf8 } from "#ledger/bytes/bytes";
import { checkpointText } from "#ledger/tlog/checkpoint";
import { checkpointOf } from "#ledger/commit";
import { frameHash } from "#ledger/leaf/frame";
import { inclusionNote } from "#ledger/tlog/inclusion-note";
import { inclusionProof, leafHash } from "#ledger/tlog/merkle";
import { formatReceipt, type Receipt } from "#ledger/receipt";
import { verifierKey } from "#ledger/tlog/signed-note";
import { hashAtTiles } from "#ledger/tlog/tile";
import { config, origin, sampleLog, signed } from "../ledger/sample-log.ts";
import { writeLog } from "./auditor-log.ts";
import { phylax } from "./phylax.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-receipt-"));
afterAll(() => rmSync(folder, { recursive: true }));

const log = await sampleLog([5, 4]); // leaves 0 and 1 are not sealed
const ledger = writeLog(join(folder, "ledger"), log);
const key = verifierKey(origin, config.checkpointPublicKey);
const bytes = (path: string) => log.objects.get(path) ?? new Uint8Array();
const checkpoint = fromUtf8(bytes("checkpoint")) ?? "";
const hashes = log.leaves.map(leafHash);
const at = hashAtTiles(() => hashes);
const proofOf = (index: number) =>
  utf8(inclusionNote(index, inclusionProof(index, log.head.size, at), checkpoint));
const receiptOf = (index: number, about: Partial<Receipt> = {}): Receipt => ({
  log: "s0-2026h2",
  index,
  leafHash: hashes[index] ?? new Uint8Array(32),
  frameHash: frameHash(bytes(index < 7 ? "frame/0" : "frame/1")),
  proof: proofOf(index),
  ...about,
});
const fileOf = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const check = (receipt: string | Receipt, ...args: readonly string[]) =>
  phylax(
    "receipt",
    "check",
    typeof receipt === "string" ? receipt : formatReceipt(receipt),
    "--log-key",
    key,
    ...args,
  );

test("a receipt with its proof checks offline, against the checkpoint it came with, and against the whole ledger", async ({
  expect,
}) => {
  const offline = await check(receiptOf(4));
  expect(offline).toMatchObject({ code: 0, error: "", out: expect.stringContaining("s0-2026h2/4: good") });
  const file = fileOf(
    "answer.txt",
    `HTTP/1.1 200 OK\r\nContent-Type: x\r\nPhylax-Receipt: ${formatReceipt(receiptOf(8))}\r\n\r\n{}`,
  );
  const whole = await check(
    file,
    "--checkpoint",
    fileOf("checkpoint", checkpoint),
    "--ledger",
    ledger,
    "--json",
  );
  expect([whole.code, whole.error]).toEqual([0, ""]);
  expect(JSON.parse(whole.out)).toMatchObject({
    good: true,
    receipt: { log: "s0-2026h2", index: 8 },
    shown: [expect.anything(), expect.stringMatching(/^leaf and frame are in the ledger/u)],
  });
  const bare = formatReceipt(receiptOf(4, { proof: undefined }));
  expect((await check(bare, "--proof", fileOf("proof", proofOf(4)))).code).toBe(0);
  expect((await check(bare, "--ledger", ledger)).code).toBe(0);
});

test("each error is named: a wrong leaf, a wrong proof, a forged or short checkpoint, a frame, a fork", async ({
  expect,
}) => {
  const forged = fileOf("forged", checkpoint.replace("\n11\n", "\n12\n"));
  const short = fileOf("short", signed(checkpointText({ ...checkpointOf(log.head), size: 3 })));
  const fork = fileOf(
    "fork",
    signed(checkpointText({ ...checkpointOf(log.head), root: new Uint8Array(32) })),
  );
  const grown = fileOf("grown", signed(checkpointText({ ...checkpointOf(log.head), size: 12 })));
  const flipped = proofOf(4);
  flipped[60] = (flipped[60] ?? 0) ^ 1;
  const cases: readonly [string, string | Receipt, readonly string[]][] = [
    ["the proof: proof wrong", receiptOf(4, { leafHash: hashes[5] ?? new Uint8Array(32) }), []],
    ["the proof is of leaf 4, the receipt of leaf 5", receiptOf(4, { index: 5 }), []],
    ["the proof: ", receiptOf(4, { proof: flipped }), []],
    [
      "the proof: note not signed by a known key",
      receiptOf(4, { proof: utf8((fromUtf8(proofOf(4)) ?? "").replace("— ledger", "— ledges")) }),
      [],
    ],
    ["its frame is not the leaf's", receiptOf(10, { frameHash: new Uint8Array(32) }), []],
    ["is not what the receipt says", receiptOf(4, { frameHash: new Uint8Array(32) }), ["--ledger", ledger]],
    ["the checkpoint: note signature wrong", receiptOf(4), ["--checkpoint", forged]],
    ["the checkpoint (3 leaves) does not include leaf 4", receiptOf(4), ["--checkpoint", short]],
    ["FORK: the key signed two checkpoints of 11 leaves", receiptOf(4), ["--checkpoint", fork]],
    ["give the ledger too", receiptOf(4), ["--checkpoint", grown]],
    ["it has no proof", receiptOf(4, { proof: undefined }), []],
    ["not a receipt", "Phylax-Receipt: leaf=4", []],
  ];
  expect(log.head.size).toBe(11);
  for (const [wrong, receipt, args] of cases) {
    const { code, error } = await check(receipt, ...args);
    expect({ code, error }, wrong).toMatchObject({ code: 1, error: expect.stringContaining(`WRONG: `) });
    expect(error).toContain(wrong);
  }
});

test("misuse is 2: no receipt, no key for its log, no such file", async ({ expect }) => {
  expect((await check("", "more")).code).toBe(2);
  expect((await check(receiptOf(4, { log: "s1-2026h2" }))).code).toBe(2);
  expect((await check(receiptOf(4), "--proof", join(folder, "nowhere"))).code).toBe(2);
  expect((await phylax("receipt", "check", formatReceipt(receiptOf(4)))).code).toBe(2);
});
