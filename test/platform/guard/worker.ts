import { WorkerEntrypoint } from "cloudflare:workers";
import type { RevocationUpdate } from "#registry/revocation";
import { RevocationFeed } from "#platform/revocation/isolate/feed";

export { DataSetCodes } from "#platform/codes/object/data-set-codes";
export { ClientGuard } from "#platform/guard/object/client-guard";
export { Revocations } from "#platform/revocation/object/revocations";

/** The connection between a guard and the revocations, as the test sets it. */
export const line = { state: "up" as "up" | "down" | "silent", reads: 0, slowFor: "" };

/** The feed of `control`, behind a connection that can break. */
export class Feed extends RevocationFeed {
  override async news(...asked: Parameters<RevocationFeed["news"]>): Promise<RevocationUpdate> {
    line.reads += 1;
    if (line.state === "silent") await scheduler.wait(60_000);
    if (asked[0].issuers[0] === line.slowFor) await scheduler.wait(300);
    if (line.state !== "up") throw new Error("the line is down");
    return await super.news(...asked);
  }
}

/** The ends of agreements in the registry, or a registry that does not answer. */
export const agreements = new Map<string, number | "down">();

export class Agreements extends WorkerEntrypoint {
  endOf(_client: string, agreement: string): number | undefined {
    const ends = agreements.get(agreement);
    if (ends === "down") throw new Error("the line is down");
    return ends;
  }
}

export default { fetch: () => new Response(null, { status: 404 }) } satisfies ExportedHandler;
