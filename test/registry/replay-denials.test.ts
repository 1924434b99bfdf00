import { test } from "vitest";
import { type RecordedDenialAct, replayDenials } from "#registry/replay-denials";

const client = (name: string) => ({ kind: "client", client: name }) as const;
const act = (at: number, interaction: string, more: Partial<RecordedDenialAct> = {}): RecordedDenialAct => ({
  at,
  begun: at,
  ended: at,
  interaction,
  submitted: "",
  effect: "",
  status: 200,
  token: undefined,
  ...more,
});
const about = (name: string, status: number | "none") => ({
  submitted: JSON.stringify(client(name)),
  ...(status === "none" ? { status: undefined, ended: undefined } : { status }),
});
const revoked = (at: number, name: string, status: number | "none" = 200) =>
  act(at, "revoke", about(name, status));
const lifted = (at: number, name: string, status: number | "none" = 200) =>
  act(at, "lift-revocation", about(name, status));
const after = (acts: readonly RecordedDenialAct[], now = 1_000) => replayDenials(acts, now, 500, 100);

test("denials are replayed in the order of time, whatever the order of the records", ({ expect }) => {
  const acts = [
    lifted(3, "a"),
    revoked(1, "a"),
    revoked(2, "b"),
    revoked(4, "c"),
    lifted(5, "c"),
    revoked(6, "c"),
  ];
  for (const order of [acts, acts.toReversed()]) expect(after(order)).toEqual([client("b"), client("c")]);
});

test("an unclear state is denied: a denial without an outcome counts, a lift without an outcome does not", ({
  expect,
}) => {
  expect(after([revoked(1, "a", "none")])).toEqual([client("a")]);
  expect(after([revoked(1, "a"), lifted(2, "a", "none")])).toEqual([client("a")]);
  expect(after([revoked(1, "a"), lifted(2, "a", 403)])).toEqual([client("a")]);
  expect(after([revoked(1, "a", 422)])).toEqual([]);
});

test("an approved proposal lifts its denial, and an act of another kind lifts nothing", ({ expect }) => {
  const effect = (isLifted: boolean) =>
    JSON.stringify([{ kind: "denial", before: client("a"), lifted: isLifted }]);
  expect(after([revoked(1, "a"), act(2, "approve", { effect: effect(true) })])).toEqual([]);
  expect(after([revoked(1, "a"), act(2, "approve", { effect: effect(false) })])).toEqual([client("a")]);
  expect(after([revoked(1, "a"), act(2, "close-proposal", { effect: effect(true) })])).toEqual([client("a")]);
  expect(after([revoked(1, "a"), act(2, "approve", { effect: "[{" })])).toEqual([client("a")]);
});

test("an ended session and a client's own token are denied until the token cannot live any more", ({
  expect,
}) => {
  const token = { issuer: "https://login.example.org", tokenId: "jti" };
  const denied = (until: number) => [{ kind: "token", issuer: token.issuer, id: "jti", until }];
  expect(after([act(600, "end-session", { token })])).toEqual(denied(1_100));
  expect(after([act(950, "own-token", { token })])).toEqual(denied(1_050));
  expect(after([act(400, "end-session", { token }), act(800, "own-token", { token })])).toEqual([]);
});

test("of two acts on one name that overlap, the denial counts: the order of their effects is not on record", ({
  expect,
}) => {
  const denied = { ...revoked(1, "a"), ended: 25 }; // its body was slow
  const from = (begun: number) => ({ ...lifted(begun, "a"), ended: begun + 1 });
  expect(after([denied, from(5)]), "the lift was of an earlier denial").toEqual([client("a")]);
  expect(after([denied, from(25)]), "one second").toEqual([client("a")]);
  expect(after([denied, from(26)])).toEqual([]);
  expect(after([denied, from(26), revoked(3, "a")])).toEqual([]);
  expect(after([revoked(1, "a", "none"), lifted(9, "a")]), "its end is not known").toEqual([client("a")]);
});
