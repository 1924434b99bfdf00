import { test } from "vitest";
import { publicJwk } from "#identity/jose/jwk";
import { Misfit } from "#kernel/value-shape";

const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);
const points: readonly (readonly [string, readonly number[]])[] = [
  ["order 1", [1, ...zeros(31)]],
  ["order 1, otherwise spelled", [1, ...zeros(30), 0x80]],
  ["order 2", [0xec, ...Array.from({ length: 30 }, () => 0xff), 0x7f]],
  ["order 4", zeros(32)],
  ["order 4, otherwise spelled", [0xed, ...Array.from({ length: 31 }, () => 0xff)]],
  ["order 8", [...Buffer.from("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "hex")]],
];

test.for(points)(
  "T7: an Ed25519 point of %s is not a key: under it a single signature is good for messages that were never signed",
  async ([, bytes], { expect }) => {
    const jwk = { kty: "OKP", crv: "Ed25519", x: Buffer.from(bytes).toString("base64url") };
    // R is the neutral point and s is 0: R = s·B − h·A holds whenever the order divides h.
    const universal = Uint8Array.from([1, ...zeros(63)]);
    const key = await crypto.subtle.importKey("jwk", jwk, { name: "Ed25519" }, true, ["verify"]);
    const verdicts = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        crypto.subtle.verify({ name: "Ed25519" }, key, universal, Uint8Array.of(i)),
      ),
    );
    expect(verdicts, "the layer below takes it").toContain(true);
    expect(publicJwk(jwk)).toBeInstanceOf(Misfit);
  },
);
