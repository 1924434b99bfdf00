import { needsApproval } from "#registry/problem";
import * as z from "zod";
import { changeRegistryVerb, showRegistryVerb } from "#admin/change-registry";
import type { AdminPorts } from "#admin/ports";
import { proposeVerb } from "#admin/proposals";
import { isNarrowerPolicy } from "#authoring/openings";
import { grantName } from "#audit/grant-name";
import { err, ok, type Result } from "#kernel/result";
import { parsePolicyDocument, policyDigest } from "#policy/document";
import { grantsOf, registryViewOf, type RegistryView, type ShownGrant } from "./registry-view.ts";
import { texts } from "./texts.ts";
import type { ConsoleVisit, VerbRefused } from "./visit.ts";

const decisionForm = z.object({
  client: z.string(),
  origin: z.string(),
  purpose: z.string(),
  /** The name of the policy that was reviewed. */
  name: z.string(),
  /** The digest of its content: two versions of a policy may have had one name. */
  digest: z.string(),
  act: z.enum(["narrow", "remove"]),
  policy: z.string().optional(),
});
type Decision = z.output<typeof decisionForm>;

/** The answer to a decision, for the script of the page. */
export interface DecisionAnswer {
  readonly status: number;
  readonly says: string;
}

/**
 * Applies a decision of the access review to its grant: a narrower policy, or its removal. A change that needs a
 * second person becomes a proposal. A grant that has changed since its review is not touched.
 */
export async function decideOnGrant(
  { run }: Pick<ConsoleVisit, "run">,
  form: URLSearchParams,
  admin: Pick<AdminPorts, "registry" | "proposals" | "approvals">,
): Promise<DecisionAnswer> {
  const { review } = texts;
  const decision = decisionForm.safeParse(Object.fromEntries(form));
  if (!decision.success) return { status: 400, says: review.changed };
  const shown = await run(showRegistryVerb(admin.registry));
  if (!shown.ok) return refused(shown.error);
  const view = registryViewOf(shown.value);
  const { client, origin, purpose, name, digest } = decision.data;
  const grant = grantsOf(view, client).find((each) => each.origin === origin && each.purpose === purpose);
  if (grant === undefined || grant.policy !== name) return { status: 409, says: review.changed };
  const body = policyIn(view, name);
  if (digest === "" || (await digestOf(body)) !== digest) return { status: 409, says: review.changed };
  const draft = await draftOf(decision.data, grant, body);
  if (!draft.ok) return { status: 400, says: draft.error };
  const change = { expects: view.digest, ...draft.value };
  const done = await applyOrPropose({ run }, { change, why: review.why(grantName(grant)) }, admin);
  return done.ok ? { status: 200, says: review[done.value] } : refused(done.error);
}

/** Applies a change. A change that needs a second person becomes a proposal. `once`: of the form. */
export async function applyOrPropose(
  { run }: Pick<ConsoleVisit, "run">,
  {
    change,
    why,
    once,
  }: { readonly change: object; readonly why: string; readonly once?: string | undefined },
  { registry, proposals, approvals }: Pick<AdminPorts, "registry" | "proposals" | "approvals">,
): Promise<Result<"applied" | "proposed", VerbRefused>> {
  const done = await run(changeRegistryVerb(registry, approvals), { document: change, once });
  if (done.ok) return ok("applied");
  if (done.error.detail?.startsWith(needsApproval) !== true) return done;
  const proposed = await run(proposeVerb(proposals), {
    document: { kind: "change", why, change },
    once: once === undefined ? undefined : `${once}-proposal`, // a key is of one request
  });
  return proposed.ok ? ok("proposed") : proposed;
}

/** The digests of the registry's policies, by name, for the page: a decision names the content that it is about. */
export async function reviewedDigests(view: RegistryView): Promise<ReadonlyMap<string, string>> {
  const policies = view.registry.policies ?? [];
  return new Map(
    await Promise.all(policies.map(async ({ name, body }) => [name, await digestOf(body)] as const)),
  );
}

/** Empty for a body that is no policy: no decision is about it. */
async function digestOf(body: unknown): Promise<string> {
  const document = parsePolicyDocument(body);
  return document.ok ? policyDigest(document.value) : "";
}

const policyIn = ({ registry }: RegistryView, name: string): unknown =>
  registry.policies?.find((policy) => policy.name === name)?.body;

async function draftOf(
  { act, policy }: Decision,
  grant: ShownGrant,
  reviewed: unknown,
): Promise<Result<object, string>> {
  const { client, origin, purpose } = grant;
  if (act === "remove") return ok({ remove: { grants: [{ client, origin, purpose }] } });
  const entry = policyEntry.safeParse(jsonOf(policy));
  if (!entry.success) return err(texts.review.changed);
  const document = parsePolicyDocument(entry.data.body);
  if (!document.ok) return err(document.error.problem);
  // The browser made the policy: its word that the policy is narrower does not count.
  if (!isNarrowerPolicy(reviewed, document.value)) return err(texts.review.notNarrower);
  const narrower = { ...grant, policy: await policyDigest(document.value) };
  return ok({ set: { policies: [entry.data], grants: [narrower] } });
}

const policyEntry = z.strictObject({ name: z.string(), body: z.looseObject({}) });

function jsonOf(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined; // the form's reader refuses it
  }
}

const refused = ({ status, title, detail }: VerbRefused): DecisionAnswer => ({
  status,
  says: texts.review.refused(title, detail ?? ""),
});
