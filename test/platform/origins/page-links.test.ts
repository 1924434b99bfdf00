import * as fc from "fast-check";
import { test } from "vitest";
import type { PageBinding, PagePlace } from "#fhir/ports";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { pageLinks } from "#platform/origins/page-links";

const key = (byte: number) => new Secret(new Uint8Array(32).fill(byte));
const links = pageLinks([key(1)]);
const at = instant(1_800_000_000_000);
const binding: PageBinding = {
  client: "payer",
  origin: "main",
  path: "Observation",
  purpose: "HPAYMT",
  policyDigest: "sha256:a",
  patient: undefined,
  user: undefined,
};
const place: PagePlace = {
  question: "patient=1&code=a%7Cb",
  posted: true,
  link: "?_getpages=7",
  after: "o3",
  seen: 400,
};
const minutes = (n: number) => instant(at + n * 60_000);
const reasonOf = async (text: string, bound = binding, when = at) => {
  const opened = await links.open(text, bound, when);
  return opened.ok ? "opened" : opened.error.reason;
};

test("a link opens to the very place it was sealed for, and shows nothing of it", async ({ expect }) => {
  const sealed = await links.seal(place, binding, at);
  expect(sealed).toMatch(/^[\w-]+$/u);
  expect(Buffer.from(sealed, "base64url").toString("latin1")).not.toMatch(/patient|getpages|payer/u);
  expect(await links.open(sealed, binding, minutes(14))).toEqual({ ok: true, value: place });
  const first = { ...place, link: undefined, after: undefined };
  expect(await links.open(await links.seal(first, binding, at), binding, at)).toEqual({
    ok: true,
    value: first,
  });
  expect(await links.seal(place, binding, at)).not.toBe(sealed);
});

test("a link is as long wherever in the origin's list its page begins, and at a row as at an origin page: that depends on how many rows are hidden", async ({
  expect,
}) => {
  const { length } = await links.seal({ ...place, link: undefined, after: undefined, seen: 0 }, binding, at);
  const anywhere = fc.record({
    link: fc.option(fc.stringMatching(/^[?][a-z0-9=&%]{0,900}$/u), { nil: undefined }),
    after: fc.option(fc.stringMatching(/^[A-Za-z0-9.-]{1,64}(?:\/[A-Za-z0-9.-]{1,64})?$/u), {
      nil: undefined,
    }),
    part: fc.constantFrom(0, 7, "sorted" as const).map((part) => (part === 0 ? {} : { part })),
    seen: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(anywhere, async ({ part, ...where }) => {
      const begins = { ...place, ...where, ...part };
      const sealed = await links.seal(begins, binding, at);
      expect(sealed).toHaveLength(length);
      expect(await links.open(sealed, binding, at)).toEqual({ ok: true, value: begins });
    }),
  );
});

test("after fifteen minutes it opens no longer", async ({ expect }) => {
  const sealed = await links.seal(place, binding, at);
  expect(await reasonOf(sealed, binding, instant(at + 899_999))).toBe("opened");
  expect(await reasonOf(sealed, binding, minutes(15))).toBe("page_link_expired");
});

test("it opens only for its client, origin, path, purpose, policy, patient, user and key", async ({
  expect,
}) => {
  const sealed = await links.seal(place, binding, at);
  const others = {
    client: "telehealth",
    origin: "other",
    path: "Patient",
    user: "Practitioner/1",
    purpose: "TREAT",
    policyDigest: "sha256:b",
    patient: "1",
  };
  for (const [name, value] of Object.entries(others))
    expect(await reasonOf(sealed, { ...binding, [name]: value }), name).toBe("page_link_mismatch");
  expect(await pageLinks([key(2)]).open(sealed, binding, at)).toEqual({
    ok: false,
    error: { reason: "page_link_mismatch" },
  });
});

test("a link of the old key opens while the key changes, and no longer after the last step", async ({
  expect,
}) => {
  const old = await links.seal(place, binding, at);
  const [ready, changed, done] = [[key(1), key(2)], [key(2), key(1)], [key(2)]] as const;
  for (const keys of [ready, changed])
    expect(await pageLinks(keys).open(old, binding, at)).toEqual({ ok: true, value: place });
  expect(await pageLinks(done).open(old, binding, at)).toMatchObject({ ok: false });
  const next = await pageLinks(changed).seal(place, binding, at);
  for (const keys of [ready, changed, done])
    expect(await pageLinks(keys).open(next, binding, at)).toEqual({ ok: true, value: place });
});

test("with any byte changed, cut short, made longer or spelled otherwise it does not open", async ({
  expect,
}) => {
  const sealed = await links.seal(place, binding, at);
  const bytes = Buffer.from(sealed, "base64url");
  for (const [index, byte] of bytes.entries()) {
    const changed = Buffer.from(bytes);
    changed[index] = byte ^ 1;
    expect(await reasonOf(changed.toString("base64url")), String(index)).toBe(
      index === 0 ? "page_link_malformed" : "page_link_mismatch",
    );
  }
  for (const text of [
    sealed.slice(0, -1),
    sealed.slice(0, 30),
    `${sealed}AAAA`,
    `${sealed}=`,
    ` ${sealed}`,
    "",
  ])
    expect(await reasonOf(text), text).not.toBe("opened");
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.base64String()), async (text) => {
      expect(await reasonOf(text)).toMatch(/^page_link_/u);
    }),
  );
});
