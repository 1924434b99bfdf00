import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commandIn } from "../support/in-process/command.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { patience } from "../support/patience.ts";

let phylax: Door;
beforeAll(async () => {
  phylax = await startDoor();
}, 60_000);
afterAll(() => phylax.close());

const command = (...args: readonly string[]) => phylax.within(() => commandIn(phylax.home, ...args));
const state = () => ["--state", join(phylax.home, ".phylax")];
const asAuditor = () => [
  "--key",
  phylax.dev.auditors[0]?.key ?? "",
  "--keys",
  join(phylax.home, ".phylax/dev.json"),
];

test("phylax get reads as a client: JSON on lines, with its numbers as they were", async () => {
  const { code, out, error } = await command("get", "telehealth", "Patient/amara-okafor", ...state());
  expect(code, error).toBe(0);
  expect(out).toMatch(/^\{\n {2}"resourceType": "Patient",\n {2}"id": "amara-okafor",\n/u);
  expect(JSON.parse(out)).toEqual(JSON.parse((await phylax.ask("telehealth", "Patient/amara-okafor")).text));
});

test("phylax get proves its key for a client with DPoP", async () => {
  const dpop = phylax.dev.clients.find((client) => client.dpop && client.auth !== "external");
  if (dpop === undefined) throw new Error("the demonstration has a client with a key");
  const { code, error, out } = await command("get", dpop.id, "metadata", "--include", ...state());
  expect(code, error + out).toBe(0);
  expect(out).toMatch(/^HTTP 200\n/u);
});

test("phylax get refuses a URL beyond the FHIR base, and sends no token there", async () => {
  const { code, error } = await command(
    "get",
    "telehealth",
    "https://elsewhere.example/Patient/1",
    ...state(),
  );
  expect([code, error]).toEqual([
    2,
    expect.stringContaining("the path must be below the FHIR base\nusage: phylax get"),
  ]);
});

test("phylax get sends no token above the FHIR base of its own gateway either", async () => {
  for (const path of ["../../healthz", "Patient/../../../../healthz"]) {
    const { code, error } = await command("get", "telehealth", path, ...state());
    expect([code, error]).toEqual([2, expect.stringContaining("the path must be below the FHIR base")]);
  }
});

test("a file without an access token is named, and its content is not", async () => {
  for (const content of ["", "a-secret\nanother-secret\n"]) {
    const file = join(phylax.home, "token");
    writeFileSync(file, content);
    const { code, error } = await command("registry", "show", "--operator-token", file, ...state());
    expect([code, error]).toEqual([2, expect.stringContaining(`${file} has no access token: `)]);
    expect(error).not.toContain("secret");
  }
});

test("phylax why says in words why a request was refused, and what its caller was told", async () => {
  const refused = await command("get", "telehealth", "Patient/nowhere", "--include", ...state());
  expect(refused.code).toBe(1);
  const id = /^x-request-id: ([0-9a-f]{32})$/mu.exec(refused.out)?.[1] ?? "";
  const told = await command("why", id, phylax.dev.ledger, ...asAuditor());
  expect(told.code, told.error).toBe(0);
  expect(told.out).toMatch(
    /^\S+ s\d-\S+ refusal telehealth TREAT read main\/Patient\/nowhere 404 \S+ .*request [0-9a-f]{32}$/mu,
  );
  expect(told.out).toMatch(
    /^reason [a-z_]+\n {2}There is no such resource for this client\. Check the type and the id\.$/mu,
  );
});

test("phylax why answers 1 for an unknown id, and 2 for text that is no id", async () => {
  expect(await command("why", "0".repeat(32), phylax.dev.ledger, ...asAuditor())).toMatchObject({
    code: 1,
    error: expect.stringContaining("no opened record has this id"),
  });
  expect((await command("why", "abc", ...asAuditor())).code).toBe(2);
});

test("a name in the call that is not registered exits 2, and the error says where the names are", async () => {
  const policy = join(import.meta.dirname, "../../policies/treat.json");
  const calls = [
    ["client", "rotate", "nobody"],
    ["client", "retire", "nobody", "--kid", "k"],
    ["client", "quota", "nobody", "--requests", "5"],
    ["client", "suspend", "nobody"],
    ["client", "reinstate", "nobody"],
    ["client", "end", "nobody"],
    ["client", "remove", "nobody"],
    ["client", "list", "payer", "nobody"],
    ["agreement", "show", "nobody"],
    ["operator", "change", "nobody", "--role", "auditor", "--why", "a test"],
    ["token", "nobody"],
    ["get", "nobody", "Patient/1"],
    ["registry", "show", "--operator", "nobody"],
    ["policy", "publish", policy, "--grant", "nobody/main/TREAT"],
  ] as const;
  for (const call of calls) {
    const { code, out, error } = await command(...call, ...state());
    expect([code, out, error], call.join(" ")).toEqual([
      2,
      "",
      expect.stringMatching(/^no (?:client|agreement|operator|grant) nobody.*(?:`phylax |choose from: )/u),
    ]);
    expect(error, "no usage: the call has the right form").not.toContain("usage:");
    const json = await command(...call, ...state(), "--json");
    expect(JSON.parse(json.out), call.join(" ")).toEqual({ error: error.trimEnd(), exitCode: 2 });
  }
});

test("the error of a refused document names the place in the file and the form that it needs", async () => {
  const change = async (list: string, entry: object) => {
    const file = join(phylax.home, "wrong.json");
    writeFileSync(file, JSON.stringify({ [list]: [entry] }));
    const { code, error } = await command("registry", "plan", file, ...state());
    expect(code).toBe(2);
    return error.replace(`${file}: `, "");
  };
  const agreement = {
    id: "a-1",
    client: "payer",
    purposes: ["HPAYMT"],
    from: "2026-01-01",
    to: "2027-01-01",
    documentHash: "7".repeat(64),
  };
  expect(await change("agreements", { ...agreement, to: "tomorrow" })).toMatch(
    /^\/agreements\/0\/to must be a date or a time as RFC 3339 writes it: /u,
  );
  expect(await change("agreements", { ...agreement, documentHash: "abc" })).toMatch(
    /^\/agreements\/0\/documentHash must be a SHA-256 in hex/u,
  );
  const certificates = ["-----BEGIN CERTIFICATE-----"];
  expect(await change("clients", { id: "c", kind: "k", auth: "tls_client_auth", certificates })).toMatch(
    /^\/clients\/0\/certificates\/0 must be a certificate in PEM, /u,
  );
  expect(await change("client", {})).toBe("/client no such field\n");
});

test("a refusal of an unknown id says which command has the ids", async () => {
  const calls = [
    [["operator", "suspend", "nobody"], "`phylax operator list`"],
    [["propose", "--role", "auditor", "--why", "a test"], "`phylax operator sign-in OPERATOR --out FILE`"],
    [["proposals", "show", "1234"], "`phylax proposals list`"],
    [["restore", "ledger", "s99-2026h2"], "`phylax ledger verify`"],
    [["client", "retire", "payer", "--kid", "none"], "payer has no certificate or key none: "],
    [
      ["client", "end", "payer", "--agreement", "none"],
      "payer has no agreement none: `phylax agreement list`",
    ],
    [["client", "quota", "payer", "--requests", "5", "--grant", "none/none"], "`phylax client list --json`"],
  ] as const;
  for (const [call, says] of calls) {
    const { code, error } = await command(...call, ...state());
    expect([code, error], call.join(" ")).toEqual([2, expect.stringContaining(says)]);
  }
});

test("a file that cannot be written is named in a sentence, and the result is not printed", async () => {
  for (const call of [
    ["registry", "export"],
    ["registry", "plan", "--remove", "client:lapsed", "--out"],
  ] as const) {
    const file = join(phylax.home, "no-such-folder/file.json");
    const { code, out, error } = await command(...call, file, ...state(), "--json");
    expect([code, error]).toEqual([2, `${file} does not exist: check the name and the folder\n`]);
    expect(JSON.parse(out)).toEqual({ error: error.trimEnd(), exitCode: 2 });
  }
});

test("with --state the ledger of a backup is the ledger of this folder, and not of the current folder's stack", async () => {
  const folder = mkdtempSync(join(tmpdir(), "phylax-backup-"));
  const backUp = (name: string) =>
    phylax.within(() => commandIn(folder, "backup", join(folder, name), ...state(), "--json"));
  const first = await backUp("first");
  expect(first.code, first.error).toBe(0);
  const logs = [...Object.keys(phylax.dev.logs), "root"].sort();
  expect(logsIn(first.out)).toEqual(logs);
  // a stack of its own below the current folder
  mkdirSync(join(folder, ".phylax"));
  const foreign = { ...phylax.dev, ledger: "http://127.0.0.1:9" };
  writeFileSync(join(folder, ".phylax", "dev.json"), JSON.stringify(foreign));
  const whole = await phylax.within(() => commandIn(folder, "backup", join(folder, "whole"), ...state()));
  const files = [...whole.out.matchAll(/^(\/\S+): /gmu)].map(([, path = ""]) => path);
  expect(files).toEqual([join(folder, "whole", "registry.json"), join(folder, "whole")]);
  expect(
    files.filter((path) => !existsSync(path)),
    "each printed path is there",
  ).toEqual([]);
  const second = await backUp("second");
  expect(second.code, second.error).toBe(0);
  expect(logsIn(second.out)).toEqual(logs);
});

const logsIn = (result: string) =>
  (JSON.parse(result) as { readonly logs: readonly { readonly log: string }[] }).logs
    .map(({ log }) => log)
    .sort();

test("with --state the denials of this folder's ledger are made again, and the current folder's deployment gets no request", async () => {
  const denied = await command("revoke", "client", "sampler", ...state());
  expect(denied.code, denied.error).toBe(0);
  const folder = mkdtempSync(join(tmpdir(), "phylax-denials-"));
  // A second deployment below the current folder. The denials of two deployments must not be joined.
  const asked: string[] = [];
  const other = createServer(({ url = "" }, answer) => {
    asked.push(url);
    answer.writeHead(404).end();
  });
  await new Promise<void>((listening) => other.listen(0, "127.0.0.1", listening));
  const { port } = other.address() as AddressInfo; // a listening TCP server has a port
  const url = `http://127.0.0.1:${port}`;
  mkdirSync(join(folder, ".phylax"));
  writeFileSync(
    join(folder, ".phylax", "dev.json"),
    JSON.stringify({ ...phylax.dev, ledger: url, ops: url }),
  );
  const file = join(folder, "denials.json");
  const key = ["--key", phylax.dev.auditors[0]?.key ?? ""];
  const restore = (...more: readonly string[]) =>
    phylax.within(() => commandIn(folder, "restore", "denials", file, ...key, ...more, "--json"));
  try {
    const denials = [{ kind: "client", client: "sampler" }];
    const listed = async () => (await restore(...state())).out;
    // a checkpoint is signed once a second: until then the record is not read
    await expect.poll(listed, patience).toContain("sampler");
    const again = await restore(...state(), "--deny");
    expect(again.code, again.error).toBe(0);
    expect(JSON.parse(again.out)).toMatchObject({ good: true, denials, denied: 1, failed: [] });
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ denials });
    expect(asked).toEqual([]);
    // Without --state the ledger and the operators' door are the current folder's. This ledger has no log.
    expect((await restore()).code).not.toBe(0);
    expect(asked.length).toBeGreaterThan(0);
  } finally {
    await new Promise((closed) => other.close(closed));
    await command("revoke", "--lift", "client", "sampler", ...state());
    rmSync(folder, { recursive: true });
  }
});

test("phylax alert silences an alert with a reason on record, lists it, and ends it", async () => {
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const silenced = await command(
    "alert",
    "silence",
    "ledger_behind",
    "origin_late",
    "--until",
    until,
    "--reason",
    "R2 is moved",
    ...state(),
  );
  expect(silenced.code, silenced.error).toBe(0);
  const id = /[0-9a-f]{32}/u.exec(silenced.out + silenced.error)?.[0] ?? "";
  const listed = await command("alert", "list", "--json", ...state());
  expect(listed.code, listed.error).toBe(0);
  const { alerts, silences, key } = JSON.parse(listed.out);
  expect(silences).toMatchObject([{ id, alerts: ["ledger_behind", "origin_late"], reason: "R2 is moved" }]);
  expect(alerts).toContainEqual(expect.objectContaining({ alert: "ledger_behind", silenced: true }));
  expect(key).toMatchObject({ kty: "OKP", crv: "Ed25519" });
  const ended = await command("alert", "unsilence", id, "--reason", "it is done", ...state());
  expect(ended.code, ended.error).toBe(0);
  expect((await command("alert", "list", ...state())).out).not.toContain(id);
  const records = JSON.stringify(await phylax.records());
  for (const reason of ["R2 is moved", "it is done"]) expect(records).toContain(reason);
});
