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

/** A question of `values` codes, as the gateway writes it; each code has 40 characters. */
const longQuestion = (values: number) =>
  `patient=1&code=${Array.from({ length: values }, (_, n) => encodeURIComponent(`http://loinc.org|${n}-é b`.padEnd(24, "x"))).join(",")}`;
const decoded = (question: string) => new URLSearchParams(question);

test.for([1, 20, 30, 60, 100, 170, 200])(
  "a link for a question of %i codes is as long at the first row as at an origin page whose link repeats the question",
  async (values, { expect }) => {
    const question = longQuestion(values);
    const first = { ...place, question, link: undefined, after: undefined, seen: 0 };
    const { length } = await links.seal(first, binding, at);
    // as servers write it: unchanged, as a form, with percent escapes, as a URI, with plain `|`
    const written = [
      question,
      decoded(question).toString(),
      [...decoded(question)].map((pair) => pair.map(encodeURIComponent).join("=")).join("&"),
      encodeURI([...decoded(question)].map((pair) => pair.join("=")).join("&")),
      encodeURI([...decoded(question)].map((pair) => pair.join("=")).join("&")).replaceAll("%7C", "|"),
    ];
    for (const query of written)
      for (const link of [
        `/Observation?${query}&from=10`,
        `/Observation?_offset=10&${query}`,
        `?_getpages=7&_count=2`,
      ])
        for (const after of ["o3", undefined]) {
          const begins = { ...place, question, link, after };
          const sealed = await links.seal(begins, binding, at);
          expect(sealed).toHaveLength(length);
          expect(await links.open(sealed, binding, at)).toEqual({ ok: true, value: begins });
        }
    // below 16,000 characters with the base and the path
    if (question.length < 9_800) expect(length).toBeLessThan(15_100);
  },
);

test("a link has room for a second question in a spelling of the origin's own, up to 4,600 characters", async ({
  expect,
}) => {
  for (const characters of [900, 1_100, 2_000, 4_600]) {
    const question = `code=${"a".repeat(characters)}`;
    const { length } = await links.seal({ ...place, question, link: undefined }, binding, at);
    const link = `?q=${"b".repeat(characters)}&from=10&token=${"t".repeat(700)}`;
    expect(await links.seal({ ...place, question, link }, binding, at)).toHaveLength(length);
  }
});

test("a link opens as it was sealed, whatever its parameters and those of the question are", async ({
  expect,
}) => {
  const text = fc.oneof(fc.string({ unit: "grapheme" }), fc.stringMatching(/^[a-b=&%?+|,2C7]{0,40}$/u));
  await fc.assert(
    fc.asyncProperty(text, text, fc.boolean(), async (question, own, repeats) => {
      const begins = { ...place, question, link: repeats ? `/O?${question}&${own}` : own };
      expect(await links.open(await links.seal(begins, binding, at), binding, at)).toEqual({
        ok: true,
        value: begins,
      });
    }),
  );
});

test("a link of version 1 opens", async ({ expect }) => {
  expect(await links.open(ofVersion1, binding, at)).toEqual({ ok: true, value: place });
});

// `place`, sealed by the code before version 2
const ofVersion1 =
  "ARKFBViZf96jntfw7EF1e4qxIUBfvH2eUIDpzxq_zz-XntGxn8rZDsru7-e1-P5t6Qz1ljUx6KIQ6QXmOu7i_0OcvGJDmTQKc3fx-PZVMZcDUknIZRK2ZegGtQveC_NLs31YNdL_NMRFhKOxLTsJf9DYifz9__9Iytm__ZfqRbe1lscp_QQn__WcPaNFMCqlBJnWLM6b2bcFb70T2rl-U7y6YMBePPqIJWqogSdqe1xA9FnbGDUps5fHZqko2nGZagE32jXIpPIhz5P6NpFBGBS8TSxC4k4VviZQjG5W2GdLtOPogWHnMTUDopkgtnZ5eppbPMzCkMVoY4GVeBLDfEsXBV8nz7U2pF2lJxSvpOkyTdDkvpTSz-JEOhbef-7qwhGvZPhb0MZ1qKaI9GiKqDGmflTDs5wAG7h2iczSj60uSyId6ixAFyQ0UxgiDFpTsc5wTiOKczBvcXAgo4uUnXOzDuXQ0QR8Q47q1qDBJuJ-LwGeJXY9JJi__KAFSu2GzKZKOq7ECbNd4CSn2bbwJe-6kIGqmYUsL4ycVIMD5orX6UzLGRwcaCU8SeicqJ25Udi_xWcCY2z1-DvsyAaI4lvV3rH3GQzVyx7BIHa94eIq0TKux9Xdr9pipuH1BsNxROKQARGfjZXDaLwm3McKe5eR6pMfBqScKz4eBYK1lMigHqi6svWqU7b5xZ6fTklnra2t4j9G1uabAbU9clzQ6KFlikqXTK5bJrxHpfbpoJgL3W2rBB1kI2AgiKcN73LVzDj5SCj5ZMPCFoP7z-7wryLchK6FfDXhEmUHzJGC3pxnCnRzFzJFVMdX6m5USfpLphexem4F4czQa57ZrDxfx9eVIMguX3TQxMxVNoF4wUjAktUYNGFv_aCjcw5163BXKJdvvjqJmngW2_5KEeAxQMgJhNEFwviSKrd0qpwP2XBNVSbRpxz9j4pVRULgi-xQGV7zhdUxQZeHMbR0Sew1b-KN4knkD9CFK9vyAamvL558Ee5A-P8odB8gW0Q8GAXQzSmHRqlJmR0ZyIMO5dDN_CbEziXHPbvHY_pFeHFgPNak7mZjg6Mlhz4IYnkMjt0Yxy-6jBj5CJyDlwO91OQ34q3zv5aMuf065aBCOBy8JEdRN2LRDBZFOZiBE6JW1uXjVu2TBgr3E7tbPqWYUoqaD89x1CzFAQZoxeJ9JnW7iYHwFDdE-gZkaoImWR4DulebOGcWEqkaZ1ltlcqL4YI9zaZeWOJP9mnjVgFHrS8_RXCzxYYjZhiipWftC5W0t4SPfcRVlQ4tQ-BXM6cHPnQaYR1zTkgDxrv2DlM5s8BXqieabR1nRr3OWzEDmx8ZbE8eLXKe7nErtzkEL0eVXsfSVrabUuBMTleO_x9NzknD_JDV-xJM2U5x5VW_l3ENcHtmhrKxrm8gpJm_uL7sW-XbKaDc7raOIpBHhWQMbJW3eCQZzz2XeJ03HBc_-Bmu8Xm6aMjhDVTJI6N3KDmEcQPw3HqVRLPhDlDnqlX-HGqg1VxSe9gNH38pcYtkV7OARPkP1g9PyBahoefU9mGz4AxyZY6AqDWKeywcrYWIf966q480d-5VCVSWw8-ActZQtMw_dfZZ99Aoy49IP8zSq41CFlvJqyb0_Vfo-_RyntNKeLjrAvtapZL_Fo0wLIaHIM6u3vLININ856_wDU8koZR3vZVj9JpAz4ANkCsQYHdyqepC3U_tC7bN1pvBUp-z6CyNQrqZs5BNwQ_U_zDpBhdgx4t1ivPuKgzM3ipmRLG0Q5GpPuM6RoWbizsGUEbgz43fHrh3NcZ96XQ2nzrFIc_aGAg6WUY";

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
