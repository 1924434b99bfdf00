import type { Reply, Sending } from "../../cli/connection/mutual-tls.ts";
import type { Door } from "./in-process/door.ts";
import {
  askAs,
  issuerEntry,
  joined,
  type OutsideClient,
  outsideClient,
  outsider,
  outsideToken,
} from "./outside.ts";

/** What a client of an external issuer is granted, and what its tokens claim besides. */
export interface OutsideApp {
  readonly purpose?: string;
  readonly policy: string;
  readonly scopes: string;
  readonly claims?: object;
}

/** Asks as a client, with its certificate and a new token. `claims` are in addition to the client's claims. */
export type AskAs<Who extends string> = (
  who: Who,
  path: string,
  sending?: Sending,
  claims?: object,
) => Promise<Reply>;

/** Adds clients of one external issuer, and their policies, to a door. Each client's id is its name in the table. */
export async function outsideApps<Who extends string>(
  door: Pick<Door, "dev" | "applyRegistry">,
  apps: Readonly<Record<Who, OutsideApp>>,
  policies: readonly { readonly name: string; readonly body: object }[],
): Promise<AskAs<Who>> {
  const issuer = await outsider("https://apps.example", "phylax");
  const clients = new Map<Who, OutsideClient>();
  for (const who of Object.keys(apps) as Who[])
    clients.set(who, await outsideClient(door, issuer, who, apps[who]));
  const issuers = [issuerEntry(issuer, { purpose: { claim: "purpose" } })];
  await door.applyRegistry(
    joined({ issuers, policies }, ...[...clients.values()].map(({ entries }) => entries)),
  );
  return async (who, path, sending = {}, claims = {}) => {
    const { certificate } = clients.get(who) ?? {};
    if (certificate === undefined) throw new Error(`${who} is no client`);
    const { purpose = "PATRQT", scopes: scope, claims: own } = apps[who];
    const said = { client_id: who, scope, purpose, ...own, ...claims };
    return askAs(door, certificate, await outsideToken(issuer, certificate, said), path, sending);
  };
}

/** Registers the door's origin with these facts about it. */
export const registerMain = (door: Pick<Door, "dev" | "applyRegistry">, facts: object): Promise<void> =>
  door.applyRegistry({
    origins: [{ name: "main", url: door.dev.origin, credentials: { kind: "none" }, ...facts }],
  });
