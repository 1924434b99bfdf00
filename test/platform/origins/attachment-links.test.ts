import { test } from "vitest";
import { Secret } from "#kernel/secret";
import { attachmentLinks } from "#platform/origins/attachment-links";

const key = (byte: number) => new Secret(new Uint8Array(32).fill(byte));
const links = attachmentLinks([key(1)]);
const holder = { client: "app", origin: "main", purpose: "PATRQT", patient: "amara", user: "Patient/amara" };
const row = "DocumentReference/note";

test("a link opens to its row and its URL, is longer than an id, and is the same each time", ({ expect }) => {
  const link = links.linkTo(row, "Binary/1", holder);
  expect(link).toMatch(/^[\w-]{65,}$/u);
  expect(links.linkTo(row, "Binary/1", holder)).toBe(link);
  expect(links.linkTo("List/1", "Binary/1", holder).length).toBeGreaterThan(64);
  const place = links.placeOf(link, holder);
  expect([place?.row, place?.isOf("Binary/1"), place?.isOf("Binary/2")]).toEqual([row, true, false]);
  expect(links.linkTo(row, "Binary/2", holder)).not.toBe(link);
  expect(links.linkTo(row, "x".repeat(500), holder)).toHaveLength(link.length);
});

test("a link opens for no other holder, and for nobody if a character of it differs", ({ expect }) => {
  const link = links.linkTo(row, "Binary/1", holder);
  for (const change of [
    { client: "other" },
    { origin: "other" },
    { purpose: "TREAT" },
    { patient: "bela" },
    { patient: undefined },
    { user: undefined },
  ])
    expect(links.placeOf(link, { ...holder, ...change }), JSON.stringify(change)).toBeUndefined();
  for (let at = 0; at < link.length; at += 1) {
    const other = link[at] === "A" ? "B" : "A";
    expect(links.placeOf(link.slice(0, at) + other + link.slice(at + 1), holder), String(at)).toBeUndefined();
  }
  for (const text of ["", "A", `${link}A`, link.slice(0, -4), `${link}=`])
    expect(links.placeOf(text, holder), text).toBeUndefined();
});

test("while a key is replaced the first key seals, and a link of each key opens", ({ expect }) => {
  const old = links.linkTo(row, "Binary/1", holder);
  const both = attachmentLinks([key(2), key(1)]);
  expect(both.placeOf(old, holder)?.row).toBe(row);
  const fresh = both.linkTo(row, "Binary/1", holder);
  expect(fresh).not.toBe(old);
  expect(links.placeOf(fresh, holder)).toBeUndefined();
});
