import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { disclosure, logOfEvents, rootOf, writeLog } from "./auditor-log.ts";
import { phylax } from "./phylax.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-retention-"));
afterAll(() => rmSync(folder, { recursive: true }));

const [one, two] = [
  disclosure(1, "payer", { a: { Patient: 1 } }),
  disclosure(2, "payer", { b: { Patient: 1 } }),
];
const [short, log] = [await logOfEvents([[one]]), await logOfEvents([[one], [two]])];
const { root, key } = rootOf(log);
const ledger = writeLog(writeLog(join(folder, "ledger"), log), root, "root");
const rule = (seconds: number, prefix = "log/") => ({
  id: "records",
  enabled: true,
  prefix,
  condition: { type: "Age", maxAgeSeconds: seconds },
});
const rulesFile = (name: string, ...rules: readonly object[]): string => {
  writeFileSync(join(folder, name), JSON.stringify({ rules }));
  return join(folder, name);
};
const locked = rulesFile("locked.json", rule(190_080_000));
const check = (rules: string, at: string, place = ledger, ...args: readonly string[]) =>
  phylax("ledger", "retention", "check", rules, "--ledger", place, "--log-key", key, "--at", at, ...args);

test("with a lock of 2,200 days the report gives the first day on which each log may be deleted, and its checkpoint in the root log", async ({
  expect,
}) => {
  const over = await check(locked, "2027-02-01");
  expect(over).toMatchObject({ code: 0, error: "" });
  expect(over.out.split("\n").filter(Boolean)).toEqual([
    "s0-2026h2: locked by records; may be deleted whole from 2033-01-09; the root log has its checkpoint of 5 leaves",
    "root: locked by records; may never be deleted",
  ]);
  expect((await check(locked, "2026-12-01")).out).toContain("still takes records");
  const json = JSON.parse((await check(locked, "2027-02-01", ledger, "--json")).out);
  expect(json).toMatchObject({
    good: true,
    sixYearsDays: 2192,
    blocked: [],
    logs: [{ log: "s0-2026h2", rootLeaves: 5 }, { log: "root" }],
  });
});

test("each defect is named: a short or absent lock, a lock on checkpoints, a final checkpoint that the root log lacks", async ({
  expect,
}) => {
  const six = await check(rulesFile("short.json", rule(2191 * 86_400)), "2027-02-01");
  expect(six.code).toBe(1);
  expect(six.error).toContain(
    "s0-2026h2: WRONG: no rule keeps all of log/ledger.test/s0-2026h2/ for 2192 days",
  );
  const all = await check(rulesFile("all.json", rule(190_080_000, "")), "2027-02-01");
  expect(all).toMatchObject({
    code: 1,
    error: expect.stringContaining("checkpoint/: WRONG: rule records locks it"),
  });
  const behind = writeLog(writeLog(join(folder, "behind"), log), rootOf(short).root, "root");
  const lacking = await check(locked, "2027-02-01", behind);
  expect(lacking.code).toBe(1);
  expect(lacking.error).toContain(
    "its final checkpoint of 5 leaves is not in the root log (3 leaves): do not delete the log",
  );
  expect((await check(locked, "2026-12-01", behind)).code, "it goes on, and the root log follows").toBe(0);
  const removed = await check(locked, "2027-02-01", writeLog(join(folder, "removed"), root, "root"));
  expect(removed).toMatchObject({
    code: 1,
    error: expect.stringContaining("its checkpoint is missing, and it is too early to delete the log"),
  });
});

test("the rules may come from an API, with the token of a file, which the output never contains", async ({
  expect,
}) => {
  const seen: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    const good = request.url?.endsWith("/lock");
    response
      .writeHead(good ? 200 : 403)
      .end(JSON.stringify({ success: good, result: { rules: [rule(190_080_000)] } }));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // a TCP server has an AddressInfo
  writeFileSync(join(folder, "token"), "a-secret-token\n");
  const token = ["--token-file", join(folder, "token")];
  expect((await check(`${base}/accounts/a/r2/buckets/b/lock`, "2027-02-01", ledger, ...token)).code).toBe(0);
  const refused = await check(`${base}/elsewhere`, "2027-02-01", ledger, ...token);
  server.close();
  expect(seen).toEqual(["Bearer a-secret-token", "Bearer a-secret-token"]);
  expect(refused).toMatchObject({ code: 1, out: "", error: expect.stringMatching(/answered 403\n$/u) });
  expect(refused.error).not.toContain("secret");
});

test("misuse is 2: no rules, no key, a token over plain HTTP", async ({ expect }) => {
  expect((await check(join(folder, "nowhere"), "2027-02-01")).code).toBe(2);
  expect((await phylax("ledger", "retention", "check", locked, "--ledger", ledger)).code).toBe(2);
  expect((await check(locked, "soon")).code).toBe(2);
  const open = await check("http://api.example/lock", "2027-02-01", ledger, "--token-file", locked);
  expect(open).toMatchObject({ code: 2, error: expect.stringContaining("over https only") });
});
