import { layoutWithoutRegions } from "#ledger/layout";
import { test } from "vitest";
import { opsConfig } from "#platform/config/ops-config";

const env = {
  OPS_URL: "https://ops.example.org",
  APPROVALS: "two-persons",
  LEDGER_SHARDS: "4",
  IDENTITY_HOSTS: "login.example.org localhost:8445",
  DPOP_NONCE_KEY: Buffer.alloc(32, 7).toString("base64url"),
  CONSOLE_SESSION_KEY: Buffer.alloc(32, 8).toString("base64url"),
};

test("the operators' worker is configured with its name, the servers that it may ask for keys, and the key for nonces", ({
  expect,
}) => {
  const config = opsConfig(env);
  expect(config).toMatchObject({
    url: env.OPS_URL,
    approvals: "two-persons",
    placement: { layout: layoutWithoutRegions(4), jurisdiction: undefined },
    identityHosts: new Set(["login.example.org", "localhost:8445"]),
  });
  expect(config.dpopNonceKeys[0].reveal()).toHaveLength(32);
  expect(config.consoleSessionKeys[0].reveal()).toEqual(new Uint8Array(32).fill(8));
  expect(JSON.stringify(config)).not.toContain(env.DPOP_NONCE_KEY);
  expect(JSON.stringify(config)).not.toContain(env.CONSOLE_SESSION_KEY);
});

test("the record of the configuration has no address of the alerts' receiver, and shows that it changed", ({
  expect,
}) => {
  const describedAs = (query: string) =>
    JSON.stringify(
      opsConfig({ ...env, ALERT_WEBHOOK: `https://alerts.example.org/?token=${query}` }).described(),
    );
  expect(describedAs("canary")).not.toContain("canary");
  expect(describedAs("canary")).not.toBe(describedAs("other"));
});

test("without the variable CONSOLE there is no console", ({ expect }) => {
  expect(opsConfig(env).console).toBeUndefined();
  expect(opsConfig({ ...env, CONSOLE: "" }).console).toBeUndefined();
});

test.for([
  ["OPS_URL", "http://ops.example.org"],
  ["OPS_URL", "https://ops.example.org/"],
  ["OPS_URL", ""],
  ["APPROVALS", "three-persons"],
  ["APPROVALS", ""],
  ["LEDGER_SHARDS", "0"],
  ["LEDGER_REGIONS", "weur:1 enam:1"],
  ["LEDGER_JURISDICTION", "moon"],
  ["DPOP_NONCE_KEY", "c2hvcnQtYnV0LXNlY3JldA"],
  ["CONSOLE_SESSION_KEY", "c2hvcnQtYnV0LXNlY3JldA"],
  ["CONSOLE_SESSION_KEY", ""],
  ["CONSOLE", '{"clientId":"console"}'],
  ["ALERT_WEBHOOK", "http://alerts.example.org/"],
  ["ALERT_WEBHOOK", "https://user:secret@alerts.example.org/"],
  ["ALERT_WEBHOOK", "https://:secret@alerts.example.org/"],
] as const)("a wrong %s is named, and its value is not", ([key, value], { expect }) => {
  const message = (() => {
    try {
      opsConfig({ ...env, [key]: value });
      return "taken";
    } catch (fault) {
      return String(fault);
    }
  })();
  expect(message).toContain(key);
  if (value !== "" && value !== "0") expect(message).not.toContain(value);
});
