import { runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { beforeEach, test } from "vitest";
import { instant } from "#kernel/clock";
import { Revocations, revocationsOf, type RevocationsEnv } from "#platform/revocation/object/revocations";
import { approval } from "#platform/proposals/proposal-rows";
import type * as control from "../../../workers/control/index.ts";
import { emptyRegistry, everything, sampleFile } from "./registry.ts";

// the bindings of the worker under test, and its entry points
const bindings = env as unknown as RevocationsEnv;
const { ProposalDesk: desk, RegistryDesk: writer } = exports as unknown as {
  readonly ProposalDesk: Pick<control.ProposalDesk, "propose">;
  readonly RegistryDesk: Pick<control.RegistryDesk, "apply" | "show">;
};
const ada = { operator: "ada", issuer: "https://login.example.org", subject: "ada" };
const decision = { operator: "grace", issuer: ada.issuer, subject: "grace", at: instant(Date.now()) };
const denial = { kind: "client", client: "telehealth" } as const;

let registry: D1Database;
beforeEach(async () => {
  registry = await emptyRegistry();
  const applied = await writer.apply(await sampleFile(), "replace");
  if (!applied.ok) throw new Error(applied.error.pointer);
});

/** The registry's object as a deployment with these variables runs it. */
const inDeployment = <T>(variables: object, act: (object: Revocations) => Promise<T> | T) =>
  runInDurableObject(revocationsOf(bindings), (_, state) => {
    const { APPROVALS: _one, SEEDING: _seeding, ...rest } = bindings;
    return act(new Revocations(state, { ...rest, ...variables }));
  });

/** A change of the only grant's quota, on the registry's present state. */
async function quotaOf(requests: number) {
  const grant = { ...(await sampleFile()).grants[0], quotas: { default: { requests, windowSeconds: 60 } } };
  const { digest, registry: file } = await writer.show();
  return { expects: digest, set: { policies: file.policies, grants: [grant] } };
}

async function proposed(document: object): Promise<string> {
  const made = await desk.propose(document, ada);
  if (!made.ok) throw new Error(JSON.stringify(made.error));
  return made.value.proposal;
}

for (const [name, variables] of Object.entries({
  "with two-persons": { APPROVALS: "two-persons" },
  "without a value": {},
  "with an unknown value": { APPROVALS: "one" },
}))
  test(`${name} no caller opens access alone, even a caller that says it may`, async ({ expect }) => {
    const [wider, narrower] = [await quotaOf(200), await quotaOf(50)];
    const before = await everything(registry);
    const answers = await inDeployment(variables, async (object) => [
      await object.apply(wider, "change", true),
      object.lift(denial),
    ]);
    expect(answers).toMatchObject([{ error: { reason: "approval_required" } }, "approval_required"]);
    const seeded = inDeployment(variables, async (object) => object.seed(await sampleFile(), "replace"));
    await expect(seeded).rejects.toThrow("only the sandbox");
    expect(await everything(registry)).toEqual(before);
    expect(await inDeployment(variables, (object) => object.apply(narrower, "change", false))).toMatchObject({
      ok: true,
    });
  });

test("an approval is of the stored document: a caller cannot bring a different change or a different denial", async ({
  expect,
}) => {
  const change = await quotaOf(200);
  const proposal = await proposed({ kind: "change", why: "CHG-1", change });
  const other = { ...change, set: { ...change.set, ...(await quotaOf(9_000)).set } };
  const two = { APPROVALS: "two-persons" };
  expect(
    await inDeployment(two, (object) => object.applyApproved({ proposal, change: other, decision })),
  ).toMatchObject({ ok: false, error: { reason: "conflict" } });
  expect(
    await inDeployment(two, (object) => object.applyApproved({ proposal, change, decision })),
  ).toMatchObject({ ok: true });

  const since = await inDeployment(two, async (object) => {
    object.deny(denial);
    return (await object.deniedSince(denial)) ?? 0;
  });
  const lift = await proposed({ kind: "lift", why: "CHG-2", denial });
  const liftOf = (id: string) =>
    inDeployment(two, async (object) => object.liftApproved(id, denial, since).catch(String));
  expect(await liftOf(lift), "open").toContain("no approved proposal");
  expect(await liftOf(proposal), "approved, and of a different act").toContain("no approved proposal");
  expect(await liftOf("0".repeat(32)), "unknown").toContain("no approved proposal");

  await approval(registry.withSession("first-primary"), lift, decision);
  const later = await inDeployment({ APPROVALS: "one-person" }, async (object) => {
    object.lift(denial);
    object.deny(denial);
    return (await object.deniedSince(denial)) ?? 0;
  });
  expect(later).toBeGreaterThan(since);
  expect(
    await inDeployment(two, async (object) => object.liftApproved(lift, denial, later).catch(String)),
    "approved for the denial before",
  ).toContain("no approved proposal");
});
