import { describe, test } from "vitest";
import { deniedClient, denialInWords, denialNamed, type LastingDenial } from "#console/denials";
import { isDenied, standingOf } from "#console/registry-view";
import { denialName } from "#identity/denial";
import { instant } from "#kernel/clock";

const x5t = "A".repeat(43);
const things: readonly (readonly [LastingDenial, words: string, client: string | undefined])[] = [
  [{ kind: "client", client: "lab" }, "client lab", "lab"],
  [{ kind: "agreement", client: "lab", agreement: "baa-7" }, "agreement baa-7 of lab", "lab"],
  [
    { kind: "grant", client: "lab", origin: "main", purpose: "TREAT" },
    "grant of lab for treatment at main",
    "lab",
  ],
  [{ kind: "certificate", x5t }, `certificate of lab: ${x5t}`, "lab"],
  [{ kind: "key", issuer: "lab", keyId: "k1" }, "key k1 of lab", "lab"],
  [
    { kind: "key", issuer: "https://login.example.org", keyId: "k1" },
    "key k1 of https://login.example.org",
    undefined,
  ],
  [{ kind: "proof_key", jkt: x5t }, `key of proofs ${x5t}`, undefined],
  [{ kind: "policy", digest: `sha256:${"0".repeat(64)}` }, `policy sha256:${"0".repeat(64)}`, undefined],
];

test.for(things)("the name of a denial is read back: %j", ([denial, words, client], { expect }) => {
  const read = denialNamed(denialName(denial));
  expect(read).toEqual(denial);
  const owner = deniedClient(denial, (of) => (of === x5t ? "lab" : undefined));
  expect(owner).toBe(client);
  expect(denialInWords(denial, owner)).toBe(words);
});

test("a token and a kind of a later version are no lasting denial", ({ expect }) => {
  expect(denialNamed('["token","https://login.example.org","jti"]')).toBeUndefined();
  expect(denialNamed('["region","eu"]')).toBeUndefined();
  expect(denialNamed('["certificate",7]')).toBeUndefined();
});

describe("the standing of a client", () => {
  const at = instant(Date.parse("2026-11-27T12:00:00Z"));
  const client = { id: "lab", kind: "lab", auth: "private_key_jwt" } as const;
  const agreement = (from: string, to: string) => ({
    registry: {
      agreements: [{ id: "a", client: "lab", purposes: ["TREAT"], from, to, documentHash: "0".repeat(64) }],
    },
    digest: "sha256:0",
  });
  const inForce = agreement("2026-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z");
  const denied = [{ name: denialName({ kind: "client", client: "lab" }), until: null }];

  test("needs an agreement in force, no suspension and no denial", ({ expect }) => {
    expect(standingOf(inForce, client, [], at)).toBe("active");
    expect(standingOf(inForce, { ...client, status: "suspended" }, [], at)).toBe("suspended");
    expect(standingOf(inForce, client, denied, at)).toBe("denied");
    expect(standingOf(agreement("2024-01-01", "2025-01-01"), client, [], at)).toBe("unagreed");
    expect(standingOf(agreement("2027-01-01", "2028-01-01"), client, [], at)).toBe("unagreed");
  });

  test("a denial is unknown while the denials cannot be read", ({ expect }) => {
    expect(isDenied(undefined, { kind: "client", client: "lab" })).toBeUndefined();
    expect(isDenied(denied, { kind: "client", client: "other" })).toBe(false);
  });
});

test("with more denials than a page shows, a thing without a denial among them is not said to be served", ({
  expect,
}) => {
  const client = { kind: "client", client: "lab" } as const;
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) => ({
      name: denialName({ ...client, client: `a-${i}` }),
      until: null,
    }));
  expect(isDenied(many(500), client)).toBe(false);
  expect(isDenied(many(501), client)).toBeUndefined();
  expect(isDenied(many(501), { ...client, client: "a-7" })).toBe(true);
});
