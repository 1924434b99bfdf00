import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { gatewayConfig } from "#platform/config/gateway-config";
import { opsConfig } from "#platform/config/ops-config";
import { readKeyList } from "#kernel/key-list";
import { readLedgerConfig } from "#platform/ledger/config";
import { readWitnessConfig } from "#platform/witness/config";
import { parseWitnessKey } from "#ledger/tlog/cosignature";
import { parseVerifierKey, verifierKey } from "#ledger/tlog/signed-note";
import { sharedWithJobs } from "../../cli/keys/made-keys.ts";
import { phylax } from "./phylax.ts";

const folder = () => join(mkdtempSync(join(tmpdir(), "phylax-keys-")), "keys");
const jsonIn = (...path: readonly string[]): Record<string, string> =>
  JSON.parse(readFileSync(join(...path), "utf8"));
const variables = {
  gateway: {
    PUBLIC_URL: "https://fhir.example.org",
    MTLS_URL: "",
    TRACES: "",
    LEDGER_SHARDS: "4",
    LEDGER_SPREAD: "2",
    ORIGIN_HOSTS: "",
    IDENTITY_HOSTS: "",
    SECRET_HOSTS: "",
    TOKEN_VERIFICATION_KEYS: "",
    RESPONSE_VERIFICATION_KEYS: "",
  },
  ops: {
    OPS_URL: "https://ops.example.org",
    APPROVALS: "two-persons",
    IDENTITY_HOSTS: "",
    LEDGER_SHARDS: "4",
  },
  ledger: {
    LEDGER_NAME: "ledger.example.org",
    LEDGER_SHARDS: "4",
    LEDGER_KEEP_MIB: "256",
    LEDGER_SETTLE_SECONDS: "45",
  },
};
type GatewaySecrets = Pick<
  Parameters<typeof gatewayConfig>[0],
  "TOKEN_SIGNING_KEY" | "RESPONSE_SIGNING_KEY" | "PAGING_KEY" | "DPOP_NONCE_KEY"
>;
/** The public half of a new auditor's key. */
function auditorKey(n: number): object {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { ...publicKey.export({ format: "jwk" }), kid: `auditor-${n}` };
}
const gatewayWith = (secrets: Readonly<Record<string, string>>, more: object = {}) =>
  gatewayConfig({ ...variables.gateway, ...(secrets as GatewaySecrets), ...more }); // keys new wrote them

test("keys new makes every secret that the workers read, each file for its owner only, and prints the root log's key", async () => {
  const [place, auditors] = [folder(), folder()];
  const made = await phylax("keys", "new", place, "--ledger-name", "ledger.example.org");
  expect(made.code, made.error).toBe(0);
  const keys = await Promise.all(
    ["auditor-1", "auditor-2"].map(async (kid) => {
      const { out } = await phylax("keys", "new", auditors, "--auditor", kid);
      expect(out).not.toContain(String(jsonIn(auditors, `${kid}.jwk.json`)["d"]));
      const key: unknown = JSON.parse(/^for AUDITOR_KEYS: (.*)$/mu.exec(out)?.[1] ?? "");
      return key;
    }),
  );
  for (const worker of ["gateway", "control", "ledger", "ops"]) {
    expect(statSync(join(place, `${worker}.secrets.json`)).mode & 0o777).toBe(0o600);
    for (const secret of Object.values(jsonIn(place, `${worker}.secrets.json`)))
      expect(made.out).not.toContain(secret);
  }
  const gateway = jsonIn(place, "gateway.secrets.json");
  gatewayWith(gateway);
  for (const name of sharedWithJobs) expect(jsonIn(place, "jobs.secrets.json")[name]).toBe(gateway[name]);
  const { DPOP_NONCE_KEY = "", CONSOLE_SESSION_KEY = "" } = jsonIn(place, "ops.secrets.json");
  opsConfig({ ...variables.ops, DPOP_NONCE_KEY, CONSOLE_SESSION_KEY });
  expect(Buffer.from(jsonIn(place, "control.secrets.json")["CONSENT_KEY"] ?? "", "base64url")).toHaveLength(
    32,
  );
  const { CHECKPOINT_KEY = "", ACCOUNTING_KEY = "", SUBJECT_KEY = "" } = jsonIn(place, "ledger.secrets.json");
  const config = readLedgerConfig({
    ...variables.ledger,
    AUDITOR_KEYS: { keys },
    CHECKPOINT_KEY,
    ACCOUNTING_KEY,
    SUBJECT_KEY,
  });
  const root = verifierKey("ledger.example.org/root", config.checkpointPublicKey);
  expect(made.out).toContain(`root log: ${root}\n`);
  expect(jsonIn(place, "public.json")["root"]).toBe(root);
  expect(readFileSync(join(place, "public.json"), "utf8")).not.toMatch(/"d"/u);
  const file = join(place, "ledger.secrets.json");
  const shown = await phylax(
    "keys",
    "public",
    file,
    "--ledger-name",
    "ledger.example.org",
    "--log",
    "s0-2026h2",
  );
  const { logs }: { logs: Record<string, string> } = JSON.parse(shown.out);
  expect(parseVerifierKey(logs["s0-2026h2"] ?? "")).toMatchObject({
    ok: true,
    value: { name: "ledger.example.org/s0-2026h2", publicKey: config.checkpointPublicKey },
  });
});

test("keys new overwrites nothing, and makes a witness's key with its verifier key", async () => {
  const place = folder();
  const first = await phylax("keys", "new", place, "--witness", "witness.example.org/w1");
  const text = /^verifier key: (.*)$/mu.exec(first.out)?.[1] ?? "";
  const { WITNESS_KEY = "" } = jsonIn(place, "witness.secrets.json");
  const config = readWitnessConfig({
    WITNESS_NAME: "witness.example.org/w1",
    WITNESSED_LOGS: [verifierKey("ledger.example.org/root", new Uint8Array(32).fill(7))],
    WITNESS_KEY,
  });
  expect(parseWitnessKey(text)).toMatchObject({ ok: true, value: config.cosigner });
  const again = await phylax("keys", "new", place, "--witness", "witness.example.org/w1");
  expect([again.code, again.error]).toEqual([1, expect.stringContaining("exists")]);
  expect(jsonIn(place, "witness.secrets.json")).toEqual({ WITNESS_KEY });
  expect((await phylax("keys", "new", place)).code).toBe(2);
});

test("keys rotate writes steps that every worker reads: the old key first, then the new key, then the new key alone", async () => {
  const [place, out] = [folder(), folder()];
  await phylax("keys", "new", place, "--ledger-name", "ledger.example.org");
  const file = join(place, "gateway.secrets.json");
  const before = jsonIn(file);
  const rotated = await phylax("keys", "rotate", file, "PAGING_KEY", "--out", out);
  expect(rotated.code).toBe(0);
  for (const config of ["-c wrangler.toml", "-c workers/jobs/wrangler.toml"])
    expect(rotated.out.split(config), "each step is for both").toHaveLength(4);
  const steps = [1, 2, 3].map((step) => jsonIn(out, `${step}-PAGING_KEY.secrets.json`)["PAGING_KEY"] ?? "");
  const [old, made] = (steps[0] ?? "").split(" ");
  expect(old).toBe(before["PAGING_KEY"]);
  expect(steps.slice(1)).toEqual([`${made} ${old}`, made]);
  for (const step of steps) expect(readKeyList(step)).toBeDefined();
  for (const step of steps) gatewayWith({ ...before, PAGING_KEY: step });

  // A new run would make a different new key: no step of it may stand beside the steps of the first run.
  rmSync(join(out, "1-PAGING_KEY.secrets.json"));
  const again = await phylax("keys", "rotate", file, "PAGING_KEY", "--out", out);
  expect([again.code, again.error]).toEqual([
    2,
    expect.stringContaining(
      "2-PAGING_KEY.secrets.json is a step of an earlier rotation: nothing was written",
    ),
  ]);
  expect(existsSync(join(out, "1-PAGING_KEY.secrets.json"))).toBe(false);
  expect(jsonIn(out, "3-PAGING_KEY.secrets.json")["PAGING_KEY"]).toBe(made);
  const unknown = await phylax("keys", "rotate", file, "PAGING_KEE", "--out", out);
  expect([unknown.code, unknown.error]).toEqual([2, expect.stringContaining("has no PAGING_KEE: it has ")]);
  expect(unknown.error, "names alone").not.toContain(made);

  const signing = await phylax("keys", "rotate", file, "TOKEN_SIGNING_KEY", "--out", out);
  const published = /^ {3}TOKEN_VERIFICATION_KEYS = '(.*)'$/mu.exec(signing.out)?.[1] ?? "";
  expect(published).not.toContain('"d"');
  const next = jsonIn(out, "2-TOKEN_SIGNING_KEY.secrets.json");
  const config = gatewayWith({ ...before, ...next }, { TOKEN_VERIFICATION_KEYS: published });
  const kids = [before, next].map(
    (each) => (JSON.parse(each["TOKEN_SIGNING_KEY"] ?? "") as { kid: string }).kid,
  );
  expect(config.tokenVerificationKeys.map(({ kid }) => kid)).toEqual(kids);

  const ledger = join(place, "ledger.secrets.json");
  const control = join(place, "control.secrets.json");
  const consent = await phylax("keys", "rotate", control, "CONSENT_KEY", "--out", out);
  expect([consent.code, consent.out]).toEqual([0, expect.stringContaining("phylax consent refile")]);
  const consentSteps = [1, 2, 3].map(
    (step) => jsonIn(out, `${step}-CONSENT_KEY.secrets.json`)["CONSENT_KEY"],
  );
  expect(consentSteps.map((step = "") => readKeyList(step)?.length)).toEqual([2, 2, 1]);
  const subject = await phylax("keys", "rotate", ledger, "SUBJECT_KEY", "--out", out);
  expect(subject.out).toContain("six years");
  const checkpoint = await phylax("keys", "rotate", ledger, "CHECKPOINT_KEY", "--out", out);
  expect([checkpoint.code, checkpoint.out]).toEqual([
    0,
    expect.stringContaining("End the old key for verifiers: @"),
  ]);
  const { ACCOUNTING_KEY = "", SUBJECT_KEY = "" } = jsonIn(ledger);
  const ledgerWith = (CHECKPOINT_KEY = "") =>
    readLedgerConfig({
      ...variables.ledger,
      ACCOUNTING_KEY,
      SUBJECT_KEY,
      AUDITOR_KEYS: { keys: [1, 2].map(auditorKey) },
      CHECKPOINT_KEY,
    });
  const signers = [1, 2, 3].map((step) => {
    const file = `${step}-CHECKPOINT_KEY.secrets.json`;
    const { checkpointPublicKey, furtherCheckpointKeys } = ledgerWith(jsonIn(out, file)["CHECKPOINT_KEY"]);
    return [checkpointPublicKey].concat(furtherCheckpointKeys.map(({ publicKey }) => publicKey));
  });
  expect(signers.map((keys) => keys.length)).toEqual([2, 2, 2]);
  expect(signers[1]).toEqual(signers[0]?.toReversed());
  expect(signers[2]).toEqual(signers[1]);
  const last = join(out, "3-CHECKPOINT_KEY.secrets.json");
  expect(readFileSync(last, "utf8").match(/\\"d\\"/gu), "the old private half is gone").toHaveLength(1);
  const shown = await phylax("keys", "public", last, "--ledger-name", "ledger.example.org");
  const { root }: { root: string } = JSON.parse(shown.out);
  expect(parseVerifierKey(root)).toMatchObject({ ok: true, value: { publicKey: signers[2]?.[0] } });
  expect(root.split(" ")).toHaveLength(2);
  const accounting = await phylax("keys", "rotate", ledger, "ACCOUNTING_KEY", "--out", out);
  expect(accounting.out).toContain("-c workers/ledger/wrangler.toml");
  const ofStaging = ["--out", join(out, "staging"), "--environment", "staging"];
  const named = await phylax("keys", "rotate", ledger, "ACCOUNTING_KEY", ...ofStaging);
  expect(named.out).toContain("-c deploy/staging/ledger.json");
  expect(accounting.out).toContain("six years");
});
