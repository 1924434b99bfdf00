import { generateKeyPairSync, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, test, vi } from "vitest";
import { utf8 } from "#kernel/encoded";
import { concat, fromUtf8 } from "#ledger/bytes/bytes";
import { type Checkpoint, checkpointText } from "#ledger/tlog/checkpoint";
import { checkpointOf } from "#ledger/commit";
import { cosignatureLine, cosignedText } from "#ledger/tlog/cosignature";
import { emptyRoot } from "#ledger/tlog/merkle";
import { mayBeDeleted, RootLeaves } from "#ledger/root-log";
import { keyId, signatureTypes, type Verifier } from "#ledger/tlog/signed-note";
import { verifyLog } from "#ledger/verify";
import { keysFile, keysText, verifyFolder } from "../../cli/log/ledger-folder.ts";
import { sentence } from "#auditing/sentence";
import { printReport } from "../../cli/log/ledger-report.ts";
import { logOfFrames, origin, readerOf, sampleLog, type SampleLog, signed } from "./sample-log.ts";

const at = Date.UTC(2026, 9, 1);
const opened: Checkpoint = { origin, size: 0, root: emptyRoot };
const leafOf = (checkpoint: Checkpoint): Uint8Array => signed(checkpointText(checkpoint), checkpoint.origin);
/** The root log whose frames have these leaves. */
const rootLog = (frames: readonly (readonly Uint8Array[])[], time = at): SampleLog =>
  logOfFrames(frames, time, "ledger.test/root");

// A log, and a second log that begins with the same frame and has grown beyond it: both are signed with the
// ledger's key.
const { leaves } = await sampleLog([2, 8]);
const first = leaves.slice(0, 4);
const log = logOfFrames([first, leaves.slice(4, 6), leaves.slice(6, 7)]);
const shorter = logOfFrames([first, leaves.slice(4, 6)]);
const regrown = logOfFrames([first, leaves.slice(5, 7), leaves.slice(7, 9)]);
const [begun, now] = [logOfFrames([first]), log].map(({ head }) => checkpointOf(head)) as [
  Checkpoint,
  Checkpoint,
];
const root = rootLog([[leafOf(opened)], [leafOf(begun)], [leafOf(now)]]);

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const raw = new Uint8Array(publicKey.export({ format: "der", type: "spki" }).subarray(-32));
const witness: Verifier = {
  name: "witness.test/w1",
  id: keyId("witness.test/w1", raw, signatureTypes.cosignature),
  publicKey: raw,
};
/** The note as the witness shows it: its cosignature below the log's signature. */
function cosign(of: SampleLog): SampleLog {
  const note = of.objects.get("checkpoint") ?? new Uint8Array();
  const text = fromUtf8(note)?.split("\n\n")[0] ?? "";
  const line = cosignatureLine(
    witness,
    1790000000,
    new Uint8Array(sign(null, utf8(cosignedText(`${text}\n`, 1790000000)), privateKey)),
  );
  return { ...of, objects: new Map([...of.objects, ["checkpoint", concat([note, utf8(line)])]]) };
}

const verifyRoot = (of: SampleLog) => verifyLog(readerOf(of), of.verifier, {}, new RootLeaves(of.verifier));

test("a root log verifies, frame by frame, and lists every checkpoint of each log", async ({ expect }) => {
  const rules = new RootLeaves(root.verifier);
  expect(await verifyLog(readerOf(root), root.verifier, {}, rules)).toMatchObject({
    ok: true,
    value: { size: 3, frames: 3 },
  });
  expect([...rules.seen]).toEqual([["s0-2026h2", [opened, begun, now]]]);
  expect(rules.seconds).toBe(at / 1000);
});

const text = fromUtf8(leafOf(now)) ?? "";
test.for<[string, readonly Uint8Array[]]>([
  ["root_leaf_of_a_log_that_was_not_opened", [leafOf(begun)]],
  ["root_leaf_does_not_grow", [leafOf(opened), leafOf(opened)]],
  ["root_leaf_does_not_grow", [leafOf(opened), leafOf(now), leafOf(begun)]],
  ["root_leaf_does_not_grow", [leafOf(opened), leafOf(now), leafOf({ ...begun, size: 9, root: now.root })]],
  ["root_leaf_of_no_log", [leafOf({ ...opened, origin: "other.test/s0-2026h2" })]],
  ["root_leaf_of_no_log", [leafOf({ ...opened, origin: "ledger.test/root" })]],
  ["root_leaf_of_no_log", [utf8("anything")]],
  ["root_leaf_not_one_signature", [leafOf(opened), utf8(`${text}${text.split("\n\n")[1]}`)]],
  ["note_signature_wrong", [leafOf(opened), utf8(text.replace("\n7\n", "\n8\n"))]],
])("%s: the leaf is named", async ([problem, bad], { expect }) => {
  expect(await verifyRoot(rootLog([bad]))).toMatchObject({
    ok: false,
    error: { problem, index: bad.length - 1 },
  });
});

const parent = mkdtempSync(join(tmpdir(), "phylax-root-"));
afterAll(() => rmSync(parent, { recursive: true }));
let folders = 0;
/** The findings in an export of these logs: `<log>: …`. Good logs are listed without their root hash. */
async function found(
  logs: Readonly<Record<string, SampleLog>>,
  witnesses: readonly Verifier[] = [witness],
): Promise<string[]> {
  const folder = join(parent, String(folders++));
  const keys = Object.values({ root, "s0-2026h2": log, ...logs }).map(({ verifier }) => verifier);
  const put = (path: string, bytes: Uint8Array | string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  };
  put(keysFile, keysText(keys));
  for (const [name, { objects }] of Object.entries(logs))
    for (const [path, bytes] of objects) put(`${name}/${path}`, bytes);
  const reports = await verifyFolder(folder, [root.verifier], () => ({}), [], witnesses);
  return reports.map(
    (report) =>
      `${report.name}: ${"wrong" in report ? sentence(report.wrong) : `good to ${report.rooted ?? report.good.size}`}`,
  );
}

test("with the root log's key alone every log that it names is checked, and the cosignature of each witness", async ({
  expect,
}) => {
  expect(await found({ root: cosign(root), "s0-2026h2": log })).toEqual([
    "root: good to 3",
    "s0-2026h2: good to 7",
  ]);
  expect(await found({ root, "s0-2026h2": log }, [])).toEqual(["root: good to 3", "s0-2026h2: good to 7"]);
});

test("a log that was cut, hidden, or rolled back and grown again does not fit the cosigned root log, and is named", async ({
  expect,
}) => {
  const cosigned = cosign(root);
  expect(await found({ root: cosigned, "s0-2026h2": shorter })).toEqual([
    "root: good to 3",
    "s0-2026h2: checkpoint (leaf 6): is behind an earlier checkpoint of size 7: leaf 6 is missing",
  ]);
  expect(await found({ root: cosigned })).toEqual(["root: good to 3", "s0-2026h2: its folder is missing"]);
  // It verifies by itself: every hash, link and signature is right.
  expect(await verifyLog(readerOf(regrown), regrown.verifier)).toMatchObject({
    ok: true,
    value: { size: 8 },
  });
  expect(await found({ root: cosigned, "s0-2026h2": regrown })).toEqual([
    "root: good to 3",
    "s0-2026h2: frame/2 (frame 2): does not extend an earlier checkpoint",
  ]);
});

test("an owner of the checkpoint key can make a root log for a different history, but not the witness's cosignature on it", async ({
  expect,
}) => {
  const other = rootLog([[leafOf(opened)], [leafOf(begun)], [leafOf(checkpointOf(regrown.head))]]);
  expect(await found({ root: other, "s0-2026h2": regrown }, []), "no external witness shows it").toEqual([
    "root: good to 3",
    "s0-2026h2: good to 8",
  ]);
  expect((await found({ root: other, "s0-2026h2": regrown }))[0]).toBe(
    "root: checkpoint: not cosigned by witness.test/w1",
  );
  const [, ...lines] = (fromUtf8(cosign(root).objects.get("checkpoint") ?? new Uint8Array()) ?? "").split(
    "\n— ",
  );
  const pasted = concat([
    other.objects.get("checkpoint") ?? new Uint8Array(),
    utf8(`— ${lines.at(-1) ?? ""}`),
  ]);
  const forged = { ...other, objects: new Map([...other.objects, ["checkpoint", pasted]]) };
  expect((await found({ root: forged, "s0-2026h2": regrown }))[0]).toBe(
    "root: checkpoint: cosignature wrong by witness.test/w1",
  );
});

test("a log with records that was never opened in the root log is named, once it is too late for that", async ({
  expect,
}) => {
  const empty = (time: number) =>
    cosign(rootLog([[leafOf({ ...opened, origin: "ledger.test/s1-2026h2" })]], time));
  const keyed = async (time: number) => {
    const folder = join(parent, String(folders++));
    for (const [name, { objects }] of Object.entries({ root: empty(time), "s0-2026h2": log }))
      for (const [path, bytes] of objects) {
        mkdirSync(dirname(join(folder, name, path)), { recursive: true });
        writeFileSync(join(folder, name, path), bytes);
      }
    const keys = [root.verifier, log.verifier];
    writeFileSync(join(folder, keysFile), keysText(keys));
    const reports = await verifyFolder(folder, keys, () => ({}), [], [witness]);
    return reports.flatMap((report) =>
      "wrong" in report ? [`${report.name}: ${sentence(report.wrong)}`] : [],
    );
  };
  expect(await keyed(at + 120_000)).toEqual(["s0-2026h2: has records and is not in the root log"]);
  expect(await keyed(at + 30_000), "its opening may not be shown yet").toEqual([]);
});

test("a log may be absent six years after its half-year, and not a second before; its last checkpoint stays", async ({
  expect,
}) => {
  const late = Date.UTC(2099, 0, 1) / 1000;
  const isGone = (log: string, seconds: number) => [
    mayBeDeleted(log, seconds, late),
    mayBeDeleted(log, late, seconds),
  ];
  expect(isGone("s0-2026h1", Date.UTC(2032, 6, 1) / 1000)).toEqual([true, true]);
  expect(isGone("s0-2026h1", Date.UTC(2032, 6, 1) / 1000 - 1)).toEqual([false, false]);
  expect(isGone("s0-2026h2", Date.UTC(2033, 0, 1) / 1000)).toEqual([true, true]);
  expect(isGone("s0-2026h2", Date.UTC(2033, 0, 1) / 1000 - 1)).toEqual([false, false]);
  expect(isGone("root", late)).toEqual([false, false]);
  const name = "ledger.test/s0-2019h2";
  const old = (of: string, time: number) =>
    cosign(rootLog([[leafOf({ ...opened, origin: of })], [leafOf({ ...now, origin: of })]], time));
  expect(await found({ root: old(name, at), "s0-2026h2": log })).toEqual([
    "root: good to 2",

    "s0-2026h2: good to 0",
    "s0-2019h2: good to 7",
  ]);
});

test("an owner of the checkpoint key cannot make a log look old to delete it: the verifier's own clock counts too", async ({
  expect,
}) => {
  const dated = rootLog([[leafOf(opened)], [leafOf(now)]], Date.UTC(2999, 0, 1));
  expect(await found({ root: cosign(dated) })).toEqual([
    "root: good to 2",
    "s0-2026h2: its folder is missing",
  ]);
});

test("a witness that signs a time which no calendar has does not end the report", ({ expect }) => {
  const said: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((line: string) => void said.push(line));
  const good = { size: 1, frames: 1, root: new Uint8Array(32) };
  expect(
    printReport(
      { name: "root", good, cosigned: [{ name: "witness.test/w1", seconds: Number.MAX_SAFE_INTEGER }] },
      {},
    ),
  ).toBe(true);
  log.mockRestore();
  expect(said.join()).toContain(`cosigned by witness.test/w1 at second ${Number.MAX_SAFE_INTEGER}`);
});
