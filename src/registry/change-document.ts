import * as z from "zod";
import { registryDocument } from "./document.ts";

const name = z.string().min(1).max(2_048);
const names = z.array(name).max(1_000).default([]);

/** The entries that a change removes, by their keys. */
const removals = z.strictObject({
  issuers: names.meta({ description: "iss of issuers of which no client and no origin is left." }),
  clients: names.meta({
    description: "Ids of clients. Their certificates, agreements and grants are removed with them.",
  }),
  agreements: names.meta({ description: "Ids of agreements of which no grant is left." }),
  grants: z
    .array(z.strictObject({ client: name, origin: name, purpose: name }))
    .max(1_000)
    .default([]),
  origins: names.meta({ description: "Names of origins of which no grant is left." }),
});

const noRemovals = { issuers: [], clients: [], agreements: [], grants: [], origins: [] };

/**
 * A change of the registry (docs/registry.md): entries that take the content given here, entries to remove,
 * and clients whose suspension ends. Entries that it does not name stay untouched. A policy never changes and
 * is never removed: records name it by its digest.
 */
export const changeDocument = z.strictObject({
  $schema: z.string().optional(),
  expects: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/u)
    .optional()
    .meta({
      description:
        "Digest of the registry that the change was planned on; `phylax registry plan` prints it. A registry that has changed meanwhile refuses the change.",
    }),
  set: registryDocument.optional().meta({
    description:
      "A registry file. Each entry in it takes exactly this content, whether or not it is registered. Of a registered agreement only `to` may change, to an earlier time.",
  }),
  remove: removals.default(noRemovals),
  reinstate: names.meta({ description: "Ids of suspended clients in `set` that become active again." }),
});

export type ChangeDocument = z.infer<typeof changeDocument>;
export type Removals = ChangeDocument["remove"];
