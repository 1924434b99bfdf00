import { test } from "vitest";
import { challenge, scopeChallenge } from "#gateway/http/challenge";

const url = "https://gateway.example";
const metadata = `resource_metadata="${url}/.well-known/oauth-protected-resource/v1/fhir/main"`;
const expired = 'error_description="The access token has expired. Get a new token."';
const algs = 'algs="PS256 ES256 EdDSA Ed25519"';

test("T34: without a credential both schemes are offered, with the algorithms, the metadata and no error", ({
  expect,
}) => {
  expect(challenge(url, "main", undefined, { reason: "token_missing" })).toBe(
    `Bearer ${metadata}, DPoP ${algs}, ${metadata}`,
  );
});

test("before a path is known there is no metadata to point to", ({ expect }) => {
  expect(challenge(url, undefined, undefined, { reason: "authorization_scheme_unknown" })).toBe(
    `Bearer realm="phylax", DPoP ${algs}`,
  );
});

test("an error stands under the scheme that was used: the token's, the proof's, or that a nonce is wanted", ({
  expect,
}) => {
  expect(challenge(url, "main", "bearer", { reason: "token_expired" })).toBe(
    `Bearer ${metadata}, error="invalid_token", ${expired}`,
  );
  expect(challenge(url, "main", "dpop", { reason: "token_expired" })).toBe(
    `DPoP ${algs}, ${metadata}, error="invalid_token", ${expired}`,
  );
  expect(challenge(url, "main", "bearer", { reason: "signature_invalid" })).toBe(
    `Bearer ${metadata}, error="invalid_token"`,
  );
  expect(challenge(url, "main", "dpop", { reason: "proof_replayed" })).toContain(
    'error="invalid_dpop_proof"',
  );
  expect(challenge(url, "main", "dpop", { reason: "proof_nonce_expired", nonce: "n" })).toContain(
    'error="use_dpop_nonce"',
  );
});

test("T30: who uses the wrong scheme is told of the other one", ({ expect }) => {
  expect(challenge(url, "main", "bearer", { reason: "token_scheme_mismatch" })).toBe(
    `Bearer ${metadata}, error="invalid_token", error_description="The token goes with the other scheme. Send a token bound to a certificate as Bearer, and a token bound to a key as DPoP with a proof.", DPoP ${algs}, ${metadata}`,
  );
});

test("T19: a 403 for want of a scope names the scope that would do", ({ expect }) => {
  const refusal = { reason: "scope_insufficient", type: "Observation" } as const;
  expect(scopeChallenge("bearer", {}, { ...refusal, interaction: "search" })).toBe(
    'Bearer error="insufficient_scope", scope="system/Observation.s"',
  );
  expect(scopeChallenge("dpop", { patient: "amara" }, { ...refusal, interaction: "read" })).toBe(
    'DPoP error="insufficient_scope", scope="patient/Observation.r"',
  );
  const named = (["create", "update", "delete"] as const).map((interaction) =>
    scopeChallenge("bearer", { user: "https://origin.example/Practitioner/p" }, { ...refusal, interaction }),
  );
  expect(named.map((text) => /scope="(?<scope>.*)"/u.exec(text)?.groups?.["scope"])).toEqual([
    "user/Observation.c",
    "user/Observation.u",
    "user/Observation.d",
  ]);
});
