import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { operatorOf } from "../../cli/connection/dev-file.ts";
import { send, type Reply, type Sending } from "../../cli/connection/mutual-tls.ts";
import { ensureAuthority, issueClientCertificate, x5tS256 } from "../../sandbox/certificates.ts";
import { phylaxIn } from "../cli/phylax.ts";
import { openLedger } from "../support/auditor.ts";
import { Browser } from "../support/browser.ts";
import { signInWith } from "../support/officer-web.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { patience } from "../support/patience.ts";

const state = mkdtempSync(join(tmpdir(), "phylax-ops-"));
let phylax: TestStack;
beforeAll(async () => {
  phylax = await startTestStack({ state });
});
afterAll(async () => {
  await phylax.close();
  rmSync(state, { recursive: true, force: true });
});

interface Identity {
  readonly cert: string;
  readonly key: string;
}

const registrar = (): Identity => operatorOf(phylax.dev, "registrar");
const post = (
  document: unknown,
  who: Identity | "nobody" = registrar(),
  sending: Sending = {},
): Promise<Reply> =>
  send(phylax.dev, who === "nobody" ? undefined : who, `${phylax.dev.ops}/api/registry`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof document === "string" ? document : JSON.stringify(document),
    ...sending,
  });

/** A client with its certificate alone, as a foreign registry file might have it. */
const fileWith = (id: string, x5t: string) => ({
  clients: [{ id, kind: "payer", auth: "tls_client_auth", certificates: [x5t] }],
  agreements: [
    {
      id: `${id}-baa`,
      client: id,
      purposes: ["TREAT"],
      from: "2026-01-01",
      to: "2036-01-01",
      documentHash: "0".repeat(64),
    },
  ],
});

async function operator(id: string, roles: readonly string[]): Promise<Identity> {
  const files = await issueClientCertificate(join(state, "pki"), `operator-${id}`, `O=Test, CN=${id}`);
  await phylax.stack.runtime.admitOperator({
    id,
    kind: "machine",
    roles,
    x5t: x5tS256(readFileSync(files.cert, "utf8")),
  });
  return files;
}

/** A certificate with the registrar's name from an unknown authority. */
async function stranger(): Promise<Identity> {
  const pki = join(state, "other-pki");
  await ensureAuthority(pki);
  return issueClientCertificate(pki, "operator-registrar", "O=Phylax sandbox, CN=registrar");
}

const recordsOf = async (reply: Reply) =>
  (await openLedger(phylax.dev))
    .map(({ event }) => event)
    .filter(({ id }) => id === reply.headers["x-request-id"]);

/** The command here; a new process takes a second. */
async function phylaxCommand(...args: string[]): Promise<readonly [number | null, string]> {
  const { code, out, error } = await phylaxIn(tmpdir(), ...args);
  return [code, out + error];
}

test("a profile signs its operator in, and the commands work with it and without a dev.json", async ({
  expect,
  onTestFinished,
}) => {
  const { dev, state } = phylax;
  const [officer] = dev.officers;
  if (officer === undefined) throw new Error("no operator signs in");
  const home = join(state, "home");
  const before = process.env["XDG_CONFIG_HOME"];
  process.env["XDG_CONFIG_HOME"] = home;
  onTestFinished(() => {
    if (before === undefined) delete process.env["XDG_CONFIG_HOME"];
    else process.env["XDG_CONFIG_HOME"] = before;
  });
  const client = phylax.client("telehealth");
  const { acr, maxAgeSeconds, iss } = officer.signIn;
  const door = ["--ops", dev.ops, "--cert", officer.cert, "--key", officer.key, "--ca", dev.ca];
  const gateway = ["--gateway", dev.gateway, "--ledger", dev.ledger, "--keys", join(state, "keys.json")];
  const signIn = ["--issuer", iss, "--acr", String(acr[0]), "--max-age", String(maxAgeSeconds)];
  const main = join(import.meta.dirname, "../../cli/main.ts");
  const signingIn = spawn(process.execPath, [main, "login", "elsewhere", ...door, ...gateway, ...signIn], {
    cwd: tmpdir(), // the project's own folder may have the stack of a developer
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [signingIn.stdout, signingIn.stderr])
    stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await expect.poll(() => said, patience).toContain("open in a browser");
  const url = new URL(/open in a browser: (\S+)/u.exec(said)?.[1] ?? "");
  const ended = once(signingIn, "close");
  expect((await fetch(await signInWith(new Browser(dev), url, officer))).status).toBe(200);
  expect((await ended)[0], said).toBe(0);
  const stored = join(home, "phylax", "elsewhere.token");
  expect(statSync(stored).mode & 0o777).toBe(0o600);
  const { token }: { token: string } = JSON.parse(readFileSync(stored, "utf8"));
  expect(said).not.toContain(token);

  const run = (...args: string[]) => phylaxCommand(...args, "--profile", "elsewhere");
  expect(await run("review", "list")).toEqual([0, "no open reviews\n"]);
  const files = ["--cert", client.cert, "--key", client.key, "--jwk", String(client.jwk)];
  expect(await run("profile", "client", "telehealth", ...files)).toEqual([0, expect.stringContaining("get")]);
  const read = await run("get", "telehealth", "Patient/amara-okafor", "--include");
  expect(read).toEqual([0, expect.stringContaining("HTTP 200")]);
  const id = /^x-request-id: (\w+)$/mu.exec(read[1])?.[1] ?? "";
  const [auditor] = dev.auditors;
  await expect
    .poll(() => run("why", id, "--key", String(auditor?.key)), { timeout: 60_000, interval: 1_000 })
    .toEqual([0, expect.stringContaining(`request ${id}`)]);
  expect(await run("review", "list", "--state", state)).toEqual([
    2,
    expect.stringContaining("one deployment"),
  ]);

  expect(await phylaxCommand("logout", "elsewhere")).toEqual([0, "elsewhere: signed out\n"]);
  expect(await run("review", "list")).toEqual([1, "not signed in: `phylax login elsewhere`\n"]);
});

test("a tail shows permitted and refused requests live without a patient, and ends well by an interruption", async ({
  expect,
}) => {
  const main = join(import.meta.dirname, "../../cli/main.ts");
  const watch = (...options: string[]) => {
    const given = [main, "tail", "--state", state, "--operator", "registrar", ...options];
    const child = spawn(process.execPath, given, { cwd: tmpdir(), stdio: ["ignore", "pipe", "pipe"] });
    const watched = { child, out: "", ended: once(child, "close") };
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (watched.out += chunk.toString()));
    return watched;
  };
  const [all, refusals] = [watch(), watch("--refused", "--client", "payer", "--json")];
  await expect.poll(() => all.out, patience).toContain("watching");
  const askAll = async () => {
    await phylax.ask("payer", "Patient/amara-okafor");
    await phylax.ask("payer", "Patient?family=Canaryfamily");
    await phylax.ask("payer", "Patient/canary-patient");
    return refusals.out;
  };
  await expect.poll(askAll, { ...patience, interval: 500 }).toContain('"outcome":"refused"');
  expect(JSON.parse(refusals.out.split("\n")[0] ?? "")).toEqual({
    at: expect.any(String),
    milliseconds: expect.any(Number),
    interaction: "read",
    outcome: "refused",
    reason: "absent",
    client: "payer",
    purpose: "HPAYMT",
  });
  await expect.poll(() => all.out, patience).toMatch(/ payer +HPAYMT +read +refused absent, \d+ ms$/mu);
  expect(all.out).toMatch(/ payer +HPAYMT +read +disclosed, \d+ ms$/mu);
  expect(all.out).toMatch(/ payer +HPAYMT +search-type +disclosed, \d+ ms$/mu);
  for (const { child, ended, out } of [all, refusals]) {
    child.kill("SIGINT");
    expect((await ended)[0]).toBe(0);
    expect(out).not.toMatch(/canary|amara|okafor|Patient/iu);
  }
  expect(refusals.out).not.toContain("disclosed");

  const revoker = await operator("tail-revoker", ["revoker"]);
  expect((await send(phylax.dev, revoker, `${phylax.dev.ops}/tail`)).status).toBe(403);
});

test("it is alive, and ready when control and the ledger answer", async ({ expect }) => {
  expect((await send(phylax.dev, undefined, `${phylax.dev.ops}/healthz`)).status).toBe(200);
  const ready = await send(phylax.dev, undefined, `${phylax.dev.ops}/readyz`);
  expect([ready.status, JSON.parse(ready.text)]).toEqual([
    200,
    {
      status: "ready",
      dependencies: { control: true, ledger: true },
      ledger: { halfYear: expect.stringMatching(/^\d{4}h[12]$/u), shards: "4" },
    },
  ]);
});

test("the watch of alerts runs by itself, and each part answers it", async ({ expect }) => {
  const scrape = async () => (await send(phylax.dev, registrar(), `${phylax.dev.ops}/metrics`, {})).text;
  await expect.poll(scrape, { ...patience, interval: 1_000 }).toContain('part="revocations"');
  const ages = Array.from((await scrape()).matchAll(/phylax_part_age_seconds\{.+\} (.+)/gu), ([, age]) =>
    Number(age),
  );
  expect(ages).toHaveLength(3);
  for (const age of ages) expect(age).toBeLessThan(60);
  const { text } = await send(phylax.dev, registrar(), `${phylax.dev.ops}/api/alerts`, {});
  expect(JSON.parse(text)).toMatchObject({ waiting: 0, deadLetters: [], key: { kty: "OKP", alg: "EdDSA" } });
});

test("a registry file is applied for the registrar, again with nothing to do, and both are on record before and after", async ({
  expect,
}) => {
  const file = fileWith("newcomer", "N".repeat(43));
  const first = await post(file);
  expect([first.status, JSON.parse(first.text)]).toEqual([200, { added: 3, changed: 0 }]);
  expect(first.headers).toMatchObject({
    "cache-control": "no-store",
    "phylax-receipt": expect.stringContaining("index="),
  });
  expect(JSON.parse((await post(file)).text)).toEqual({ added: 0, changed: 0 });

  const records = await recordsOf(first);
  expect(records.map(({ kind, step }) => [kind, step ?? 0])).toEqual([
    ["administration", 0],
    ["administration", 1],
  ]);
  expect(records[0]).toMatchObject({
    who: { operator: "registrar" },
    what: { id: expect.stringMatching(/^[0-9a-f]{64}$/u) },
  });
  expect(records[1]?.outcome).toEqual({ status: 200 });
});

test("a client from such a file is accepted at the gateway", async ({ expect }) => {
  const files = await issueClientCertificate(join(state, "pki"), "walk-in", "O=Test, CN=walk-in");
  const digest = (await recordsOf(await phylax.ask("telehealth", "Patient/amara-okafor")))[0]?.why?.policy;
  const file = fileWith("walk-in", x5tS256(readFileSync(files.cert, "utf8")));
  const grants = [
    {
      client: "walk-in",
      origin: "main",
      purpose: "TREAT",
      agreement: "walk-in-baa",
      policy: digest,
      scopes: "system/Patient.r",
      quotas: { default: { requests: 5, windowSeconds: 60 } },
    },
  ];
  expect((await post({ ...file, grants })).status).toBe(200);
  const reply = await send(phylax.dev, files, phylax.dev.tokenEndpoint, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "grant_type=client_credentials&client_id=walk-in",
  });
  expect(reply.status, reply.text).toBe(200);
});

test("a clash is 422 with the place in the file, and nothing of the file is applied", async ({ expect }) => {
  const file = fileWith("half", "H".repeat(43));
  const reply = await post({
    ...file,
    clients: [
      ...file.clients,
      { id: "payer", kind: "other", auth: "tls_client_auth", certificates: ["P".repeat(43)] },
    ],
  });
  expect(reply.status).toBe(422);
  expect(reply.headers["content-type"]).toBe("application/problem+json");
  expect(JSON.parse(reply.text)).toMatchObject({
    status: 422,
    pointer: "/clients/1/kind",
    detail: expect.any(String),
  });
  expect((await recordsOf(reply)).at(-1)?.outcome).toEqual({ status: 422, reason: "registry_conflict" });
  expect(JSON.parse((await post(file)).text)).toEqual({ added: 3, changed: 0 });
});

test("phylax registry apply prints the additions, and the place of the file at which it was refused", async ({
  expect,
}) => {
  const good = join(state, "good.json");
  writeFileSync(good, JSON.stringify(fileWith("by-command", "C".repeat(43))));
  expect(await phylaxCommand("registry", "apply", good, "--state", state)).toEqual([
    0,
    `${good}: 3 added, 0 changed\n`,
  ]);
  const bad = join(state, "bad.json");
  writeFileSync(bad, JSON.stringify({ clients: [{ id: "x", kind: "payer", auth: "none" }] }));
  const [code, said] = await phylaxCommand("registry", "apply", bad, "--state", state);
  expect([code, said]).toEqual([2, expect.stringContaining(`${bad}: /clients/0/auth `)]);
  expect((await phylaxCommand("registry", "apply", good, "--state", state, "--operator", "nobody"))[0]).toBe(
    2,
  );
  const origins = join(state, "origins.json");
  writeFileSync(
    origins,
    JSON.stringify({
      origins: [{ name: "aside", url: `${phylax.dev.origin}-aside`, credentials: { kind: "none" } }],
    }),
  );
  const [applied, lines] = await phylaxCommand("registry", "apply", origins, "--state", state);
  expect([applied, lines]).toEqual([
    0,
    `${origins}: 1 added, 0 changed\norigin aside: there is no CapabilityStatement below its url\n`,
  ]);
  expect((await phylaxCommand("registry", "apply"))[0]).toBe(2);
  const [unread, why] = await phylaxCommand(
    "registry",
    "apply",
    join(state, "nowhere.json"),
    "--state",
    state,
  );
  expect({ unread, why }).toEqual({
    unread: 2,
    why: expect.stringContaining("nowhere.json: cannot be read"),
  });
  for (const words of [
    ["registry", "apply", good],
    ["token", "payer"],
  ])
    expect(await phylaxCommand(...words, "--stat", state)).toEqual([
      2,
      expect.stringContaining("usage: phylax"),
    ]);
});

test("phylax revoke denies and lifts by a word and names; an unknown name is refused by the command or by the operators' door", async ({
  expect,
}) => {
  const tiny = async () => (await phylax.ask("tiny", "Patient?_count=1")).status;
  expect(await tiny()).toBe(200);
  expect(await phylaxCommand("revoke", "client", "tiny", "--state", state)).toEqual([
    0,
    "denied: refused everywhere within 10 s\n",
  ]);
  await expect.poll(tiny, patience).toBe(401);
  expect(await phylaxCommand("revoke", "client", "tiny", "--lift", "--state", state)).toEqual([
    0,
    "lifted: accepted again everywhere within 10 s\n",
  ]);
  expect(await phylaxCommand("revoke", "client", "tiny", "--lift", "--state", state)).toEqual([
    0,
    "was not denied\n",
  ]);
  const until = new Date(Date.now() + 60_000).toISOString();
  expect(
    (await phylaxCommand("revoke", "token", phylax.dev.gateway, "0".repeat(32), until, "--state", state))[0],
  ).toBe(0);
  expect(await phylaxCommand("revoke", "certificate", "short", "--state", state)).toEqual([
    2,
    expect.stringContaining("/x5t "),
  ]);
  for (const words of [
    ["client"],
    ["client", "a", "b"],
    ["nothing", "a"],
    ["token", "https://i.example", "id", "never"],
  ])
    expect(await phylaxCommand("revoke", ...words, "--state", state), words.join(" ")).toEqual([
      2,
      expect.stringContaining("usage: phylax revoke"),
    ]);
});

describe("no further caller is let in, and each refusal is on record", () => {
  const file = fileWith("refused", "R".repeat(43));
  const cases: readonly (readonly [string, () => Promise<Reply>, number, string])[] = [
    ["no certificate", () => post(file, "nobody"), 403, "certificate_missing"],
    [
      "a certificate of another authority",
      async () => post(file, await stranger()),
      403,
      "certificate_unverified",
    ],
    ["a client's certificate", () => post(file, phylax.client("payer")), 403, "operator_unknown"],
    [
      "an operator without the role",
      async () => post(file, await operator("reader", ["another-role"])),
      403,
      "role_missing",
    ],
    [
      "a body of another type",
      () => post(file, registrar(), { headers: { "content-type": "text/plain" } }),
      415,
      "body_type_not_supported",
    ],
    ["a member named twice", () => post('{"clients":[],"clients":[]}'), 400, "body_not_json"],
    ["a body that is no JSON", () => post("{"), 400, "body_not_json"],
    [
      "a body over 1 MiB",
      () => post(JSON.stringify({ $schema: "x".repeat(1_048_576) })),
      413,
      "body_too_large",
    ],
  ];
  test.for(cases)("%s", async ([, attempt, status, reason], { expect }) => {
    const reply = await attempt();
    expect(reply.status, reply.text).toBe(status);
    expect(reply.headers["content-type"]).toBe("application/problem+json");
    expect(await recordsOf(reply)).toMatchObject([{ kind: "refusal", outcome: { status, reason } }]);
  });
});
