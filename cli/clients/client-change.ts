import * as z from "zod";
import { giveSubmitted, submitChange, type DraftChange } from "../approvals/submit-change.ts";
import { posterOf, posterOptions, type Poster } from "../connection/operator-post.ts";
import { Misuse, UnusableName } from "../misuse.ts";
import { policiesOf, readRegistryOf } from "../registry/registry-show.ts";
import { certificateText } from "./certificate-file.ts";
import { readJwks } from "./client-add.ts";
import { noClient } from "./client-list.ts";
import { thumbprintOf } from "./thumbprint.ts";
import { readNamedCall } from "../read-call.ts";

const client = z.looseObject({
  id: z.string(),
  certificates: z.array(z.unknown()).default([]),
  jwks: z.object({ keys: z.array(z.looseObject({ kid: z.string().optional() })) }).optional(),
});
const agreement = z.looseObject({ id: z.string(), client: z.string(), to: z.string() });
const grant = z.looseObject({
  client: z.string(),
  origin: z.string(),
  purpose: z.string(),
  agreement: z.string(),
  quotas: z.looseObject({}),
});

/** The registered entries of a client, as a registry file has them. */
async function entriesOf(from: Poster, id: string) {
  const { digest, lists } = await readRegistryOf(from);
  const found = z
    .array(client)
    .parse(lists["clients"])
    .find((each) => each.id === id);
  if (found === undefined) throw new UnusableName(noClient([id]));
  const grants = z
    .array(grant)
    .parse(lists["grants"])
    .filter((each) => each.client === id);
  return {
    digest,
    policies: policiesOf(
      lists,
      grants.map(({ policy }) => policy),
    ),
    client: found,
    agreements: z
      .array(agreement)
      .parse(lists["agreements"])
      .filter((each) => each.client === id),
    grants,
  };
}

type Entries = Awaited<ReturnType<typeof entriesOf>>;
type Options = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

/** A command that changes a registered client: its options, and the change that they ask for. */
const changer =
  (
    more: Readonly<Record<string, { readonly type: "string" | "boolean"; readonly multiple?: boolean }>>,
    draft: (entries: Entries, options: Options) => DraftChange,
  ) =>
  async (args: readonly string[]): Promise<number> => {
    const { values, name: id } = readNamedCall(args, { ...posterOptions, why: { type: "string" }, ...more });
    const from = posterOf(values);
    const entries = await entriesOf(from, id);
    const change = { expects: entries.digest, ...draft(entries, values) };
    return giveSubmitted(await submitChange(from, change, values.why));
  };

const listOf = (value: Options[string]): readonly string[] => [value ?? []].flat().map(String);

/** Adds certificates and keys next to the present ones, so that both are accepted at once. */
export const clientRotate = changer(
  { cert: { type: "string", multiple: true }, jwks: { type: "string" } },
  ({ client: { certificates, jwks, ...entry } }, options) => {
    const added = listOf(options["cert"]).map(certificateText);
    const keys = options["jwks"] === undefined ? [] : readJwks(String(options["jwks"])).keys;
    if (added.length + keys.length === 0) throw new Misuse("--cert PEM or --jwks FILE has what is added");
    return {
      set: {
        clients: [
          {
            ...entry,
            certificates: [...certificates, ...added],
            ...((jwks !== undefined || keys.length > 0) && {
              jwks: { keys: [...(jwks?.keys ?? []), ...keys] },
            }),
          },
        ],
      },
    };
  },
);

/** Ends the overlap: removes certificates (a PEM file or a thumbprint) and keys (by `kid`). */
export const clientRetire = changer(
  { cert: { type: "string", multiple: true }, kid: { type: "string", multiple: true } },
  ({ client: { certificates, jwks, ...entry } }, options) => {
    if (options["cert"] === undefined && options["kid"] === undefined)
      throw new Misuse("--cert PEM|X5T or --kid KID names what is removed");
    const thumbprints = listOf(options["cert"]).map(thumbprintOf);
    const kids = new Set(listOf(options["kid"]));
    const unknown = [
      ...thumbprints.filter((x5t) => !certificates.includes(x5t)),
      ...[...kids].filter((kid) => jwks?.keys.every((key) => key.kid !== kid) !== false),
    ];
    if (unknown.length > 0)
      throw new UnusableName(
        `${entry.id} has no certificate or key ${unknown.join(", ")}: \`phylax registry show clients --json\` has their names`,
      );
    return {
      set: {
        clients: [
          {
            ...entry,
            certificates: certificates.filter((each) => !thumbprints.some((x5t) => x5t === each)),
            ...(jwks !== undefined && {
              jwks: { keys: jwks.keys.filter(({ kid }) => kid === undefined || !kids.has(kid)) },
            }),
          },
        ],
      },
    };
  },
);

export const clientSuspend = changer({}, ({ client: entry }) => ({
  set: { clients: [{ ...entry, status: "suspended" }] },
}));

export const clientReinstate = changer({}, ({ client: entry }) => ({
  set: { clients: [{ ...entry, status: "active" }] },
  reinstate: [entry.id],
}));

/** Ends agreements now: every request under them is refused within ten seconds. Their grants are removed. */
export const clientEnd = changer(
  { agreement: { type: "string", multiple: true } },
  ({ client: entry, agreements, grants }, options) => {
    const named = new Set(listOf(options["agreement"]));
    const ending = agreements.filter(({ id }) => named.size === 0 || named.has(id));
    if (ending.length === 0 || [...named].some((name) => ending.every(({ id }) => id !== name)))
      throw new UnusableName(
        `${entry.id} has no agreement${named.size === 0 ? "" : ` ${[...named].join(", ")}`}: \`phylax agreement list\` has their ids`,
      );
    const ended = new Date().toISOString();
    return {
      set: {
        agreements: ending
          .filter(({ to }) => Date.parse(to) > Date.parse(ended))
          .map((each) => Object.assign({}, each, { to: ended })),
      },
      remove: {
        grants: grants
          .filter((each) => ending.some(({ id }) => id === each.agreement))
          .map(({ client: of, origin, purpose }) => ({ client: of, origin, purpose })),
      },
    };
  },
);

/** Removes a client with its certificates, agreements and grants. */
export const clientRemove = changer({}, ({ client: { id } }) => ({ remove: { clients: [id] } }));

/** Sets the default quota of the client's grants, or of a grant (`--grant ORIGIN/PURPOSE`). */
export const clientQuota = changer(
  { grant: { type: "string" }, requests: { type: "string" }, window: { type: "string" } },
  ({ grants, policies }, options) => {
    const requests = Number(options["requests"]);
    const windowSeconds = Number(options["window"] ?? 60);
    const named = grants.filter(
      ({ origin, purpose }) => options["grant"] === undefined || options["grant"] === `${origin}/${purpose}`,
    );
    if (!Number.isInteger(requests) || !Number.isInteger(windowSeconds))
      throw new Misuse("--requests and --window are whole numbers");
    if (named.length === 0)
      throw new UnusableName(
        "no such grant of this client: `phylax client list --json` has its grants, ORIGIN/PURPOSE",
      );
    return {
      set: {
        policies,
        grants: named.map(({ quotas, ...entry }) =>
          Object.assign(entry, { quotas: { ...quotas, default: { requests, windowSeconds } } }),
        ),
      },
    };
  },
);
