import { createHmac, randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { test } from "vitest";
import { freshNonce, isFreshNonce, type Mac } from "#identity/proof-nonce";
import { instant } from "#kernel/clock";

const macOf =
  (key: Uint8Array): Mac =>
  (text) =>
    createHmac("sha256", key).update(text).digest("base64url");
const mac = macOf(randomBytes(32));
const moment = fc.integer({ min: 0, max: 4_102_444_800_000 });

test("T33: a nonce is valid for at least 30 and less than 60 seconds, and never before it was issued", () => {
  fc.assert(
    fc.property(moment, fc.integer({ min: -90_000, max: 90_000 }), (given, later) => {
      const good = isFreshNonce(mac, freshNonce(mac, "jkt", instant(given)), "jkt", instant(given + later));
      if (later >= 0 && later <= 30_000) return good;
      if (later >= 60_000 || later <= -30_000) return !good;
      return true; // in between, the half-minute decides
    }),
  );
});

test("T33: a nonce belongs to a key and a gateway: it is invalid for a second key, or if made with a different secret", ({
  expect,
}) => {
  const at = instant(1_795_521_600_000);
  const nonce = freshNonce(mac, "jkt-1", at);
  expect(nonce).toMatch(/^[A-Za-z0-9_-]{43}$/u);
  expect(isFreshNonce(mac, nonce, "jkt-1", at)).toBe(true);
  expect(isFreshNonce(mac, nonce, "jkt-2", at)).toBe(false);
  expect(isFreshNonce(macOf(randomBytes(32)), nonce, "jkt-1", at)).toBe(false);
  expect(isFreshNonce(mac, nonce.slice(1), "jkt-1", at)).toBe(false);
  expect(isFreshNonce(mac, "", "jkt-1", at)).toBe(false);
});
