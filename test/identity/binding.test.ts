import { test } from "vitest";
import { boundTo, confirmation } from "#identity/binding";

const thumbprint = "A".repeat(43);

test("a token has exactly one binding, by a known method", ({ expect }) => {
  for (const cnf of [{ "x5t#S256": thumbprint }, { jkt: thumbprint }]) {
    const binding = boundTo(cnf);
    expect(binding.ok && confirmation(binding.value)).toEqual(cnf);
  }
});

test.for([
  ["T5", "token_unbound", undefined],
  ["T5", "token_unbound", {}],
  ["T5", "token_unbound", { jkt: "short" }],
  ["T5", "token_unbound", { "x5t#S256": 7 }],
  ["RFC 7800 §3.1", "binding_not_supported", { jkt: thumbprint, "x5t#S256": thumbprint }],
  ["RFC 7800 §3.2", "binding_not_supported", { jwk: { kty: "EC" } }],
  ["RFC 7800 §3.4", "binding_not_supported", { kid: "key" }],
] as const)("%s: %s", ([, reason, cnf], { expect }) => {
  expect(boundTo(cnf)).toEqual({ ok: false, error: { reason } });
});
