import { test } from "vitest";
import { base32, totp, TotpCheck } from "../../../sandbox/identity-provider/totp.ts";

const secret = base32(Buffer.from("12345678901234567890"));
const seconds = (n: number) => n * 1000;

test("base32 agrees with RFC 4648 §10, without its padding", ({ expect }) => {
  const vectors = {
    "": "",
    f: "MY",
    fo: "MZXQ",
    foo: "MZXW6",
    foob: "MZXW6YQ",
    fooba: "MZXW6YTB",
    foobar: "MZXW6YTBOI",
  };
  for (const [text, said] of Object.entries(vectors)) expect(base32(Buffer.from(text))).toBe(said);
});

test("codes agree with RFC 6238 appendix B", ({ expect }) => {
  const vectors: readonly (readonly [number, string])[] = [
    [59, "94287082"],
    [1_111_111_109, "07081804"],
    [1_111_111_111, "14050471"],
    [1_234_567_890, "89005924"],
    [2_000_000_000, "69279037"],
    [20_000_000_000, "65353130"],
  ];
  for (const [at, code] of vectors) expect(totp(secret, seconds(at), 8)).toBe(code);
});

test("a code is valid in its half-minute and the two adjacent half-minutes, once, and no earlier code after it", ({
  expect,
}) => {
  const at = seconds(1_111_111_109);
  for (const away of [-30, 0, 30])
    expect(new TotpCheck(secret).spend(totp(secret, at + seconds(away)), at)).toBe(true);
  for (const away of [-60, 60])
    expect(new TotpCheck(secret).spend(totp(secret, at + seconds(away)), at)).toBe(false);
  const check = new TotpCheck(secret);
  expect(check.spend(totp(secret, at), at)).toBe(true);
  expect(check.spend(totp(secret, at), at)).toBe(false);
  expect(check.spend(totp(secret, at - seconds(30)), at)).toBe(false);
  expect(check.spend(totp(secret, at + seconds(30)), at)).toBe(true);
  for (const junk of ["", "12345", "1234567", "ÄÖÜäöü", "ab cde"]) expect(check.spend(junk, at)).toBe(false);
});
