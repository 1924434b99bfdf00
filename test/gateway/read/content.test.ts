import { test } from "vitest";
import { ok } from "#kernel/result";
import { HeldBytes } from "#gateway/origin/held-bytes";
import type { OriginSession } from "#gateway/origin/origin-session";
import { ownContent } from "#gateway/read/content";
import { storedContent } from "#gateway/read/stored-content";
import type { Grant } from "#policy/grant";
import { nothingReleased } from "#phi/disclosure";

const mebibyte = 1_048_576;
const wish = { wantsContent: true };

/** Content of 4 MiB at a storage base. `most`: the memory that its reading holds at once. */
async function stored(isBinary: boolean) {
  let [most, now] = [0, 0];
  const held = new HeldBytes({
    hold: (bytes) => void ([most, now] = [Math.max(most, bytes), bytes]),
    page: () => () => {},
  });
  async function* body() {
    for (let n = 0; n < 4; n += 1) yield ok(new Uint8Array(mebibyte));
  }
  const opened = { type: "image/png", length: 4 * mebibyte, bytesMax: 8 * mebibyte, body: body() };
  const origin = { held, open: async () => ok(opened) } as unknown as OriginSession;
  const grant = { policyDigest: "1", withheldPaths: [] } as unknown as Grant;
  const place = { stored: "https://storage.example/1", row: "DocumentReference/1" };
  const shown = await storedContent(grant, place, origin, isBinary ? {} : wish);
  return { shown, most, now };
}

test("a Binary holds its whole content while the content is sent, and a stream three windows", async ({
  expect,
}) => {
  const data = Buffer.alloc(3_000_000).toString("base64");
  const body = Uint8Array.from(
    Buffer.from(JSON.stringify({ resourceType: "Binary", contentType: "image/png", data })),
  );
  const binary = { windows: [{ ...nothingReleased, body }], released: new Set<string>(), withheldPaths: [] };
  expect((await ownContent(binary, wish, "1")).content?.held).toBe(3_000_000);
  expect((await ownContent(binary, { ...wish, isBodiless: true }, "1")).content?.held).toBe(0);
  const { shown } = await stored(false);
  expect(shown.ok && shown.value.content?.held).toBe(3 * mebibyte);
});

test("stored content that is read into a Binary counts with all its forms while it is read", async ({
  expect,
}) => {
  const { shown, most, now } = await stored(true);
  expect([shown.ok, most, now]).toEqual([true, 30 * mebibyte, 0]);
});
