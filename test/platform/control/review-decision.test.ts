import { exports } from "cloudflare:workers";
import { beforeEach, test } from "vitest";
import type { Verb } from "#admin/administer";
import type { Operator } from "#admin/operator";
import type { AdminPorts } from "#admin/ports";
import { decideOnGrant, reviewedDigests } from "#console/review-decision";
import { registryViewOf } from "#console/registry-view";
import type { VerbAsked } from "#console/visit";
import { err, ok } from "#kernel/result";
import type * as control from "../../../workers/control/index.ts";
import { emptyRegistry, sampleFile } from "./registry.ts";

// the entry points of the worker under test
const { RegistryDesk: registry, ProposalDesk: proposals } = exports as unknown as {
  readonly RegistryDesk: AdminPorts["registry"] & Pick<control.RegistryDesk, "apply" | "show">;
  readonly ProposalDesk: AdminPorts["proposals"];
};
const writer: Pick<control.RegistryDesk, "apply" | "show"> = registry;
const operator: Operator = {
  id: "ada",
  roles: ["registry-admin"],
  kind: "person",
  signIn: undefined,
  status: "active",
};

/** A verb as the console runs it, without its sign-in and records. */
const run = async (verb: Verb, { document }: VerbAsked = {}) => {
  const done = await verb.act({
    requestId: "",
    document,
    operator,
    parameters: {},
    ifMatch: undefined,
    accept: null,
    mayStill: async () => true,
  });
  if (done.ok) return ok(JSON.parse(JSON.stringify(done.value.answer)));
  const { reason, detail, pointer } = done.error;
  return err({ status: 422, title: reason, detail, pointer, requestId: "" });
};

const shown = async () => registryViewOf(await writer.show());
const interactionsNow = async () => (await sampleOf()).rules[0]?.interactions;

/** The content of the grant's policy. */
async function sampleOf() {
  const { policies } = (await writer.show()).registry;
  const [policy] = (policies ?? []) as (typeof sample)["policies"];
  if (policy === undefined) throw new Error("no policy");
  return policy.body;
}

let sample: Awaited<ReturnType<typeof sampleFile>>;
const withInteractions = (interactions: readonly string[], name?: string) => {
  const policy = structuredClone(sample.policies[0]);
  if (policy?.body.rules[0] === undefined) throw new Error("no rule");
  policy.body.rules[0].interactions = [...interactions];
  return name === undefined ? policy : { name, body: { ...policy.body, name } };
};

beforeEach(async () => {
  await emptyRegistry();
  sample = await sampleFile();
  const applied = await writer.apply(
    { ...sample, policies: [withInteractions(["read", "search"])] },
    "replace",
  );
  if (!applied.ok) throw new Error(applied.error.pointer);
});

async function decide(policy: unknown, digest: string, act = "narrow") {
  const [{ client, origin, purpose, policy: name } = {}] = (await writer.show()).registry.grants ?? [];
  const form = new URLSearchParams({
    client: String(client),
    origin: String(origin),
    purpose: String(purpose),
    name: String(name),
    digest,
    act,
    policy: JSON.stringify(policy),
  });
  return (await decideOnGrant({ run }, form, { registry, proposals, approvals: "one-person" })).status;
}

const digestNow = async () => [...(await reviewedDigests(await shown())).values()][0] ?? "";

test("a review of an earlier content is refused, also if the policy of today has its name", async ({
  expect,
}) => {
  const reviewed = await digestNow();
  const [grant] = sample.grants;
  const { digest } = await writer.show();
  const colleague = await writer.apply(
    { expects: digest, set: { policies: [withInteractions(["read"])], grants: [grant] } },
    "change",
  );
  expect(colleague.ok).toBe(true);
  expect(await interactionsNow()).toEqual(["read"]);
  expect(await decide(withInteractions(["read", "search"], "stale"), reviewed)).toBe(409);
  expect(await decide(withInteractions(["read"], "stale"), "")).toBe(409);
  expect(await decide(undefined, reviewed, "remove")).toBe(409);
  expect(await interactionsNow()).toEqual(["read"]);
});

test("a policy that the browser calls narrower and that permits more is refused; a narrower policy is set", async ({
  expect,
}) => {
  const digest = await digestNow();
  expect(await decide(withInteractions(["read", "search", "create"], "wide"), digest)).toBe(400);
  expect(await interactionsNow()).toEqual(["read", "search"]);
  expect(await decide(withInteractions(["read"], "narrow"), digest)).toBe(200);
  expect(await interactionsNow()).toEqual(["read"]);
});
