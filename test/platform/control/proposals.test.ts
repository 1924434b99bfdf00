import { needsApproval } from "#registry/problem";
import { env, exports } from "cloudflare:workers";
import { beforeEach, describe, test } from "vitest";
import { instant } from "#kernel/clock";
import { admitOperator } from "#platform/registry/admit-operator";
import { findOperator } from "#platform/registry/operators";
import type * as control from "../../../workers/control/index.ts";
import { emptyRegistry, everything, sampleFile } from "./registry.ts";

// the worker under test exports them; the types of RPC lose each field of type `unknown`
const { ProposalDesk: desk, RegistryDesk: writer } = exports as unknown as {
  readonly ProposalDesk: Pick<control.ProposalDesk, "propose" | "list" | "show" | "approve" | "close">;
  readonly RegistryDesk: Pick<
    control.RegistryDesk,
    "apply" | "show" | "change" | "merge" | "revoke" | "lift"
  >;
};
const iss = "https://login.example.org";
const person = (operator: string, subject = operator, issuer = iss) => ({ operator, issuer, subject });
const ada = person("ada");
const grace = person("grace");

let registry: D1Database;
beforeEach(async () => {
  registry = await emptyRegistry();
  const applied = await writer.apply(await sampleFile(), "add");
  if (!applied.ok) throw new Error(applied.error.pointer);
  await admit(ada, "a");
});

/** The author of a proposal is an active operator when it is approved. */
const admit = ({ operator, subject }: typeof ada, letter: string, roles: string[] = ["revoker"]) =>
  admitOperator(registry, {
    id: operator,
    kind: "person",
    x5t: letter.repeat(43),
    roles,
    signIn: { iss, sub: subject, maxAgeSeconds: 900 },
  });

/** A change that gives the only grant a higher quota, on the registry's present state. */
async function wider(requests = 200) {
  const grant = { ...(await sampleFile()).grants[0], quotas: { default: { requests, windowSeconds: 60 } } };
  const { digest, registry: file } = await writer.show();
  return { expects: digest, set: { policies: file.policies, grants: [grant] } };
}

async function proposed(document: object, by = ada): Promise<string> {
  const done = await desk.propose(document, by);
  if (!done.ok) throw new Error(JSON.stringify(done.error));
  return done.value.proposal;
}

const quota = () => registry.prepare("SELECT quota_requests AS n FROM grants").first<number>("n");
const stateOf = async (id: string) => (await desk.show(id))?.proposal.state;

test("a proposal changes nothing until a second person approves it; then both are in its row and in the answer", async ({
  expect,
}) => {
  const made = await desk.propose({ kind: "change", why: "CHG-7", change: await wider() }, ada);
  expect(made).toMatchObject({ ok: true, value: { opens: ["grant telehealth main TREAT: quotas"] } });
  if (!made.ok) return;
  const { proposal } = made.value;
  expect(await quota()).toBe(100);
  expect(await desk.list({ state: "open" })).toMatchObject([
    { id: proposal, why: "CHG-7", proposedBy: "ada" },
  ]);
  expect(await desk.show(proposal)).toMatchObject({ plan: { changes: [{ kind: "grant" }] } });

  expect(await desk.approve(proposal, grace)).toMatchObject({
    ok: true,
    value: {
      proposer: ada,
      applied: { counts: { added: 0, changed: 1, removed: 0 } },
      effect: [{ kind: "grant", before: { quotas: { default: { requests: 100 } } } }],
    },
  });
  expect(await quota()).toBe(200);
  expect((await desk.show(proposal))?.proposal).toMatchObject({
    state: "approved",
    decidedBy: "grace",
    deciderIssuer: iss,
    deciderSubject: "grace",
  });
  expect(await desk.list({ state: "open" })).toEqual([]);
  expect(await desk.list({ state: "all" })).toHaveLength(1);
  expect(await desk.approve(proposal, grace)).toMatchObject({
    ok: false,
    error: { problem: { reason: "proposal_not_open" } },
  });
});

test.for([
  ["the same operator", ada],
  ["a second operator of the same person", person("ada-2", "ada")],
] as const)("%s does not approve", async ([, by], { expect }) => {
  const id = await proposed({ kind: "change", why: "x", change: await wider() });
  expect(await desk.approve(id, by)).toMatchObject({
    ok: false,
    error: { problem: { reason: "proposal_own" } },
  });
  expect([await quota(), await stateOf(id)]).toEqual([100, "open"]);
  await expect(
    registry
      .prepare(
        "UPDATE proposals SET state = 'approved', decided_at = 1, decided_by = ?, decider_issuer = ?, decider_subject = ?",
      )
      .bind(by.operator, by.issuer, by.subject)
      .run(),
    "nor does the database let it",
  ).rejects.toThrow(/CHECK/u);
});

test("a person with the same subject at another issuer is a second person", async ({ expect }) => {
  const id = await proposed({ kind: "change", why: "x", change: await wider() });
  expect(await desk.approve(id, person("grace", "ada", "https://other.example.org"))).toMatchObject({
    ok: true,
  });
});

test("a change of further entries leaves a proposal as it was planned, and it is approved", async ({
  expect,
}) => {
  const id = await proposed({ kind: "change", why: "x", change: await wider() });
  const other = { id: "new", kind: "payer", auth: "tls_client_auth", certificates: ["N".repeat(43)] };
  expect(await writer.merge({ clients: [other] }, true)).toMatchObject({ ok: true });
  expect(await desk.show(id)).toMatchObject({
    plan: { changes: [{ kind: "grant" }], opens: ["grant telehealth main TREAT: quotas"] },
    problem: undefined,
  });
  expect(await desk.approve(id, grace)).toMatchObject({
    ok: true,
    value: { applied: { counts: { changed: 1 } } },
  });
  expect(await quota()).toBe(200);
});

test("a proposal of a version that expects a state of the registry still expects it", async ({ expect }) => {
  const change = await wider();
  const id = await proposed({ kind: "change", why: "x", change });
  const expecting = (state: string) =>
    registry.prepare("UPDATE proposals SET expects = ? WHERE id = ?").bind(state, id).run();
  await expecting(`sha256:${"0".repeat(64)}`);
  expect(await desk.approve(id, grace)).toMatchObject({ error: { problem: { reason: "stale" } } });
  await expecting(change.expects);
  expect(await desk.approve(id, grace)).toMatchObject({ ok: true });
});

test("a change of the same entry after the proposal refuses its approval, and the proposal stays open", async ({
  expect,
}) => {
  const [first, second] = [await wider(200), await wider(300)];
  const late = await proposed({ kind: "change", why: "x", change: first });
  const other = await proposed({ kind: "change", why: "y", change: second });
  expect(await desk.approve(other, grace)).toMatchObject({ ok: true });
  expect(await desk.approve(late, grace)).toMatchObject({
    ok: false,
    error: { kind: "registry", problem: { reason: "stale" } },
  });
  expect([await quota(), await stateOf(late)]).toEqual([300, "open"]);
  expect(await desk.show(late)).toMatchObject({ problem: { reason: "stale" } });
});

test("of two approvals at once, one is done", async ({ expect }) => {
  const id = await proposed({ kind: "change", why: "x", change: await wider() });
  const both = await Promise.allSettled([desk.approve(id, grace), desk.approve(id, person("joan"))]);
  expect(both.filter((each) => each.status === "fulfilled" && each.value.ok)).toHaveLength(1);
  expect(await quota()).toBe(200);
});

test("a closed or expired proposal is not approved, and nothing is written", async ({ expect }) => {
  const id = await proposed({ kind: "change", why: "x", change: await wider() });
  expect(await desk.close(id, "ada", "withdrawn")).toMatchObject({ ok: true });
  expect(await desk.close(id, "ada", "again")).toMatchObject({ ok: false });
  const old = await proposed({ kind: "change", why: "x", change: await wider() });
  await registry.prepare("UPDATE proposals SET proposed_at = 1, expires_at = 2 WHERE id = ?").bind(old).run();
  for (const each of [id, old, "0".repeat(32)])
    expect(await desk.approve(each, grace)).toMatchObject({
      ok: false,
      error: { problem: { reason: "proposal_not_open" } },
    });
  expect(await quota()).toBe(100);
});

test("a decision is final in the database: no statement decides twice", async ({ expect }) => {
  const id = await proposed({ kind: "change", why: "x", change: await wider() });
  await desk.approve(id, grace);
  await expect(
    registry.prepare("UPDATE proposals SET decided_by = 'mallory' WHERE id = ?").bind(id).run(),
  ).rejects.toThrow(/decided/u);
});

describe("a person alone", () => {
  test("may narrow, and may not open: the refusal says what it would open", async ({ expect }) => {
    const before = await everything(registry);
    expect(await writer.change(await wider(), false)).toMatchObject({
      ok: false,
      error: {
        reason: "approval_required",
        problem: expect.stringMatching(new RegExp(`^${needsApproval}: .*quotas`, "u")),
      },
    });
    const further = {
      clients: [{ id: "new", kind: "payer", auth: "tls_client_auth", certificates: ["N".repeat(43)] }],
    };
    expect(await writer.merge(further, false)).toMatchObject({
      ok: false,
      error: { reason: "approval_required" },
    });
    expect(await everything(registry)).toEqual(before);
    expect(await writer.change(await wider(50), false)).toMatchObject({ ok: true });
    expect(await quota()).toBe(50);
    expect(await writer.merge(await sampleFile(), false), "nothing to do opens nothing").toMatchObject({
      ok: false, // the quota differs
    });
  });
});

test("a denial is lifted by a second person", async ({ expect }) => {
  const denial = { kind: "client", client: "telehealth" };
  await writer.revoke(denial);
  const id = await proposed({ kind: "lift", why: "found", denial });
  expect(await desk.approve(id, ada)).toMatchObject({ ok: false });
  expect(await desk.approve(id, grace)).toMatchObject({ ok: true, value: { effect: [{ lifted: true }] } });
  expect(await writer.lift(denial), "it was lifted").toEqual({ ok: true, value: false });
});

test("a proposal lifts the denial that it is about, and no later denial of the same name", async ({
  expect,
}) => {
  const denial = { kind: "client", client: "telehealth" };
  const lift = { kind: "lift", why: "found", denial };
  expect(await desk.propose(lift, ada), "nothing is denied").toMatchObject({ ok: false });
  await writer.revoke(denial);
  const id = await proposed(lift);
  await writer.lift(denial);
  expect(await desk.approve(id, grace), "nothing to lift").toMatchObject({ ok: false });
  await writer.revoke(denial);
  expect(await desk.approve(id, grace), "a later denial").toMatchObject({ ok: false });
  expect(await desk.approve(await proposed(lift), grace)).toMatchObject({ ok: true });
  expect(await writer.lift(denial)).toEqual({ ok: true, value: false });
});

test("a role for a limited time ends by itself, or when it is ended", async ({ expect }) => {
  const x5t = "P".repeat(43);
  const signIn = { iss, sub: "ada", maxAgeSeconds: 900 };
  await admitOperator(env.REGISTRY, { id: "ada", kind: "person", x5t, roles: ["revoker"], signIn });
  const rolesAt = async (at: number) => (await findOperator(env.REGISTRY, x5t, instant(at)))?.roles;
  const id = await proposed({ kind: "elevation", why: "on call", role: "registry-admin", minutes: 60 });
  expect(await rolesAt(Date.now())).toEqual(["revoker"]);
  expect(await desk.approve(id, grace)).toMatchObject({ ok: true });
  expect(await rolesAt(Date.now())).toEqual(["revoker", "registry-admin"]);
  expect(await rolesAt(Date.now() + 3_600_000)).toEqual(["revoker"]);
  expect(await desk.close(id, "grace", "done")).toMatchObject({ ok: true });
  expect(await rolesAt(Date.now())).toEqual(["revoker"]);
});

test("a document that is no proposal is refused at its first fault, and is not stored", async ({
  expect,
}) => {
  const unknown = { expects: `sha256:${"0".repeat(64)}`, set: { foo: [] } };
  for (const [document, pointer] of [
    [{}, "/kind"],
    [{ kind: "change", change: {} }, "/why"],
    [{ kind: "change", why: "x", change: {} }, "/change/expects"],
    [{ kind: "change", why: "x", change: unknown }, "/change/set/foo"],
    [{ kind: "elevation", why: "x", role: "approver", minutes: 481 }, "/minutes"],
  ] as const)
    expect(await desk.propose(document, ada)).toMatchObject({ ok: false, error: { problem: { pointer } } });
  expect(await desk.list({ state: "all" })).toEqual([]);
});

test("a person who has forty open proposals makes no further, under no operator, and leaves room for the others", async ({
  expect,
}) => {
  const ask = (by: typeof ada) =>
    desk.propose({ kind: "elevation", why: "CHG-8", role: "revoker", minutes: 5 }, by);
  for (let n = 0; n < 40; n += 1) expect(await ask(ada)).toMatchObject({ ok: true });
  for (const by of [ada, person("ada-2", "ada")])
    expect(await ask(by)).toMatchObject({
      error: { problem: { problem: expect.stringContaining("proposals of yours") } },
    });
  expect(await ask(grace)).toMatchObject({ ok: true });
  expect(await ask(person("ada", "ada", "https://other.example.org"))).toMatchObject({ ok: true });
});

test("the list is paged, the newest first", async ({ expect }) => {
  const ids: string[] = [];
  for (const role of ["approver", "auditor", "revoker"])
    ids.push(await proposed({ kind: "elevation", why: role, role, minutes: 1 }));
  const all = (await desk.list({ state: "open" })).map(({ id }) => id);
  expect(new Set(all)).toEqual(new Set(ids));
  const first = await desk.list({ state: "open", limit: 2 });
  const rest = await desk.list({ state: "open", limit: 2, after: first.at(-1)?.id });
  expect([...first, ...rest].map(({ id }) => id)).toEqual(all);
});

describe("operators", () => {
  const { RegistryDesk: registrar } = exports as unknown as {
    readonly RegistryDesk: Pick<control.RegistryDesk, "operators" | "suspendOperator" | "removeOperator">;
  };
  const x5t = (letter: string) => letter.repeat(43);
  const find = (letter: string) => findOperator(registry, x5t(letter), instant(Date.now()));
  const newcomer = async (more: object = {}) => ({
    id: "newcomer",
    status: "active",
    kind: "person",
    x5t: x5t("n"),
    roles: ["approver"],
    signIn: { iss, sub: "newcomer", maxAgeSeconds: 900 },
    ...more,
  });
  beforeEach(async () => {
    await registry
      .prepare(
        `INSERT INTO issuers (iss, jwks, algs, audience, purpose, claims)
          VALUES (?, '{"keys":[]}', '[]', 'phylax', '{"fixed":["TREAT"]}', '{}')`,
      )
      .bind(iss)
      .run();
  });
  const asking = (operator: object) => ({ kind: "operator", why: "HR-12", operator });

  test("a new operator, and different roles, are in force when a second person approved them", async ({
    expect,
  }) => {
    const id = await proposed(asking(await newcomer()));
    expect(await find("n"), "nothing takes effect").toBeUndefined();
    expect(await desk.approve(id, ada)).toMatchObject({ error: { problem: { reason: "proposal_own" } } });
    const done = await desk.approve(id, grace);
    expect(done).toMatchObject({
      ok: true,
      value: { kind: "operator", proposer: ada, effect: [{ kind: "operator", name: "newcomer" }] },
    });
    expect(await find("n")).toMatchObject({ id: "newcomer", roles: ["approver"], kind: "person" });

    const wider = await proposed(asking(await newcomer({ roles: ["approver", "revoker"] })));
    expect(await desk.approve(wider, grace)).toMatchObject({
      ok: true,
      value: { effect: [{ before: { roles: ["approver"] }, after: { roles: ["approver", "revoker"] } }] },
    });
    expect((await find("n"))?.roles).toEqual(["approver", "revoker"]);
  });

  test("a person does not approve what is about the same person, under whichever operator", async ({
    expect,
  }) => {
    const entry = await newcomer();
    const id = await proposed(asking(entry));
    for (const by of [person("newcomer", "somebody"), person("other", "newcomer", entry.signIn.iss)])
      expect(await desk.approve(id, by)).toMatchObject({ error: { problem: { reason: "proposal_own" } } });
    expect([await find("n"), await stateOf(id)]).toEqual([undefined, "open"]);
  });

  test("a proposal about an operator who has changed since is refused: a suspension is not undone by it", async ({
    expect,
  }) => {
    await desk.approve(await proposed(asking(await newcomer())), grace);
    const id = await proposed(asking(await newcomer({ roles: ["revoker"] })));
    expect(await registrar.suspendOperator("newcomer", "ada")).toMatchObject({
      ok: true,
      value: { after: { status: "suspended" } },
    });
    expect(await desk.approve(id, grace)).toMatchObject({
      error: { problem: { reason: "proposal_not_open" } },
    });
    expect(await find("n")).toMatchObject({ status: "suspended", roles: ["approver"] });
    const back = await proposed(asking(await newcomer()));
    expect(await desk.approve(back, grace)).toMatchObject({ ok: true });
    expect((await find("n"))?.status).toBe("active");
  });

  test("a certificate of a different operator, an unknown issuer, and an entry that is no operator are refused", async ({
    expect,
  }) => {
    await desk.approve(await proposed(asking(await newcomer())), grace);
    const other = await newcomer({ id: "other" });
    const bad: readonly [object, string][] = [
      [other, "/operator/x5t"],
      [
        { ...other, x5t: x5t("o"), signIn: { ...other.signIn, iss: "https://unknown.example" } },
        "/operator/signIn/iss",
      ],
      [{ ...other, roles: [] }, "/operator/roles"],
      [{ ...other, signIn: undefined }, "/operator/signIn"],
      [{ ...other, kind: "machine" }, "/operator"],
    ];
    for (const [operator, pointer] of bad)
      expect(await desk.propose(asking(operator), ada)).toMatchObject({ error: { problem: { pointer } } });
  });

  test("two proposals of one new operator: the second is refused, and is not applied in part", async ({
    expect,
  }) => {
    const first = await proposed(asking(await newcomer()));
    const second = await proposed(asking(await newcomer({ roles: ["registry-admin"] })));
    expect(await desk.approve(first, grace)).toMatchObject({ ok: true });
    expect(await desk.approve(second, grace)).toMatchObject({
      error: { problem: { reason: "proposal_not_open" } },
    });
    expect((await find("n"))?.roles).toEqual(["approver"]);
  });

  test("one person suspends and removes; an operator that is not registered is named as such", async ({
    expect,
  }) => {
    const { signIn: _none, ...machine } = await newcomer({ kind: "machine" });
    await desk.approve(await proposed(asking(machine)), grace);
    const listed = { id: "newcomer", kind: "machine", elevated: [] };
    expect(await registrar.operators()).toMatchObject([{ id: "ada" }, listed]);
    const unknown = { ok: false, error: "operator_not_registered" };
    expect(await registrar.suspendOperator("nobody", "ada")).toEqual(unknown);
    expect(await registrar.removeOperator("newcomer", "ada")).toMatchObject({
      value: { before: { id: "newcomer" } },
    });
    expect(await registrar.removeOperator("newcomer", "ada")).toEqual(unknown);
    expect(await registrar.operators()).toHaveLength(1);
  });

  test.for(["suspendOperator", "removeOperator"] as const)(
    "%s of a machine does not end the last active person of a role, and a person may",
    async (act, { expect }) => {
      const { signIn: _none, ...machine } = await newcomer({ kind: "machine", id: "ci", x5t: x5t("c") });
      await desk.approve(await proposed(asking(machine)), grace);
      await admit(person("newcomer"), "n", ["auditor", "privacy-officer"]);
      await admit(person("other"), "o", ["auditor"]);
      const open = await proposed(elevation, person("newcomer"));
      const last = { ok: false, error: "last_person_of_role" };
      expect(await registrar[act]("newcomer", "ci"), "no other privacy officer is a person").toEqual(last);
      expect([(await find("n"))?.status, await stateOf(open)]).toEqual(["active", "open"]);
      expect(await registrar[act]("other", "ci"), "another auditor stays").toMatchObject({ ok: true });
      expect(await registrar[act]("newcomer", "nobody"), "an unknown actor is no person").toEqual(last);
      expect(await registrar[act]("newcomer", "ada")).toMatchObject({ ok: true });
      expect(await registrar[act]("ci", "ci"), "a machine ends a machine").toMatchObject({ ok: true });
    },
  );

  const bob = { iss, sub: "bob", maxAgeSeconds: 900 };
  const elevation = { kind: "elevation", why: "on call", role: "registry-admin", minutes: 480 };
  const notOpen = { ok: false, error: { problem: { reason: "proposal_not_open" } } };

  test("a role for a limited time is given to the person who asked for it, and ends with that person", async ({
    expect,
  }) => {
    await admit(person("newcomer"), "n", ["auditor"]);
    const asked = await proposed(elevation, person("newcomer"));
    expect(await desk.approve(asked, grace)).toMatchObject({ ok: true });
    const open = await proposed(elevation, person("newcomer"));
    const other = await newcomer({ roles: ["auditor"], signIn: bob });
    expect(await desk.approve(await proposed(asking(other)), grace)).toMatchObject({ ok: true });
    expect((await find("n"))?.roles).toEqual(["auditor"]);
    expect(await desk.approve(open, person("bob-2", "bob"))).toMatchObject(notOpen);
    // of the person before, stored by a request that was under way
    const late = await proposed(elevation, person("newcomer"));
    expect(await desk.approve(late, person("bob-2", "bob"))).toMatchObject(notOpen);
    expect([(await find("n"))?.roles, await stateOf(late)]).toEqual([["auditor"], "open"]);
  });

  test("a person does not approve that an operator of the same person becomes a machine", async ({
    expect,
  }) => {
    await admit(person("newcomer"), "n");
    const { signIn: _none, ...machine } = await newcomer({ kind: "machine" });
    expect(await desk.approve(await proposed(asking(machine)), person("other", "newcomer"))).toMatchObject({
      error: { problem: { reason: "proposal_own" } },
    });
  });

  test.for(["suspendOperator", "removeOperator"] as const)(
    "%s closes the open proposals of the operator and about it, and no later proposal of it is approved",
    async (act, { expect }) => {
      await admit(person("newcomer"), "n", ["registry-admin"]);
      const author = person("newcomer");
      const open = [
        await proposed(elevation, author),
        await proposed({ kind: "change", why: "x", change: await wider() }, author),
        await proposed(asking(await newcomer({ id: "friend", x5t: x5t("f"), signIn: bob })), author),
        await proposed(asking(await newcomer({ roles: ["approver"] }))),
      ];
      const kept = await proposed(asking(await newcomer({ id: "third", x5t: x5t("t"), signIn: bob })));
      await registrar[act]("newcomer", "ada");
      open.push(await proposed(elevation, author));
      for (const each of open) expect(await desk.approve(each, grace)).toMatchObject(notOpen);
      expect((await desk.show(open[0] ?? ""))?.proposal).toMatchObject({
        state: "closed",
        decidedBy: "ada",
      });
      expect([await quota(), await stateOf(kept)]).toEqual([100, "open"]);
    },
  );

  test("an older proposal does not bring a removed operator back", async ({ expect }) => {
    const [first, older] = [
      await proposed(asking(await newcomer())),
      await proposed(asking(await newcomer())),
    ];
    await desk.approve(first, grace);
    await registrar.removeOperator("newcomer", "ada");
    expect(await desk.approve(older, grace)).toMatchObject(notOpen);
    expect(await find("n")).toBeUndefined();
  });

  test("of two proposals about an operator that are approved at once, one is done, and no other is on record as done", async ({
    expect,
  }) => {
    await admit(person("newcomer"), "n");
    const ids = [
      await proposed(asking(await newcomer({ roles: ["revoker"], signIn: { ...bob, sub: "s1" } }))),
      await proposed(asking(await newcomer({ roles: ["revoker"], signIn: { ...bob, sub: "s2" } }))),
    ];
    const both = await Promise.allSettled(ids.map((id) => desk.approve(id, grace)));
    const done = both.map((each) => each.status === "fulfilled" && each.value.ok);
    expect(done.filter(Boolean)).toHaveLength(1);
    expect((await Promise.all(ids.map(stateOf))).map((state) => state === "approved")).toEqual(done);
  });

  test("a row that was written by hand can be changed, and the approver is shown what changes", async ({
    expect,
  }) => {
    await registry
      .prepare(
        `INSERT INTO operators (id, status, x5t, roles, kind, sign_in) VALUES ('newcomer', 'active', ?,
          '["approver", "revoker"]', 'person', '{"iss": "${iss}", "sub": "newcomer", "maxAgeSeconds": 900}')`,
      )
      .bind(x5t("n"))
      .run();
    const id = await proposed(asking(await newcomer({ roles: ["revoker"] })));
    expect(await desk.show(id)).toMatchObject({
      plan: {
        changes: [{ before: { roles: ["approver", "revoker"] }, after: { roles: ["revoker"] } }],
        opens: [expect.stringContaining("becomes active, with revoker")],
      },
    });
    expect(await desk.approve(id, grace)).toMatchObject({ ok: true });
    expect((await find("n"))?.roles).toEqual(["revoker"]);
  });
});
