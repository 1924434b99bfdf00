import { createHash, createPrivateKey, sign } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, test } from "vitest";
import { toBase64 } from "#ledger/bytes/base64";
import { utf8 } from "#kernel/encoded";
import { fromUtf8 } from "#ledger/bytes/bytes";
import { openCheckpoint } from "#ledger/tlog/checkpoint";
import { cosignedAt, parseWitnessKey } from "#ledger/tlog/cosignature";
import { noteOf, parseVerifierKey, type Verifier } from "#ledger/tlog/signed-note";
import { writeAddCheckpoint } from "#ledger/tlog/witness-request";
import { httpLog } from "../../cli/log/http-log.ts";
import { phylaxIn } from "../cli/phylax.ts";
import { lane } from "../support/lane.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

const parent = mkdtempSync(join(tmpdir(), "phylax-e2e-witnesses-"));
const state = join(parent, ".phylax");
let phylax: TestStack;
let root: Verifier;
let witness: Verifier;
let place: string;
beforeAll(async () => {
  phylax = await startTestStack({ state });
  const keys = [
    parseVerifierKey(phylax.dev.root),
    parseWitnessKey(Object.values(phylax.dev.witnesses)[0] ?? ""),
  ] as const;
  const [ofRoot, ofWitness] = keys;
  if (!ofRoot.ok || !ofWitness.ok) throw new Error("dev.json has a key that is none");
  [root, witness] = [ofRoot.value, ofWitness.value];
  place = `http://127.0.0.1:${readFileSync(join(state, "witness.port"), "utf8")}/add-checkpoint`;
}, 60_000);
afterAll(async () => {
  await phylax.close();
  rmSync(parent, { recursive: true, force: true });
});

const log = () => httpLog(phylax.dev.ledger, "root");
/** The root log's checkpoint once it is cosigned and has at least this many leaves. */
async function cosignedRoot(size: number) {
  for (const end = Date.now() + 80_000; ; await wait(500)) {
    const note = (await log().checkpoint()) ?? new Uint8Array();
    const checkpoint = openCheckpoint(note, root);
    if (checkpoint.ok && checkpoint.value.size >= size && cosignedAt(note, witness).ok)
      return { note, checkpoint: checkpoint.value };
    if (Date.now() > end) throw new Error(`not cosigned: ${fromUtf8(note)}`);
  }
}
const submit = async (body: Uint8Array, init: RequestInit = {}) => {
  const response = await fetch(place, { method: "POST", body: Buffer.from(body), ...init });
  return { status: response.status, type: response.headers.get("content-type"), text: await response.text() };
};
/** Signs like an attacker with the ledger's checkpoint key. */
function signedByLedger(size: number, hash: Uint8Array, origin = root.name): Uint8Array {
  const key = createPrivateKey({
    key: JSON.parse(readFileSync(join(state, "secrets", "checkpoint.jwk.json"), "utf8")),
    format: "jwk",
  });
  const text = `${origin}\n${size}\n${toBase64(hash)}\nframe ${size} ${toBase64(hash)}\n`;
  return utf8(noteOf(text, root, new Uint8Array(sign(null, utf8(text), key))));
}

test(
  "within 60 s of a record its log's checkpoint is under the cosigned root log; verify and export report it, with and without a network",
  { timeout: 120_000 },
  async ({ expect }) => {
    const reply = await phylax.ask("telehealth", "Patient/amara-okafor");
    const receipt = String(reply.headers["phylax-receipt"]);
    const name = /log="([^"]+)"/.exec(receipt)?.[1] ?? "";
    await cosignedRoot(1);
    const isUnderRoot = new RegExp(
      `^${name}: good: (\\d+) leaves .*, [1-9]\\d* of them under the root log`,
      "m",
    );
    let verified = await phylaxIn(parent, "ledger", "verify", "--receipt", receipt);
    for (
      const end = Date.now() + 60_000;
      !isUnderRoot.test(verified.out) && Date.now() < end;
      await wait(500)
    )
      verified = await phylaxIn(parent, "ledger", "verify", "--receipt", receipt);
    expect(verified, verified.error).toMatchObject({ code: 0, error: "" });
    expect(verified.out).toMatch(/^root: good: .* cosigned by witness\.phylax\.example\/w1 at 20/m);
    expect(verified.out).toMatch(isUnderRoot);

    const exported = await phylaxIn(parent, "ledger", "export", "copy");
    expect(exported, exported.error).toMatchObject({ code: 0, error: "" });
    const offline = await phylaxIn(parent, "ledger", "verify", "copy", "--receipt", receipt);
    expect(offline, offline.error).toMatchObject({ code: 0, error: "" });

    // The folder is consistent by itself without this log. The witness's cosigned checkpoint names the log.
    rmSync(join(parent, "copy", name), { recursive: true });
    const hidden = await phylaxIn(parent, "ledger", "verify", "copy");
    expect(hidden).toMatchObject({ code: 1, error: `${name}: WRONG: its folder is missing\n` });

    // Without the witness's line the root log's own signature is not enough.
    const file = join(parent, "copy", "root", "checkpoint");
    writeFileSync(file, readFileSync(file, "utf8").replace(/— witness\S+ \S+\n/, ""));
    const alone = await phylaxIn(parent, "ledger", "verify", "copy", "--log", "root");
    expect(alone).toMatchObject({
      code: 1,
      error: "root: WRONG: checkpoint: not cosigned by witness.phylax.example/w1\n",
    });
  },
);

test(
  "the witness answers as C2SP tlog-witness says, and cosigns no second history, whichever key signed it",
  { timeout: 60_000 },
  async ({ expect }) => {
    const { note, checkpoint } = await cosignedRoot(1);
    const { size, root: hash } = checkpoint;
    const again = await submit(writeAddCheckpoint({ oldSize: size, proof: [], checkpoint: note }));
    expect(again).toMatchObject({
      status: 200,
      text: expect.stringMatching(/^— witness\.phylax\.example\/w1 \S+\n$/),
    });
    expect(
      cosignedAt(utf8((fromUtf8(note) ?? "").replace(/— witness\S+ \S+\n/, "") + again.text), witness),
    ).toMatchObject({ ok: true });

    const other = Uint8Array.from(hash, (byte) => byte ^ 1);
    const forged = (oldSize: number, newSize: number, proof: readonly Uint8Array[] = []) =>
      submit(writeAddCheckpoint({ oldSize, proof, checkpoint: signedByLedger(newSize, other) }));
    expect(await forged(size, size)).toMatchObject({ status: 422 });
    expect(await forged(0, size + 9)).toEqual({ status: 409, type: "text/x.tlog.size", text: `${size}\n` });
    expect(await forged(size, size + 9, [other])).toMatchObject({ status: 422 });
    expect(await forged(size, size + 9)).toMatchObject({ status: 422 });
    expect(await forged(size + 9, size + 1)).toMatchObject({ status: 400 });
    const foreign = writeAddCheckpoint({
      oldSize: 0,
      proof: [],
      checkpoint: signedByLedger(5, other, "other.example/root"),
    });
    expect(await submit(foreign)).toMatchObject({ status: 404 });
    const unsigned = utf8((fromUtf8(note) ?? "").replace(/^\d+$/m, String(size + 1)));
    expect(
      await submit(writeAddCheckpoint({ oldSize: size, proof: [], checkpoint: unsigned })),
    ).toMatchObject({ status: 403 });
    expect(await submit(utf8("old 0\n"))).toMatchObject({ status: 400 });
    expect(await submit(new Uint8Array(70_000))).toMatchObject({ status: 413 });
    expect((await fetch(place)).status).toBe(405);
    const shown = async (origin: string, init: RequestInit = {}) => {
      const hash = createHash("sha256").update(origin).digest("hex");
      const response = await fetch(place.replace("add-checkpoint", `${hash}/checkpoint`), init);
      return { status: response.status, note: new Uint8Array(await response.arrayBuffer()) };
    };
    const last = await shown(root.name);
    expect(last.status).toBe(200);
    expect(openCheckpoint(last.note, root)).toMatchObject({ ok: true, value: { size: expect.any(Number) } });
    expect(cosignedAt(last.note, witness)).toMatchObject({ ok: true });
    expect((await shown("other.example/root")).status).toBe(404);
    expect((await shown(root.name, { method: "POST" })).status).toBe(405);
    expect((await fetch(place.replace("add-checkpoint", "checkpoint"))).status).toBe(404);
    expect(
      await submit(writeAddCheckpoint({ oldSize: size, proof: [], checkpoint: note })),
      "it remembers what it did",
    ).toMatchObject({
      status: 200,
    });
  },
);

const bucketOf = ({ stack }: TestStack) =>
  stack.runtime.miniflare.getR2Bucket("LEDGER_BUCKET", "phylax-ledger");

test.skipIf(lane === "fast")(
  "when the stack starts again with the same state, the bucket is retained, the root log continues, and the witness cosigns it further (slow lane)",
  { timeout: 120_000 },
  async ({ expect }) => {
    const before = await cosignedRoot(1);
    await (await bucketOf(phylax)).put("kept", "by the test");
    await phylax.close();
    phylax = await startTestStack({ state });
    expect(await (await (await bucketOf(phylax)).get("kept"))?.text(), "the bucket").toBe("by the test");
    await phylax.ask("telehealth", "Patient/amara-okafor");
    const after = await cosignedRoot(before.checkpoint.size + 1);
    writeFileSync(join(parent, "earlier"), before.note);
    const verified = await phylaxIn(parent, "ledger", "verify", "--since", "earlier");
    expect(verified, verified.error).toMatchObject({ code: 0, error: "" });
    expect(verified.out).toMatch(/^root: good: .*extends the earlier checkpoint$/m);
    expect(after.checkpoint.size).toBeGreaterThan(before.checkpoint.size);
  },
);
