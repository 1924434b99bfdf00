import * as z from "zod";
import { parsePolicyDocument, policyDigest } from "#policy/document";
import { giveSubmitted, submitChange } from "../approvals/submit-change.ts";
import { posterOf, posterOptions } from "../connection/operator-post.ts";
import { readJsonFile } from "../json-file.ts";
import { Misuse, UnusableName } from "../misuse.ts";
import { readRegistryOf } from "../registry/registry-show.ts";
import { complain } from "../output.ts";
import { readCall } from "../read-call.ts";

/**
 * Publishes policies, and gives the named grants the (only) policy. Each policy's examples are proven first. With
 * `--why` it makes a proposal. Returns 0 when that is done, 2 when it is refused.
 */
export async function policyPublish(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, {
    ...posterOptions,
    why: { type: "string" },
    grant: { type: "string", multiple: true, default: [] },
  });
  if (positionals.length === 0 || (values.grant.length > 0 && positionals.length > 1))
    throw new Misuse("--grant takes one policy: CLIENT/ORIGIN/PURPOSE");
  const policies: { readonly name: string; readonly body: unknown; readonly digest: string }[] = [];
  for (const file of positionals) {
    const read = readJsonFile(file);
    const document = read.ok ? parsePolicyDocument(read.value) : undefined;
    if (document?.ok !== true) {
      const problem = read.ok
        ? `${document?.error.pointer ?? ""} ${document?.error.problem ?? ""}`
        : read.error;
      complain(`${file}: ${problem}`);
      return 2;
    }
    const { value } = document;
    policies.push({ name: value.name, body: read.ok ? read.value : {}, digest: await policyDigest(value) });
  }
  const from = posterOf(values);
  const registered = values.grant.length === 0 ? undefined : await readRegistryOf(from);
  const grants = grantsOf(registered?.lists["grants"] ?? [], values.grant, policies[0]?.digest ?? "");
  const set = { policies: policies.map(({ name, body }) => ({ name, body })), grants };
  // An empty list would be more than the publication that a policy author may propose.
  return giveSubmitted(
    await submitChange(
      from,
      registered === undefined ? { set: { policies: set.policies } } : { expects: registered.digest, set },
      values.why,
    ),
    { policies: policies.map(({ name, digest }) => ({ name, digest })) },
  );
}

const grant = z.looseObject({ client: z.string(), origin: z.string(), purpose: z.string() });

/** The named grants as they are registered, each with the new policy. */
function grantsOf(registered: unknown, named: readonly string[], policy: string): readonly object[] {
  const grants = z.array(grant).parse(registered);
  return named.map((name) => {
    const found = grants.find((each) => `${each.client}/${each.origin}/${each.purpose}` === name);
    if (found === undefined)
      throw new UnusableName(`no grant ${name}: \`phylax registry show grants\` has the grants`);
    return { ...found, policy };
  });
}
