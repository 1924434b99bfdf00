import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { configurationEvent, configurationOf } from "#audit/configuration";
import { instant } from "#kernel/clock";
import { type Checkpoint, checkpointText } from "#ledger/tlog/checkpoint";
import { checkpointOf } from "#ledger/commit";
import { emptyRoot } from "#ledger/tlog/merkle";
import { logOfFrames, signed } from "../ledger/sample-log.ts";
import { disclosure, auditors, logKey, logOfEvents, rootOf, writeKey, writeLog } from "./auditor-log.ts";
import { phylax } from "./phylax.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-read-"));
afterAll(() => rmSync(folder, { recursive: true }));

const many = Object.fromEntries(Array.from({ length: 700 }, (_, n) => [`p${n}`, { Observation: 1 }]));
const refusal = {
  ...disclosure(3, "payer", {}),
  kind: "refusal",
  outcome: { status: 403, reason: "rule_missing" },
  withheld: undefined,
};
const events = [
  disclosure(1, "telehealth", { amara: { Patient: 1, Observation: 2 }, ben: { Observation: 1 } }),
  disclosure(2, "payer", { amara: { Observation: 4 } }),
  refusal,
  disclosure(4, "research", many),
];
const [first = refusal, second = refusal, , fourth = refusal] = events;
// The second event was sent again because its answer was lost, so it is recorded twice.
const log = await logOfEvents([[first], [second, refusal], [fourth], [second]]);
const ledger = writeLog(join(folder, "ledger"), log);
const key = writeKey(folder, auditors.one);

const read = async (...args: readonly string[]) => {
  const { code, out, error } = await phylax("ledger", "read", ledger, "--log-key", logKey, "--json", ...args);
  const lines: { log: string; leaves: number[]; event: typeof refusal }[] = out
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return { code, error, lines };
};

test("an auditor's key opens every event, each once and whole, with where it stands", async ({ expect }) => {
  for (const jwk of [auditors.one, auditors.two]) {
    const { code, error, lines } = await read("--key", writeKey(folder, jwk, "either.json"));
    expect([code, error]).toEqual([0, ""]);
    expect(lines.map(({ event }) => event.id)).toEqual(events.map(({ id }) => id));
    expect(lines.map(({ leaves }) => leaves)).toEqual([[2], [4], [5], [7, 8]]);
    expect(lines[3]?.event.patients).toEqual(fourth.patients);
    expect(lines[0]?.event).toMatchObject(JSON.parse(JSON.stringify(first)));
  }
});

test("an event never hides a different event with the same id and step", async ({ expect }) => {
  const decoy = { ...disclosure(4, "telehealth", { nobody: { Patient: 1 } }), at: fourth.at };
  const twoOf = [
    disclosure(4, "payer", { amara: { Patient: 1 } }),
    disclosure(4, "payer", { ben: { Patient: 1 } }),
  ];
  const place = writeLog(
    join(folder, "decoys"),
    await logOfEvents([[decoy], [fourth], [...twoOf, ...twoOf]]),
  );
  const { code, out } = await phylax("ledger", "read", place, "--log-key", logKey, "--key", key, "--json");
  const told = out
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line).event.patients.length);
  expect([code, told]).toEqual([0, [1, 700, 1, 1]]);
  const scope = await phylax(
    "breach-scope",
    place,
    "--log-key",
    logKey,
    "--key",
    key,
    "--client",
    "research",
    "--from",
    "2026-10-01",
    "--to",
    "2026-10-02",
  );
  expect(scope.out).toContain("individuals: 700");
});

test("--from, --to, --client and --patient choose events", async ({ expect }) => {
  const idsOf = async (...args: readonly string[]) =>
    (await read("--key", key, ...args)).lines.map(({ event }) => Number.parseInt(event.id, 16));
  expect(await idsOf("--client", "payer")).toEqual([2, 3]);
  expect(await idsOf("--patient", "main/Patient/amara")).toEqual([1, 2]);
  expect(await idsOf("--patient", "main/Patient/p699")).toEqual([4]);
  expect(await idsOf("--from", "2026-10-01T12:02:00Z", "--to", "2026-10-01T12:03:00Z")).toEqual([2, 3]);
  expect(await idsOf("--to", "2026-10-01")).toEqual([1, 2, 3, 4]);
  expect(await idsOf("--from", "2026-10-02")).toEqual([]);
});

test("a client that no record names is exit code 2, and a known client without a record in the period is not", async ({
  expect,
}) => {
  const unknown = await phylax("ledger", "read", ledger, "--log-key", logKey, "--key", key, "--client", "no");
  expect([unknown.code, unknown.error]).toEqual([2, expect.stringContaining("names the client no")]);
  const known = ["--client", "payer", "--from", "2026-10-02"];
  expect((await phylax("ledger", "read", ledger, "--log-key", logKey, "--key", key, ...known)).code).toBe(0);
});

test("without --json each event is a line that a person can read", async ({ expect }) => {
  const { code, out } = await phylax("ledger", "read", ledger, "--log-key", logKey, "--key", key);
  expect(code).toBe(0);
  expect(out.split("\n")[0]).toBe(
    "2026-10-01T12:01:00.000Z s0-2026h2/2 disclosure telehealth TREAT search-type main/Observation?code=8867-4 200 " +
      "patients: main/Patient/amara (Patient 1, Observation 2), main/Patient/ben (Observation 1) 1 elements withheld 1 resources withheld " +
      `request ${first.id}`,
  );
});

test("a break-glass use says who declared it, in which words, and its review: as line, in why, and as CSV", async ({
  expect,
}) => {
  const review = "c".repeat(32);
  const emergency = {
    justification: "Unconscious, ER 2",
    review,
    personnel: "Dr. Lindqvist",
    facility: "Harbor ER",
  };
  const used = disclosure(1, "telehealth", { amara: { Patient: 1 } });
  const who = { ...used.who, user: "Practitioner/lindqvist" };
  const plain = { ...disclosure(2, "telehealth", { amara: { Patient: 1 } }), who };
  const place = writeLog(
    join(folder, "emergency"),
    await logOfEvents([[{ ...used, who, emergency }], [plain]]),
  );
  const keys = ["--log-key", logKey, "--key", key];
  const said =
    "by Dr. Lindqvist (Practitioner/lindqvist), Harbor ER " +
    `emergency: Unconscious, ER 2 (review ${review}) request ${used.id}`;
  const { out } = await phylax("ledger", "read", place, ...keys);
  expect(out.split("\n")[0]).toContain(said);
  expect(out.split("\n")[1]).toContain(`by Practitioner/lindqvist request ${plain.id}`);
  expect((await phylax("why", used.id, place, ...keys)).out).toContain(said);
  const csv = (await phylax("ledger", "read", place, ...keys, "--csv")).out.split(/\r?\n/u);
  expect(csv[0]).toMatch(/,request,person,emergency,review$/u);
  expect(csv[1]).toContain(
    `${used.id},"Dr. Lindqvist (Practitioner/lindqvist), Harbor ER","Unconscious, ER 2",${review}`,
  );
});

test("--kind chooses one kind of event, and an unknown kind is a misuse", async ({ expect }) => {
  const { lines } = await read("--key", key, "--kind", "refusal");
  expect(lines.map(({ event }) => event.id)).toEqual([refusal.id]);
  const misspelt = await read("--key", key, "--kind", "refused");
  expect([misspelt.code, misspelt.error]).toEqual([
    2,
    expect.stringContaining("--kind is one of disclosure, "),
  ]);
});

test("a worker's configuration is a line with its digest and each setting by its name", async ({
  expect,
}) => {
  const configuration = configurationOf("gateway", [
    ["PUBLIC_URL", "https://gateway.test"],
    ["PAGING_KEY", '{"fingerprint":"x"}'],
  ]);
  const event = configurationEvent(configuration, "ab".repeat(16), instant(Date.UTC(2026, 9, 1)));
  const place = writeLog(join(folder, "started"), await logOfEvents([[event]]));
  const { code, out } = await phylax(
    "ledger",
    "read",
    place,
    "--log-key",
    logKey,
    "--key",
    key,
    "--kind",
    "configuration",
  );
  expect([code, out.trim()]).toEqual([
    0,
    `2026-10-01T00:00:00.000Z s0-2026h2/2 configuration gateway sha-256 ${configuration.digest}: ` +
      `PAGING_KEY={"fingerprint":"x"}, PUBLIC_URL=https://gateway.test request ${event.id}`,
  ]);
});

test("text of a record reaches a terminal without escapes, line breaks or reversal", async ({ expect }) => {
  const code = "\u001b[2J\u009b31m\u202E\n2026-10-01T00:00:00.000Z s0-2026h2/9 disclosure nobody";
  const event = disclosure(
    1,
    "payer",
    { amara: { Patient: 1 } },
    { what: { interaction: "search-type", parameters: [["code", code]] }, unnamed: [`Observation/${code}`] },
  );
  const place = writeLog(join(folder, "escapes"), await logOfEvents([[event]]));
  const scope = [
    "breach-scope",
    place,
    "--client",
    "payer",
    "--from",
    "2026-10-01",
    "--to",
    "2026-10-02",
    "--log-key",
    logKey,
    "--key",
    key,
  ];
  for (const form of [[], ["--json"]]) {
    const told = await phylax(...scope, ...form);
    expect(told.out).toContain("Observation/\\u001b[2J");
    expect(told.out.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    const { out } = await phylax("ledger", "read", place, "--log-key", logKey, "--key", key, ...form);
    expect(out).toContain("\\u009b31m\\u202e");
    expect(out.split("\n")).toHaveLength(2);
    expect(out.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    if (form.length > 0) expect(JSON.parse(out).event.what.parameters).toEqual([["code", code]]);
  }
});

test("a key that opens nothing gives one line: how many leaves of which logs, and what to do, with nothing of a record; exit code 1", async ({
  expect,
}) => {
  const { code, error, lines } = await read("--key", writeKey(folder, auditors.stranger, "stranger.json"));
  expect([code, lines]).toEqual([1, []]);
  expect(error).toBe(
    "6 leaves of s0-2026h2 could not be opened: their keys are not wrapped to the auditor of --key. " +
      "Add the key of an auditor who was configured then\n",
  );
});

test("a leaf with uncommitted accounting lines is reported, and a log that fails its check is not read", async ({
  expect,
}) => {
  const lying = writeLog(
    join(folder, "lying"),
    await logOfEvents([[first], [refusal]], () => new Uint8Array(32)),
  );
  const { code, error, out } = await phylax("ledger", "read", lying, "--log-key", logKey, "--key", key);
  expect([code, out.split("\n").length]).toEqual([1, 2]); // a refusal has no lines
  expect(error).toBe(
    "s0-2026h2: leaf 2 (key epoch 1) could not be opened: its accounting lines are not the committed ones\n",
  );
  const cut = writeLog(join(folder, "cut"), log);
  writeFileSync(join(cut, "s0-2026h2/frame/1"), new Uint8Array(3));
  const wrong = await phylax("ledger", "read", cut, "--log-key", logKey, "--key", key);
  expect([wrong.code, wrong.out]).toEqual([1, ""]);
  expect(wrong.error).toMatch(/^s0-2026h2: WRONG: frame\/1 \(frame 1\): frame magic/u);
});

test("with the root log's key alone every log is read, and a log that was cut back or hidden is wrong", async ({
  expect,
}) => {
  const { root, key: rootKey } = rootOf(log);
  const readAt = (place: string) =>
    phylax("ledger", "read", writeLog(place, root, "root"), "--log-key", rootKey, "--key", key, "--json");
  const whole = await readAt(writeLog(join(folder, "with-root"), log));
  expect([whole.code, whole.error, whole.out.split("\n").length]).toEqual([0, "", events.length + 1]);
  const cut = await readAt(writeLog(join(folder, "cut-back"), await logOfEvents([[first]])));
  expect([cut.code, cut.out]).toEqual([1, ""]);
  expect(cut.error).toContain(
    "s0-2026h2: WRONG: checkpoint (leaf 3): is behind an earlier checkpoint of size 11: leaves 3 to 10 are missing",
  );
  const hidden = await readAt(join(folder, "hidden"));
  expect(hidden).toMatchObject({ code: 1, error: "s0-2026h2: WRONG: checkpoint: is missing\n" });
  const forged = writeLog(join(folder, "forged-root"), log);
  const stranger = await phylax(
    "ledger",
    "read",
    forged,
    "--log-key",
    rootKey,
    "--log-key",
    logKey,
    "--key",
    key,
  );
  expect(stranger).toMatchObject({ code: 1, error: "root: WRONG: checkpoint: is missing\n" });
});

test("a log that was removed after its six years is said to be: there may have been more", async ({
  expect,
}) => {
  const old = "ledger.test/s0-2019h2";
  const ofOld = (checkpoint: Checkpoint) => signed(checkpointText({ ...checkpoint, origin: old }), old);
  const leaves = [[ofOld({ origin: old, size: 0, root: emptyRoot })], [ofOld(checkpointOf(log.head))]];
  const root = logOfFrames(leaves, undefined, "ledger.test/root");
  const place = writeLog(join(folder, "gone"), root, "root");
  const keys = ["--log-key", rootOf(log).key, "--key", key];
  const said = "s0-2019h2: deleted, six years after its half-year had ended: its events are not read\n";
  expect(await phylax("ledger", "read", place, ...keys)).toEqual({ code: 0, out: "", error: said });
});

test("misuse is 2: no key, a public key, invalid times, a patient by name", async ({ expect }) => {
  const { d: _, ...publicKey } = auditors.one;
  for (const args of [
    [],
    ["--key", writeKey(folder, publicKey, "public.json")],
    ["--key", join(folder, "nowhere")],
    ["--key", key, "--from", "yesterday"],
    ["--key", key, "--from", "2026-10-02", "--to", "2026-10-01"],
    ["--key", key, "--patient", "Amara Okafor"],
    ["--key", key, "--log", "s9-2026h2"],
  ]) {
    const { code, error } = await phylax("ledger", "read", ledger, "--log-key", logKey, ...args);
    expect(code, args.join(" ")).toBe(2);
    expect(error).not.toContain("Amara");
    expect(error).toContain("usage: phylax ledger read");
  }
});

test("a served checkpoint that is a second behind the root log is read once more before the log is called wrong", async ({
  expect,
}) => {
  const { root, key: rootKey } = rootOf(log);
  const earlier = (await logOfEvents([[first]])).objects.get("checkpoint");
  let asked = 0;
  const server = createServer(({ url = "" }, response) => {
    const [, name, ...rest] = url.split("/");
    const path = rest.join("/");
    const isLate = name !== "root" && path === "checkpoint" && (asked += 1) === 1;
    const bytes = isLate ? earlier : (name === "root" ? root : log).objects.get(path);
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo; // a listening TCP server has an AddressInfo
  const { code, error, out } = await phylax(
    "ledger",
    "read",
    `http://127.0.0.1:${port}`,
    "--log-key",
    rootKey,
    "--key",
    key,
    "--json",
  );
  server.close();
  expect([code, error, out.split("\n").length, asked]).toEqual([0, "", events.length + 1, 2]);
});

test("events are in the order of their times, across appends; --limit takes the latest, --csv has a row each", async ({
  expect,
}) => {
  const place = writeLog(join(folder, "order"), await logOfEvents([[fourth], [first], [second]]));
  const run = (...args: readonly string[]) =>
    phylax("ledger", "read", place, "--log-key", logKey, "--key", key, ...args);
  const ids = ({ out }: { out: string }) => [...out.matchAll(/"event":\{"id":"(\w+)"/gu)].map(([, id]) => id);
  expect(ids(await run("--json"))).toEqual([first.id, second.id, fourth.id]);
  expect(ids(await run("--json", "--limit", "2"))).toEqual([second.id, fourth.id]);
  const { out } = await run("--csv", "--limit", "1");
  expect(out.split("\n")[0]).toBe(
    "time,log,leaf,kind,caller,user,purposes,interaction,address,status,reason,patients,request,person,emergency,review",
  );
  expect(out.split("\n")[1]).toMatch(
    /^2026-10-01T12:04:00.000Z,s0-2026h2,\d+,disclosure,research,,TREAT,.*,0{31}4,,,$/u,
  );
  expect((await run("--csv", "--json")).code).toBe(2);
  expect((await run("--limit", "0")).code).toBe(2);
});

test("events are selected by request, purpose, user, certificate, key and token", async ({ expect }) => {
  const who = {
    client: "app",
    user: "Practitioner/p1",
    subject: "ada",
    certificate: "d".repeat(43),
    keyId: "kid-1",
    jkt: "j".repeat(43),
    tokenId: "jti-9",
  };
  const one = disclosure(5, "app", { amara: { Patient: 1 } }, { who });
  const place = writeLog(join(folder, "selected"), await logOfEvents([[first], [one]]));
  const run = async (...args: readonly string[]) => {
    const { out } = await phylax("ledger", "read", place, "--log-key", logKey, "--key", key, ...args);
    return out.split("\n").filter(Boolean).length;
  };
  expect(await run()).toBe(2);
  for (const [option, value] of [
    ["--request", one.id],
    ["--user", "Practitioner/p1"],
    ["--user", "ada"],
    ["--certificate", who.certificate],
    ["--key-id", "kid-1"],
    ["--key-id", who.jkt],
    ["--token", "jti-9"],
  ] as const) {
    expect(await run(option, value), option).toBe(1);
    expect(await run(option, `${value}x`), option).toBe(0);
  }
  expect([await run("--purpose", "TREAT"), await run("--purpose", "HPAYMT")]).toEqual([2, 0]);
});
