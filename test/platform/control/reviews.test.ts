import { env, exports } from "cloudflare:workers";
import { beforeEach, test } from "vitest";
import { instant } from "#kernel/clock";
import { reviewsPageMax } from "#registry/review-document";
import { emptyRegistry } from "./registry.ts";

const opening = exports.ReviewOpening;
const desk = exports.ReviewDesk;
const review = (id: string, openedAt = 1) => ({
  id: id.repeat(32),
  openedAt: instant(openedAt),
  requestId: "f".repeat(32),
  client: "clinic",
  origin: "main",
  purpose: "BTG",
  until: instant(openedAt + 1),
});
const idsOf = async (document: object) => {
  const found = await desk.list(document);
  return found.ok ? found.value.map(({ id }) => id[0]).join("") : found.error;
};

beforeEach(async () => {
  await emptyRegistry();
});

test("a review stays open until it is closed once, with the operator and the finding", async ({ expect }) => {
  for (const each of [review("a", 1), review("b", 2), review("a", 3)]) await opening.open(each);
  expect(await idsOf({}), "the newest first; a repeated opening changes nothing").toBe("ba");
  expect(await desk.close({ review: "a".repeat(32), finding: "unjustified" }, "officer")).toMatchObject({
    ok: true,
  });
  expect(await desk.close({ review: "a".repeat(32), finding: "justified" }, "other")).toMatchObject({
    ok: false,
    error: { reason: "review_not_open" },
  });
  expect(await opening.open(review("a", 4))).toBe(false);
  expect(await idsOf({}), "a closed review stays closed").toBe("b");
  const all = await desk.list({ state: "all" });
  expect(all).toMatchObject({
    ok: true,
    value: [{ finding: null }, { finding: "unjustified", closedBy: "officer", openedAt: 1 }],
  });
});

test("a finding has a note, and a later finding with a note takes its place; the review stays closed", async ({
  expect,
}) => {
  await opening.open(review("a"));
  const close = (finding: string, note?: string, by = "officer") =>
    desk.close({ review: "a".repeat(32), finding, note }, by);
  expect(await close("justified", "x".repeat(1_001))).toMatchObject({ error: { field: "note" } });
  expect(await close("justified", " Seen with the ward. ")).toMatchObject({ ok: true });
  const closed = async () => (await desk.list({ state: "closed" })) as { readonly value: readonly object[] };
  expect((await closed()).value).toMatchObject([{ finding: "justified", note: "Seen with the ward." }]);
  expect(await close("unjustified"), "a change says why").toMatchObject({ ok: false });
  expect(await close("unjustified", "The ward knew nothing.", "second")).toMatchObject({ ok: true });
  expect((await closed()).value).toMatchObject([
    { finding: "unjustified", note: "The ward knew nothing.", closedBy: "second" },
  ]);
  expect(await opening.open(review("a", 9)), "no further use").toBe(false);
  expect(
    await desk.close({ review: "b".repeat(32), finding: "justified", note: "x" }, "officer"),
  ).toMatchObject({
    ok: false,
  });
});

test("every review is on some page, also reviews of one millisecond and after a review of the last page is closed", async ({
  expect,
}) => {
  const count = reviewsPageMax + 3;
  const ids = Array.from({ length: count }, (_, i) => i.toString(16).padStart(32, "0"));
  const rows = ids.map((id, i) =>
    env.REGISTRY.prepare(
      "INSERT INTO reviews (id, opened_at, request_id, client, origin, purpose) VALUES (?, ?, ?, ?, ?, ?)",
    ).bind(id, Math.floor(i / 7), "f".repeat(32), "clinic", "main", "BTG"),
  );
  await env.REGISTRY.batch(rows);
  const first = await desk.list({});
  if (!first.ok) throw new Error("no page");
  expect(first.value).toHaveLength(reviewsPageMax);
  const after = first.value.at(-1)?.id;
  await desk.close({ review: after, finding: "justified" }, "officer");
  const second = await desk.list({ after });
  if (!second.ok) throw new Error("no second page");
  expect([...first.value, ...second.value].map(({ id }) => id).sort()).toEqual(ids);
  expect(await desk.list({ state: "closed" })).toMatchObject({ ok: true, value: [{ id: after }] });
});

test("a review is closed after the end of its emergency, and no use comes after it is closed", async ({
  expect,
}) => {
  const ends = { ...review("a"), until: instant(Date.now() - 1) };
  const lasts = { ...ends, until: instant(Date.now() + 60_000) };
  const close = () => desk.close({ review: "a".repeat(32), finding: "justified" }, "officer");
  await opening.open(lasts);
  expect(await close()).toMatchObject({ ok: false, error: { reason: "review_not_ended", field: "review" } });
  expect(await idsOf({}), "it stays open").toBe("a");
  await opening.open(ends);
  expect(await close(), "an earlier end does not count").toMatchObject({ ok: false });

  await emptyRegistry();
  await opening.open(ends);
  expect(await close()).toMatchObject({ ok: true });
  expect(await opening.open(lasts)).toBe(false);
});

test("a document that is no list and no closing is refused by its first field", async ({ expect }) => {
  expect(await idsOf({ state: "ended" })).toEqual({ reason: "review_malformed", field: "state" });
  expect(await idsOf({ after: "b" })).toEqual({ reason: "review_malformed", field: "after" });
  for (const [document, field] of [
    [{ review: "a" }, "review"],
    [{ review: "a".repeat(32), finding: "fine" }, "finding"],
    ["", ""],
  ] as const)
    expect(await desk.close(document, "officer")).toMatchObject({ ok: false, error: { field } });
});

test("the console counts the open reviews and since when the first waits, and no closed review", async ({
  expect,
}) => {
  const waiting = async () => (await exports.ConsoleDesk.waiting()).reviews;
  expect(await waiting()).toBeUndefined();
  for (const each of [review("a", 5), review("b", 2)]) await opening.open(each);
  expect(await waiting()).toEqual({ count: 2, since: 2 });
  await desk.close({ review: "b".repeat(32), finding: "justified" }, "officer");
  expect(await waiting()).toEqual({ count: 1, since: 5 });
});
