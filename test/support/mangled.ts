import { Buffer } from "node:buffer";
import * as fc from "fast-check";

/**
 * A variant of this text with a transmission fault or an attacker's change. It always differs from the text.
 */
export function mangled(good: string): fc.Arbitrary<string> {
  const place = fc.nat(good.length - 1);
  const parts = good.split(".");
  const encoded = (value: unknown) => Buffer.from(JSON.stringify(value) ?? "").toString("base64url");
  return fc
    .oneof(
      fc
        .tuple(place, fc.string({ minLength: 1, maxLength: 1, unit: "binary" }))
        .map(([i, c]) => good.slice(0, i) + c + good.slice(i + 1)),
      fc
        .tuple(place, fc.constantFrom(...Array.from("ABCwxyz0189-_.=+/ ")))
        .map(([i, c]) => good.slice(0, i) + c + good.slice(i + 1)),
      fc.tuple(place, fc.string()).map(([i, text]) => good.slice(0, i) + text + good.slice(i)),
      fc.tuple(place, place).map(([i, j]) => good.slice(0, Math.min(i, j)) + good.slice(Math.max(i, j))),
      fc.shuffledSubarray([...parts, ...parts], { minLength: 1 }).map((some) => some.join(".")),
      fc
        .tuple(fc.nat(2), fc.string({ unit: fc.constantFrom(...Array.from("ABCwxyz0189-_")) }))
        .map(([i, text]) => parts.with(i, text).join(".")),
      fc.tuple(fc.nat(1), fc.jsonValue()).map(([i, value]) => parts.with(i, encoded(value)).join(".")),
      fc.string({ unit: "binary", maxLength: 200 }),
    )
    .filter((text) => text !== good);
}
