import { generateKeyPairSync, randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { test } from "vitest";
import { type LedgerEnv, readLedgerConfig } from "#platform/ledger/config";

const pair = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const [one, two] = [pair(), pair()];
const auditor = (kid: string, key: ReturnType<typeof pair>) => ({
  ...key.publicKey.export({ format: "jwk" }),
  kid,
});
const checkpointKey = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
const secret = (): string => randomBytes(32).toString("base64url");
const good: LedgerEnv = {
  LEDGER_NAME: "ledger.test",
  LEDGER_SHARDS: "4",
  LEDGER_KEEP_MIB: "256",
  LEDGER_SETTLE_SECONDS: "45",
  AUDITOR_KEYS: { keys: [auditor("a", one), auditor("b", two)] },
  CHECKPOINT_KEY: JSON.stringify(checkpointKey),
  ACCOUNTING_KEY: secret(),
  SUBJECT_KEY: secret(),
};

test("a good configuration is read, auditors' keys as JSON or as an object, and shows no secret", ({
  expect,
}) => {
  const config = readLedgerConfig(good);
  expect(config).toMatchObject({ name: "ledger.test", shards: 4 });
  expect(Buffer.from(config.checkpointPublicKey).toString("base64url")).toBe(checkpointKey.x);
  expect(readLedgerConfig({ ...good, AUDITOR_KEYS: JSON.stringify(good.AUDITOR_KEYS) }).auditors).toEqual(
    config.auditors,
  );
  for (const hidden of [good.ACCOUNTING_KEY, good.SUBJECT_KEY, checkpointKey.d ?? ""])
    expect(inspect(config, { depth: 9 }) + JSON.stringify(config)).not.toContain(hidden);
});

test("a wrong configuration refuses to start, names the key and never the value", ({ expect }) => {
  const wrong: readonly [keyof LedgerEnv, unknown][] = [
    ["LEDGER_NAME", "https://ledger.test"],
    ["LEDGER_NAME", "with space"],
    ["LEDGER_SHARDS", "0"],
    ["LEDGER_SHARDS", "1.5"],
    ["LEDGER_REGIONS", "weur:4 enam:4"],
    ["LEDGER_REGIONS", "weur:2 weur:2"],
    ["LEDGER_JURISDICTION", "mars"],
    ["LEDGER_KEEP_MIB", "-1"],
    ["LEDGER_KEEP_MIB", "5000"],
    ["LEDGER_KEEP_MIB", ""],
    ["AUDITOR_KEYS", { keys: [] }],
    ["AUDITOR_KEYS", { keys: [auditor("a", one)] }],
    ["AUDITOR_KEYS", { keys: [auditor("a", one), auditor("a", two)] }],
    ["AUDITOR_KEYS", { keys: [auditor("a", one), auditor("b", one)] }],
    [
      "AUDITOR_KEYS",
      { keys: [auditor("a", one), { ...two.privateKey.export({ format: "jwk" }), kid: "b" }] },
    ],
    ["AUDITOR_KEYS", "not json"],
    ["CHECKPOINT_KEY", JSON.stringify(one.privateKey.export({ format: "jwk" }))],
    ["CHECKPOINT_KEY", JSON.stringify({ ...checkpointKey, d: "AA" })],
    ["CHECKPOINT_KEY", "secret-text"],
    ["ACCOUNTING_KEY", randomBytes(31).toString("base64url")],
    ["LEDGER_SETTLE_SECONDS", "0"],
    ["LEDGER_SETTLE_SECONDS", "51"],
    ["LEDGER_SETTLE_SECONDS", undefined],
    ["ACCOUNTING_KEY", `${secret()}=`],
    ["SUBJECT_KEY", ""],
    ["SUBJECT_KEY", undefined],
  ];
  for (const [key, value] of wrong) {
    let said = "";
    try {
      readLedgerConfig({ ...good, [key]: value });
    } catch (fault) {
      said = fault instanceof Error ? fault.message : "";
    }
    expect(said, `${key} ${JSON.stringify(value)}`).toContain(`configuration: ${key}`);
    expect(said).not.toContain("secret-text");
  }
});
