import * as fc from "fast-check";
import { test } from "vitest";
import { denialName, deniedCredential, deniedPrincipal, deniedSigner } from "#identity/denial";
import { denialScope, readDenial, type Denial } from "#identity/denial-document";
import type { Principal } from "#identity/principal";
import {
  denialGraceMilliseconds,
  applyUpdate,
  updateSince,
  type Delta,
  type RevocationState,
} from "#registry/revocation";
import { instant } from "#kernel/clock";
import { clientRecord } from "../support/credentials.ts";

const at = instant(1_800_000_000_000);
const x5t = "A".repeat(43);
const digest = `sha256:${"0".repeat(64)}`;
const denials = {
  client: { kind: "client", client: "telehealth" },
  certificate: { kind: "certificate", x5t },
  proof_key: { kind: "proof_key", jkt: "J".repeat(43) },
  key: { kind: "key", issuer: "https://issuer.example", keyId: "key-1" },
  token: { kind: "token", issuer: "https://issuer.example", id: "jti-1", until: at },
  agreement: { kind: "agreement", client: "telehealth", agreement: "baa" },
  grant: { kind: "grant", client: "telehealth", origin: "main", purpose: "TREAT" },
  policy: { kind: "policy", digest },
  authority: { kind: "authority", client: "telehealth", authority: "a".repeat(32) },
  person: { kind: "person", issuer: "https://issuer.example", subject: "telehealth" },
} as const satisfies Record<Denial["kind"], Denial>;
const who: Principal = {
  client: clientRecord([]),
  purpose: "TREAT",
  grant: {
    origin: "main",
    purpose: "TREAT",
    agreement: "baa",
    policyDigest: digest,
    signedRequests: false,
    signedResponses: false,
    keyedWrites: false,
    measureElements: false,
    scopes: [],
    quotas: { default: { requests: 1, windowSeconds: 1, revision: 1 } },
  },
  agreement: "baa",
  scopes: [],
  patient: undefined,
  unbound: false,
  issuer: "https://issuer.example",
  subject: "telehealth",
  user: undefined,
  tokenId: "jti-1",
  tokenExpires: at,
  keyId: "key-1",
  certificate: x5t,
  proof: { jkt: "J".repeat(43), id: "proof-1", made: instant(0) },
  authority: "a".repeat(32),
};
const named = (...some: readonly Denial[]) => new Set(some.map(denialName));

test.for(Object.values(denials))(
  "a denied $kind is refused by its own name, also if further things are denied",
  (denial, { expect }) => {
    expect(deniedPrincipal(named(denial), who)).toEqual({ reason: `${denial.kind}_denied` });
    expect(deniedPrincipal(new Set(), who)).toBeUndefined();
  },
);

test.for<readonly [string, Denial]>([
  ["another client", { kind: "client", client: "payer" }],
  ["another certificate", { kind: "certificate", x5t: "B".repeat(43) }],
  ["another key of a proof", { kind: "proof_key", jkt: x5t }],
  ["the same kid of another issuer", { ...denials.key, issuer: "https://other.example" }],
  ["another kid", { ...denials.key, keyId: "key-2" }],
  ["the same jti of another issuer", { ...denials.token, issuer: "https://other.example" }],
  ["another jti", { ...denials.token, id: "jti-2" }],
  ["the same agreement id of another client", { ...denials.agreement, client: "payer" }],
  ["another purpose's grant", { ...denials.grant, purpose: "HPAYMT" }],
  ["another authority", { ...denials.authority, authority: "b".repeat(32) }],
  ["the same authority of another client", { ...denials.authority, client: "payer" }],
  ["another person", { ...denials.person, subject: "nurse" }],
  ["a person of another issuer", { ...denials.person, issuer: "https://other.example" }],
  ["another policy", { kind: "policy", digest: `sha256:${"1".repeat(64)}` }],
])("a denial of %s leaves this request alone", ([, denial], { expect }) => {
  expect(deniedPrincipal(named(denial), who)).toBeUndefined();
});

test("the first denial decides: credentials come before permissions", ({ expect }) => {
  expect(deniedPrincipal(named(...Object.values(denials)), who)).toEqual({ reason: "client_denied" });
  expect(deniedPrincipal(named(denials.policy, denials.token), who)).toEqual({ reason: "token_denied" });
});

test("a denied key signs no requests of its client, whatever the request proves besides", ({ expect }) => {
  const denied = new Set([denialName({ kind: "key", issuer: "telehealth", keyId: "requests-1" })]);
  expect(deniedSigner(denied, { id: "telehealth" }, "requests-1")).toEqual({ reason: "key_denied" });
  expect(deniedSigner(denied, { id: "payer" }, "requests-1")).toBeUndefined();
  expect(deniedSigner(denied, { id: "telehealth" }, "requests-2")).toBeUndefined();
  expect(deniedSigner(denied, { id: "telehealth" }, undefined)).toBeUndefined();
});

test("a client's own key is denied under the client's id", ({ expect }) => {
  const credentials = {
    client: "telehealth",
    certificate: x5t,
    proof: undefined,
    keyId: "own-1",
    issuer: "telehealth",
  };
  expect(deniedCredential(named({ kind: "key", issuer: "telehealth", keyId: "own-1" }), credentials)).toEqual(
    { reason: "key_denied" },
  );
  expect(
    deniedCredential(named({ kind: "key", issuer: "payer", keyId: "own-1" }), credentials),
  ).toBeUndefined();
  expect(deniedCredential(named(denials.key), { ...credentials, keyId: undefined })).toBeUndefined();
});

test("no two denials share a name, whatever their parts contain", ({ expect }) => {
  const text = fc.string({ minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(text, text, text, text, (issuer, id, otherIssuer, otherId) => {
      const same = issuer === otherIssuer && id === otherId;
      const names = [
        denialName({ kind: "token", issuer, id }),
        denialName({ kind: "token", issuer: otherIssuer, id: otherId }),
      ];
      expect(names[0] === names[1]).toBe(same);
      expect(denialName({ kind: "key", issuer, keyId: id })).not.toBe(names[0]);
    }),
  );
});

test("a denial reaches its listeners: its client, its issuer's clients, or all clients", ({ expect }) => {
  expect(denialScope(denials.grant)).toEqual({ client: "telehealth", issuer: null });
  expect(denialScope(denials.token)).toEqual({ client: null, issuer: "https://issuer.example" });
  expect(denialScope(denials.certificate)).toEqual({ client: null, issuer: null });
});

test("a malformed denial is refused with the name of its field, never with its value", ({ expect }) => {
  for (const denial of Object.values(denials))
    expect(readDenial({ ...denial })).toEqual({ ok: true, value: denial });
  expect(readDenial({ kind: "certificate", x5t: "secret" })).toEqual({
    ok: false,
    error: { reason: "denial_malformed", field: "x5t" },
  });
  for (const odd of [
    null,
    [],
    {},
    { kind: "all" },
    { ...denials.client, more: 1 },
    { ...denials.token, until: "soon" },
  ])
    expect(readDenial(odd).ok).toBe(false);
});

const delta = (epoch: number, kind: Delta["kind"], name: string): Delta => {
  switch (kind) {
    case "denied":
      return { epoch, kind, name, until: null };
    case "lifted":
      return { epoch, kind, name };
    case "changed":
      return { epoch, kind, name: `client/${name}` };
  }
};
const position = { bookmark: null, pending: [] };
const start: RevocationState = { ...position, epoch: 0, denied: new Map() };
const past = (deltas: readonly Delta[]) => ({ from: 0, deltas });
/** The state after these deltas, applied in separate updates. */
const after = (deltas: readonly Delta[]): RevocationState => {
  const known = applyUpdate(
    start,
    { ...position, kind: "deltas", since: 0, epoch: deltas.at(-1)?.epoch ?? 0, deltas },
    at,
  );
  return known?.state ?? start;
};

test("with updates split, repeated, late or lost, a listener knows the sender's state, and no stale record stays cached", ({
  expect,
}) => {
  const kinds = fc.constantFrom<Delta["kind"]>("denied", "lifted", "changed");
  fc.assert(
    fc.property(
      fc.array(fc.tuple(kinds, fc.constantFrom("a", "b", "c")), { minLength: 1, maxLength: 30 }),
      fc.array(fc.record({ upTo: fc.nat(30), kept: fc.nat(30), lost: fc.boolean(), late: fc.boolean() }), {
        maxLength: 20,
      }),
      (steps, talks) => {
        const all = steps.map(([kind, name], i) => delta(i + 1, kind, name));
        let known: RevocationState | undefined;
        const stale = new Set<string>();
        const lateUpdates: Parameters<typeof applyUpdate>[1][] = [];
        const take = (update: Parameters<typeof applyUpdate>[1]) => {
          const since = known?.epoch;
          const next = applyUpdate(known, update, at);
          if (next === undefined) {
            expect(update.kind).toBe("deltas");
            return;
          }
          for (const name of next.stale === "all" ? ["client/a", "client/b", "client/c"] : next.stale)
            stale.add(name);
          expect(next.state.epoch).toBeGreaterThanOrEqual(since ?? 0);
          expect([...next.state.denied.keys()].sort()).toEqual(
            [...after(all.slice(0, next.state.epoch)).denied.keys()].sort(),
          );
          known = next.state;
        };
        take(updateSince(start, past([]), undefined, at));
        for (const { upTo, kept, lost, late } of talks) {
          const sent = all.slice(0, upTo);
          const dropped = Math.max(0, sent.length - kept);
          const update = updateSince(
            after(sent),
            { from: dropped, deltas: sent.slice(dropped) },
            known?.epoch,
            at,
          );
          if (late) lateUpdates.push(update);
          else if (!lost) take(update);
        }
        for (const update of lateUpdates) take(update);
        for (const { kind, name } of all.slice(0, known?.epoch))
          if (kind === "changed") expect(stale).toContain(name);
      },
    ),
  );
});

test("an update that begins after the known epoch is refused, so that the whole state is asked for", ({
  expect,
}) => {
  const later = {
    ...position,
    kind: "deltas",
    since: 5,
    epoch: 6,
    deltas: [delta(6, "denied", "a")],
  } as const;
  expect(applyUpdate(undefined, later, at)).toBeUndefined();
  expect(applyUpdate({ ...start, epoch: 4 }, later, at)).toBeUndefined();
  expect(applyUpdate({ ...start, epoch: 5 }, later, at)?.state.denied.has("a")).toBe(true);
});

test("a listener that was away too long gets the whole state and drops every copy; a new listener has none to drop", ({
  expect,
}) => {
  const whole = updateSince(after([delta(1, "denied", "a")]), { from: 1, deltas: [] }, 0, at);
  expect(whole.kind).toBe("whole");
  expect(applyUpdate(start, whole, at)).toMatchObject({ stale: "all", state: { epoch: 1 } });
  expect(applyUpdate(undefined, whole, at)?.stale).toEqual([]);
});

test("an operator can deny a token of any name, and denies only that token", ({ expect }) => {
  const name = fc.string({
    unit: fc.oneof(
      fc.constantFrom('"', ",", "[", "\\", "\u0000", "\ud800", "\u2028"),
      fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    ),
    minLength: 1,
    maxLength: 128,
  });
  fc.assert(
    fc.property(name, name, (id, other) => {
      // as it arrives at the control worker
      const request: unknown = JSON.parse(
        JSON.stringify({ kind: "token", issuer: who.issuer, id, until: at }),
      );
      const read = readDenial(request);
      if (!read.ok) throw new Error(read.error.field);
      const denied = named(read.value);
      expect(deniedPrincipal(denied, { ...who, tokenId: id })).toEqual({ reason: "token_denied" });
      expect(deniedPrincipal(denied, { ...who, tokenId: other })?.reason).toBe(
        other === id ? "token_denied" : undefined,
      );
    }),
  );
});

const grace = denialGraceMilliseconds;
const timed = new Map([
  ["over", instant(at - grace)],
  ["just over, by one clock of several", at],
  ["for good", null],
]);

test("a token's denial stays in updates for exactly two minutes past its end, by any clock", ({ expect }) => {
  const whole = updateSince({ ...position, epoch: 1, denied: timed }, past([]), undefined, at);
  expect(whole).toMatchObject({
    denied: [{ name: "just over, by one clock of several" }, { name: "for good" }],
  });
});

test("a listener drops expired denials at the next update, so that they do not pile up", ({ expect }) => {
  const update = updateSince(after([delta(1, "denied", "a")]), past([delta(1, "denied", "a")]), 0, at);
  const known = applyUpdate({ ...position, epoch: 0, denied: timed }, update, at)?.state.denied;
  expect([...(known ?? new Map()).keys()]).toEqual(["just over, by one clock of several", "for good", "a"]);
});

test("the registry's position comes from the newest update, and a late update takes nothing back", ({
  expect,
}) => {
  const [older, newer] = [
    { ...start, epoch: 4, bookmark: "4", pending: ["client/a"] },
    { ...start, epoch: 6, bookmark: "6", pending: [] },
  ] as const;
  for (const since of [undefined, 3]) {
    const [early, late] = [updateSince(newer, past([]), since, at), updateSince(older, past([]), since, at)];
    expect(early).toMatchObject({ epoch: 6, bookmark: "6", pending: [] });
    const known: RevocationState = { ...start, epoch: 3, bookmark: "3" };
    expect(applyUpdate(known, late, at)?.state).toMatchObject({
      epoch: 4,
      bookmark: "4",
      pending: ["client/a"],
    });
    const later = applyUpdate(known, early, at)?.state;
    expect(later).toMatchObject({ epoch: 6, bookmark: "6", pending: [] });
    expect(applyUpdate(later, late, at)?.state).toMatchObject({ epoch: 6, bookmark: "6", pending: [] });
  }
});

test("a list of denials never changes: a denial or its lifting makes a new list, and an update without any keeps the same list", ({
  expect,
}) => {
  const position = { bookmark: null, pending: [] };
  const known: RevocationState = { ...position, epoch: 1, denied: new Map([["a", null]]) };
  const next = (delta: Delta) =>
    applyUpdate(known, { ...position, kind: "deltas", since: 1, epoch: 2, deltas: [delta] }, at)?.state
      .denied;
  expect(next({ epoch: 2, kind: "changed", name: "client/telehealth" })).toBe(known.denied);
  expect(next({ epoch: 2, kind: "denied", name: "b", until: null })).toEqual(
    new Map([
      ["a", null],
      ["b", null],
    ]),
  );
  expect(next({ epoch: 2, kind: "lifted", name: "a" })).toEqual(new Map());
  expect(known.denied).toEqual(new Map([["a", null]]));
});
