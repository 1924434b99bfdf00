import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as z from "zod";
import { instant } from "#kernel/clock";
import { agreementState, type AgreementState } from "#registry/ends-soon";
import { giveSubmitted, submitChange } from "../approvals/submit-change.ts";
import { checklist } from "../clients/client-list.ts";
import { posterOf, posterOptions, type Poster } from "../connection/operator-post.ts";
import { Misuse, UnusableName } from "../misuse.ts";
import { complain, giveResult, inColour, say, sayRows } from "../output.ts";
import { printable } from "../printable.ts";
import { policiesOf, readRegistryOf } from "../registry/registry-show.ts";
import { readCall, readNamedCall } from "../read-call.ts";

const agreement = z.looseObject({
  id: z.string(),
  client: z.string(),
  purposes: z.array(z.string()),
  from: z.string(),
  to: z.string(),
  kind: z.string().optional(),
  documentHash: z.string(),
});
const grant = z.looseObject({
  client: z.string(),
  origin: z.string(),
  purpose: z.string(),
  agreement: z.string(),
  policy: z.string(),
});
type Agreement = z.infer<typeof agreement>;
type Grant = z.infer<typeof grant>;

async function agreementsIn(from: Poster) {
  const { digest, lists, at } = await readRegistryOf(from);
  return {
    digest,
    at,
    lists,
    agreements: z.array(agreement).parse(lists["agreements"] ?? []),
    grants: z.array(grant).parse(lists["grants"] ?? []),
  };
}
type Registered = Awaited<ReturnType<typeof agreementsIn>>;

function named({ agreements }: Registered, id: string): Agreement {
  const found = agreements.find((each) => each.id === id);
  if (found === undefined)
    throw new UnusableName(`no agreement ${id}: \`phylax agreement list\` has their ids`);
  return found;
}

const stateOf = ({ from, to }: Agreement): AgreementState =>
  agreementState({ from: instant(Date.parse(from)), to: instant(Date.parse(to)) }, instant(Date.now()));

/** An agreement with its state and the grants that rest on it. */
const shown = (each: Agreement, grants: readonly Grant[]) => ({
  id: each.id,
  client: each.client,
  ...(each.kind !== undefined && { kind: each.kind }),
  state: stateOf(each),
  from: each.from,
  to: each.to,
  purposes: each.purposes,
  grants: grants
    .filter(({ agreement: of }) => of === each.id)
    .map(({ origin, purpose }) => `${origin}/${purpose}`),
  documentHash: each.documentHash,
});

/** Lists the agreements, or these of some clients. Returns 0; 1 if a named client has none; 2 when it is refused. */
export async function agreementList(args: readonly string[]): Promise<number> {
  const { values, positionals: clients } = readCall(args, posterOptions);
  const { agreements, grants } = await agreementsIn(posterOf(values));
  const found = agreements
    .filter(({ client }) => clients.length === 0 || clients.includes(client))
    .map((each) => shown(each, grants))
    .sort((left, right) => (left.to < right.to ? -1 : 1));
  giveResult(found);
  sayRows(
    ["agreement", "client", "state", "until", "purposes", "grants"],
    found.map(({ id, client, state, to, purposes, grants: of }) => {
      const cells = [id, client, state, to, purposes.join(" "), of.join(" ") || "no grant"];
      return { cells, line: cells.join("  ") };
    }),
  );
  if (found.length === 0) complain("no agreements: `phylax client add --help` says how one is registered");
  return found.length === 0 && clients.length > 0 ? 1 : 0;
}

/**
 * Shows an agreement. With `--document` it compares the file with the registered hash of the signed document. Returns
 * 0; 1 when the file is a different document.
 */
export async function agreementShow(args: readonly string[]): Promise<number> {
  const { values, name: id } = readNamedCall(args, { ...posterOptions, document: { type: "string" } });
  const isDocument = values.document === undefined ? undefined : hashOf(values.document);
  const registry = await agreementsIn(posterOf(values));
  const found = shown(named(registry, id), registry.grants);
  const isSame = isDocument === undefined ? undefined : isDocument === found.documentHash;
  giveResult({ ...found, ...(isSame !== undefined && { isDocument: isSame }) });
  for (const line of linesOf(found)) say(printable(line));
  if (isSame !== undefined)
    say(
      isSame
        ? inColour("green", "the file is the registered document")
        : inColour("red", "the file is not the registered document"),
    );
  return isSame === false ? 1 : 0;
}

const linesOf = ({
  id,
  client,
  kind,
  state,
  from,
  to,
  purposes,
  grants,
  documentHash,
}: ReturnType<typeof shown>) => [
  `${id}  ${client}  ${state}`,
  `  from ${from} until ${to}`,
  ...(kind === undefined ? [] : [`  kind: ${kind}`]),
  `  purposes: ${purposes.join(" ")}`,
  `  grants: ${grants.join(" ") || "none"}`,
  `  document: sha-256 ${documentHash}`,
];

/**
 * Ends an agreement now and removes its grants: refused within ten seconds. One person may do it. An agreement that
 * has not begun ends as it begins, because a registered agreement has an end after its begin.
 */
export async function agreementEnd(args: readonly string[]): Promise<number> {
  const { values, name: id } = readNamedCall(args, { ...posterOptions, why: { type: "string" } });
  const from = posterOf(values);
  const registry = await agreementsIn(from);
  const ending = named(registry, id);
  const isOver = Date.parse(ending.to) <= registry.at;
  const to = Math.max(registry.at, Date.parse(ending.from) + 1);
  // The end is never moved on: an agreement of a millisecond has ended so already.
  const endsEarlier = !isOver && to < Date.parse(ending.to);
  if (stateOf(ending) === "not begun")
    say(printable(`${id} has not begun: it ends as it begins, at ${ending.from}`));
  const change = {
    expects: registry.digest,
    ...(endsEarlier && { set: { agreements: [{ ...ending, to: new Date(to).toISOString() }] } }),
    remove: {
      grants: registry.grants
        .filter((each) => each.agreement === id)
        .map(({ client, origin, purpose }) => ({ client, origin, purpose })),
    },
  };
  const submitted = await submitChange(from, change, values.why);
  const isApplied = submitted.result?.["applied"] === true;
  const { unneeded } = isApplied ? await checklist(from, ending.client) : { unneeded: [] };
  for (const each of unneeded) say(printable(`unneeded: ${each}`));
  if (unneeded.length > 0) say(`\`phylax client remove ${ending.client}\` removes them with the client`);
  return giveSubmitted(submitted, { unneeded });
}

/**
 * Registers the agreement that follows a present agreement, and gives it the grants of the present one, in one change.
 * A signed document is never changed in place: the new document has a new id. It widens access, so a second person
 * approves it. `--from` after now is refused while the present agreement is in force.
 */
export async function agreementRenew(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, {
    ...posterOptions,
    why: { type: "string" },
    "new-id": { type: "string" },
    document: { type: "string" },
    from: { type: "string" },
    to: { type: "string" },
    purpose: { type: "string", multiple: true },
  });
  const [id, ...more] = positionals;
  const { "new-id": newId, document, to } = values;
  if (id === undefined || more.length > 0) throw new Misuse();
  if (newId === undefined || document === undefined || to === undefined)
    throw new Misuse(
      "--new-id ID, --document FILE and --to TIME: a signed document is never changed in place",
    );
  const documentHash = hashOf(document);
  const from = posterOf(values);
  const registry = await agreementsIn(from);
  const before = named(registry, id);
  if (registry.agreements.some((each) => each.id === newId))
    throw new Misuse(`${newId} is registered already: choose a new id`);
  const purposes = values.purpose ?? before.purposes;
  const grants = registry.grants.filter((each) => each.agreement === id && purposes.includes(each.purpose));
  const next = {
    ...before,
    id: newId,
    purposes,
    from: values.from ?? new Date(registry.at).toISOString(),
    to,
    documentHash,
  };
  const isPresent = Date.parse(before.from) <= registry.at && registry.at < Date.parse(before.to);
  // A grant rests on a single agreement, and moves at once.
  if (isPresent && grants.length > 0 && Date.parse(next.from) > registry.at)
    throw new Misuse(
      `--from ${next.from}: ${before.client} would be refused until then, because the grants of ${id} move at once. Renew on that day, or without --from`,
    );
  if (grants.length === 0)
    complain(
      `${id} has no grants: the new agreement gets none (\`phylax client add ${before.client} --help\`)`,
    );
  const change = {
    expects: registry.digest,
    set: {
      agreements: [next],
      policies: policiesOf(
        registry.lists,
        grants.map(({ policy }) => policy),
      ),
      grants: grants.map((each) => Object.assign({}, each, { agreement: newId })),
    },
  };
  return giveSubmitted(await submitChange(from, change, values.why));
}

const hashOf = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");
