import { readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { frameHash } from "#ledger/leaf/frame";
import { inclusionNote } from "#ledger/tlog/inclusion-note";
import { consistencyProof, inclusionProof, leafHash, rootOf } from "#ledger/tlog/merkle";
import { formatReceipt, type Receipt } from "#ledger/receipt";
import { verifierKey } from "#ledger/tlog/signed-note";
import { growTree, hashAtTiles, splitHashes } from "#ledger/tlog/tile";
import { parseLogKey } from "../../cli/log/ledger-keys.ts";
import { argumentsOf, withFolders } from "./export-folder.ts";
import { vectors, vectorsAreAbsent } from "./merkle-vectors.ts";
import { sampleLog, type SampleLog } from "./sample-log.ts";
import { askAll, packed, pythonIsMissing, type Said, verifyLedger } from "./second-verifier.ts";
import * as plain from "./tampered-exports.ts";
import * as rooted from "./tampered-roots.ts";
import { inLane } from "../support/lane.ts";

const good = [...plain.good, ...rooted.good];
const tampered = [...plain.tampered, ...rooted.tampered];
const withPython = test.skipIf(pythonIsMissing); // each test's name says so
const keyOf = ({ verifier }: SampleLog): string => verifierKey(verifier.name, verifier.publicKey);

withPython("the second verifier accepts good exports (skipped without python3)", async ({ expect }) => {
  await withFolders(good, async (written) => {
    // One process answers for all exports; the next tests start the command itself.
    const answers = await askAll<Said>(
      good.map((made, i) => ({ ask: "command", arguments: argumentsOf(made, written[i]) })),
    );
    for (const [i, made] of good.entries()) {
      const said = answers[i] ?? { code: 1, out: "no answer" };
      expect(said, made.name).toEqual({ code: 0, out: expect.not.stringContaining("WRONG") });
      expect(said.out, made.name).toContain("good s1-2026h2: 13 leaves\n");
    }
  });
});

withPython(
  "the second verifier finds each tampering, and names an object of it (skipped without python3)",
  async ({ expect }) => {
    const said = await withFolders(tampered, (written) =>
      askAll<Said>(tampered.map((made, i) => ({ ask: "command", arguments: argumentsOf(made, written[i]) }))),
    );
    const missed = tampered.flatMap(({ name, named }, i) => {
      const { code, out } = said[i] ?? { code: 0, out: "" };
      return code === 1 && named.some((path) => out.includes(`WRONG ${path}: `))
        ? []
        : [`${name}: ${code} ${out}`];
    });
    expect(missed).toEqual([]);
  },
);

withPython(
  "the second verifier takes an earlier checkpoint under a key that ended up to its end (skipped without python3)",
  async ({ expect }) => {
    const exports = rooted.sinceEnd.map(({ made }) => made);
    const said = await withFolders(exports, (written) =>
      askAll<Said>(exports.map((made, i) => ({ ask: "command", arguments: argumentsOf(made, written[i]) }))),
    );
    for (const [i, { isGood }] of rooted.sinceEnd.entries())
      expect(said[i]).toEqual(
        isGood
          ? { code: 0, out: expect.not.stringContaining("WRONG") }
          : {
              code: 1,
              out: expect.stringContaining(
                "WRONG root/earlier checkpoint: note is signed by a key that ended",
              ),
            },
      );
  },
);

withPython(
  "the second verifier finds flipped bits of every object, and names the object (skipped without python3)",
  async ({ expect }) => {
    const log = await sampleLog([1, 1]);
    const asked = [...log.objects].map(([path, bytes]) => {
      // an odd step reaches each of the eight positions of a bit
      const step = Math.ceil((bytes.length * 8) / inLane({ fast: 100, slow: 400, long: 400 })) | 1;
      const bits = Array.from({ length: Math.floor((bytes.length * 8) / step) }, (_, i) => i * step);
      return { ask: "flips", key: keyOf(log), objects: packed(log.objects), path, bits };
    });
    expect(await askAll(asked)).toEqual(asked.map(() => []));
  },
  60_000,
);

withPython(
  "the second verifier follows no link, and states how far a folder's own keys can be trusted (skipped without python3)",
  async ({ expect }) => {
    await withFolders(good.slice(0, 1), async ([{ folder } = { folder: "" }]) => {
      const own = await verifyLedger(folder);
      expect(own).toMatchObject({
        code: 0,
        out: expect.stringContaining("shows only that the folder agrees with itself"),
      });
      const frame = join(folder, "s0-2026h2/frame/1");
      writeFileSync(join(folder, "../frame"), readFileSync(frame));
      rmSync(frame);
      symlinkSync(join(folder, "../frame"), frame);
      expect(await verifyLedger(folder)).toMatchObject({
        code: 1,
        out: expect.stringContaining("WRONG s0-2026h2/frame/1: is a link"),
      });
      renameSync(join(folder, "s1-2026h2"), join(folder, "../elsewhere"));
      symlinkSync(join(folder, "../elsewhere"), join(folder, "s1-2026h2"));
      expect(await verifyLedger(folder)).toMatchObject({
        code: 1,
        out: expect.stringContaining("WRONG s1-2026h2: is a link"),
      });
    });
  },
);

withPython(
  "a file of any name or size in the folder is reported in one line of text (skipped without python3)",
  async ({ expect }) => {
    await withFolders(good.slice(0, 1), async ([{ folder } = { folder: "" }]) => {
      writeFileSync(join(folder, "\u001b[2J\ngood root: 9 leaves"), "");
      truncateSync(join(folder, "s0-2026h2/frame/1"), 2 ** 33); // a sparse file takes no space on the disk
      const { code, out } = await verifyLedger(folder);
      expect([code, out.includes("\u001b"), out.includes("\ngood root")]).toEqual([1, false, false]);
      expect(out).toContain("WRONG \\x1b[2J\\ngood root: 9 leaves: is no log of a key");
      expect(out).toContain(
        "WRONG s0-2026h2/frame/1: cannot be read as a file, or is longer than any object",
      );
    });
  },
);

withPython(
  "both verifiers refuse a text of keys of two logs, with a key twice, with nine keys, or of no ledger (skipped without python3)",
  async ({ expect }) => {
    const log = await sampleLog([1]);
    const keys = Array.from({ length: 9 }, (_, i) =>
      verifierKey(log.verifier.name, new Uint8Array(32).fill(i + 1)),
    );
    const refused = [
      [keyOf(log), verifierKey("ledger.test/root", log.verifier.publicKey)],
      [keyOf(log), keyOf(log)],
      keys,
      [keyOf(log), ""],
      [`${keyOf(log)}@4`],
      [keyOf(log), `${keyOf(log)}@4`],
      [keyOf(log), `${keys[0]}@0`],
      ...["/root", "root", "../x/s0-2026h2", "x/./root", "x//root", "l\u001ct/root"].map((name) => [
        verifierKey(name, log.verifier.publicKey),
      ]),
    ];
    expect(refused.filter((texts) => parseLogKey(texts.join(" ")) !== undefined)).toEqual([]);
    await withFolders(good.slice(0, 1), async ([{ folder } = { folder: "" }]) => {
      const said = await askAll<Said>(
        refused.map((texts) => ({ ask: "command", arguments: [folder, "--key", texts.join(" ")] })),
      );
      expect(said).toEqual(
        refused.map(() => ({ code: 1, out: expect.stringMatching(/^WRONG verifier key/u) })),
      );
    });
  },
);

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const leaves = Array.from({ length: 600 }, (_, i) => Uint8Array.of(i >> 8, i & 255));
const hashes = leaves.map(leafHash);

withPython(
  "the second verifier has the roots, and accepts the proofs, that our tree and its tiles give (skipped without python3)",
  async ({ expect }) => {
    const { full, edge } = growTree({ range: [], edge: [] }, 0, hashes);
    const at = hashAtTiles((level, index) => {
      const tile = full.find((one) => one.level === level && one.index === index);
      return tile === undefined ? (edge[level] ?? []) : splitHashes(tile.hashes);
    });
    const rootOfFirst = (size: number): string => base64(rootOf(hashes.slice(0, size)));
    const sizes = [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 599, 600];
    const roots = sizes.map((size) => ({ ask: "root", leaves: leaves.slice(0, size).map(base64) }));
    expect(await askAll(roots)).toEqual(sizes.map(rootOfFirst));
    const included = sizes.flatMap((size) =>
      [0, size >> 1, size - 1].map((index) => ({
        ask: "inclusion",
        index,
        size,
        leaf: base64(hashes[index] ?? new Uint8Array()),
        proof: inclusionProof(index, size, at).map(base64),
        root: rootOfFirst(size),
      })),
    );
    const extended = sizes.flatMap((second, i) =>
      sizes.slice(0, i + 1).map((first) => ({
        ask: "consistency",
        first,
        second,
        proof: consistencyProof(first, second, at).map(base64),
        root1: rootOfFirst(first),
        root2: rootOfFirst(second),
      })),
    );
    const proofs = [...included, ...extended];
    expect(await askAll(proofs)).toEqual(proofs.map(() => true));
  },
);

test.skipIf(pythonIsMissing || vectorsAreAbsent)(
  "the second verifier's tree passes the vectors of transparency-dev/merkle (skipped without python3 or ../shared/data)",
  async ({ expect }) => {
    const [inclusion, consistency] = [vectors("inclusion"), vectors("consistency")];
    expect(Math.min(inclusion.length, consistency.length)).toBeGreaterThan(50);
    const asked = [
      ...inclusion.map(([, v]) => ({
        ask: "inclusion",
        index: v.leafIdx,
        size: v.treeSize,
        leaf: v.leafHash,
        proof: v.proof ?? [],
        root: v.root,
      })),
      ...consistency.map(([, v]) => ({
        ask: "consistency",
        first: v.size1,
        second: v.size2,
        proof: v.proof ?? [],
        root1: v.root1,
        root2: v.root2,
      })),
    ];
    const all = [...inclusion, ...consistency];
    const holds = await askAll(asked);
    expect(all.map(([file], i) => [file, holds[i]])).toEqual(
      all.map(([file, { wantErr }]) => [file, !wantErr]),
    );
  },
);

withPython(
  "a receipt with its proof checks by the second verifier without the ledger; a changed receipt, or a receipt without its proof, fails (skipped without python3)",
  async ({ expect }) => {
    const log = await sampleLog([3, 1, 2]);
    const index = 4;
    const checkpoint = new TextDecoder().decode(log.objects.get("checkpoint"));
    const { edge } = growTree({ range: [], edge: [] }, 0, log.leaves.map(leafHash));
    const path = inclusionProof(
      index,
      log.leaves.length,
      hashAtTiles((level) => edge[level] ?? []),
    );
    const plainReceipt: Receipt = {
      log: "s0-2026h2",
      index,
      leafHash: leafHash(log.leaves[index] ?? new Uint8Array()),
      frameHash: frameHash(log.objects.get("frame/0") ?? new Uint8Array()),
    };
    const proof = utf8(inclusionNote(index, path, checkpoint));
    const whole = formatReceipt({ ...plainReceipt, proof });
    const check = (receipt: string, key = keyOf(log)) => ({
      ask: "command",
      arguments: ["--key", key, "--receipt", receipt],
    });
    const bad = [
      formatReceipt(plainReceipt),
      formatReceipt({ ...plainReceipt, index: 3, proof }),
      formatReceipt({ ...plainReceipt, index: 3, proof: utf8(inclusionNote(3, path, checkpoint)) }),
      formatReceipt({ ...plainReceipt, leafHash: leafHash(log.leaves[3] ?? new Uint8Array()), proof }),
      formatReceipt({ ...plainReceipt, proof: utf8(inclusionNote(index, path.slice(1), checkpoint)) }),
      formatReceipt({
        ...plainReceipt,
        proof: utf8(inclusionNote(index, path, checkpoint.replace("\n8\n", "\n9\n"))),
      }),
      formatReceipt({ ...plainReceipt, log: "s1-2026h2", proof }),
    ];
    const said = await askAll<Said>([
      check(whole),
      check(whole, verifierKey("ledger.test/root", log.verifier.publicKey)),
      ...bad.map((one) => check(one)),
    ]);
    expect(said.map(({ code }) => code)).toEqual([0, 0, ...bad.map(() => 1)]);
    expect(said[0]?.out).toBe("good s0-2026h2: leaf 4 is in it at 8 leaves; its frame was not looked at\n");
  },
);
