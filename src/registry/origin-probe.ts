import * as z from "zod";
import { probedMembers, slug } from "./document.ts";
import type { OriginEntry } from "./state.ts";

const parameters = z
  .array(z.string().regex(/^[A-Z][A-Za-z]{1,63}:_?[A-Za-z][A-Za-z0-9-]{0,63}$/u))
  .max(4_096);

/** The findings of a probe of a registered origin (docs/origins.md). They contain no row of the server. */
export const originProbeDocument = z.strictObject({
  origin: slug,
  url: z.string().max(2_048).meta({
    description: "The url of the entry that was probed. The findings of a different server are refused.",
  }),
  wrote: z.boolean().meta({
    description:
      "true: the probe wrote synthetic resources, so it found out what the server does with writes.",
  }),
  members: probedMembers.meta({ description: "The members for the entry, as the probe found them." }),
  missing: parameters.meta({
    description: "`Type:parameter` that the server states and ignores or refuses.",
  }),
  unproven: parameters.default([]).meta({
    description:
      "`Type:parameter` that the server states and of which no answer could show anything: it has no such rows.",
  }),
});

export type OriginProbe = z.infer<typeof originProbeDocument>;

/** The parameters that a server states, by what a probe showed of them. */
export interface ProbedParameters {
  /** Answers followed them. */
  readonly proven: readonly string[];
  /** No answer could show anything: they are sent, and each row is judged anyway. */
  readonly stated: readonly string[];
  /** The server ignored or refused them: they are not sent. */
  readonly refused: readonly string[];
}

export function probedParameters({ members, missing, unproven }: OriginProbe): ProbedParameters {
  const stated = new Set(unproven);
  const found = Object.entries(members.capabilities?.types ?? {}).flatMap(([type, { search }]) =>
    search.map((code) => `${type}:${code}`),
  );
  return { proven: found.filter((name) => !stated.has(name)), stated: unproven, refused: missing };
}

const capabilityNames = [
  "updateAsCreate",
  "honoursIfMatchOnUpdate",
  "honoursIfNoneExist",
  "searchByPost",
  "elements",
  "chains",
  "total",
  "strict",
  "pageLinks",
] as const;

/**
 * The members of an entry of which the probe found less: the gateway would rely on something that the server
 * does not do. Each member that the probe could not try is left out, and so is each ability that the entry
 * does not list, because the gateway does not use it. Sorted paths below the entry.
 */
export function probedOtherwise(entry: OriginEntry, { members, missing }: OriginProbe): readonly string[] {
  const stated = entry.capabilities;
  const found = members.capabilities;
  const names = new Set(entry.alsoKnownAs);
  const otherwise = [
    ...((members.alsoKnownAs ?? []).some((name) => !names.has(name)) ? ["alsoKnownAs"] : []),
    ...(entry.transactions === "atomic" && members.transactions === "partial" ? ["transactions"] : []),
    ...(entry.honoursIfMatchOnDelete === true && members.honoursIfMatchOnDelete === false
      ? ["honoursIfMatchOnDelete"]
      : []),
    ...capabilityNames.flatMap((name) =>
      stated?.[name] === true && found?.[name] === false ? [`capabilities/${name}`] : [],
    ),
    ...((stated?.pageMax ?? 0) > (found?.pageMax ?? Infinity) ? ["capabilities/pageMax"] : []),
    ...(stated?.everything !== undefined &&
    found?.everything !== undefined &&
    everythingOrder.indexOf(found.everything) > everythingOrder.indexOf(stated.everything)
      ? ["capabilities/everything"]
      : []),
    ...(found?.types === undefined ? [] : lessOfTypes(stated?.types ?? {}, found.types, new Set(missing))),
  ];
  return otherwise.toSorted();
}

const everythingOrder = ["with-type", "without-type", "none"];

type Types = NonNullable<NonNullable<OriginEntry["capabilities"]>["types"]>;

function lessOfTypes(stated: Types, found: Types, missing: ReadonlySet<string>): readonly string[] {
  return Object.entries(stated).flatMap(([type, { interactions, search }]) => {
    const path = `capabilities/types/${type}`;
    const now = found[type];
    if (now === undefined) return [path];
    const lacking: string[] = interactions.filter((code) => !now.interactions.includes(code));
    const ignored = search.filter((code) => missing.has(`${type}:${code}`)).map((code) => `search/${code}`);
    return lacking.concat(ignored).map((part) => `${path}/${part}`);
  });
}
