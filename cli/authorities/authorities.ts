import * as z from "zod";
import { authoritiesPageMax } from "#identity/authority/authority-document";
import { listByState } from "../approvals/list-by-state.ts";
import { postAsOperator } from "../connection/operator-post.ts";
import { revokeCommand } from "../registry/revoke.ts";

const answer = z.object({
  authorities: z.array(
    z.object({
      id: z.string(),
      client: z.string(),
      origin: z.string(),
      purpose: z.string(),
      agreement: z.string(),
      boundTo: z.string(),
      task: z.string(),
      madeAt: z.number(),
      endsAt: z.number(),
      endedAt: z.number().nullable(),
      endedBy: z.string().nullable(),
    }),
  ),
});

/** Lists the stored authorities under which jobs act. Returns 0. */
export const authoritiesList = (args: readonly string[]): Promise<number> =>
  listByState(args, {
    noun: "authorities",
    columns: ["authority", "client", "grant", "task", "ends", "state"],
    pageMax: authoritiesPageMax,
    ask: (from, state, after) => postAsOperator(from, "api/authorities", JSON.stringify({ state, after })),
    rowsOf: (body) => answer.parse(body).authorities,
    shown({ id, client, origin, purpose, task, endsAt, endedAt, endedBy }) {
      const state = endedAt === null ? "live" : `ended by ${endedBy ?? ""} at ${timeOf(endedAt)}`;
      const cells = [id, client, `${origin}/${purpose}`, task, timeOf(endsAt), state];
      return { cells, line: cells.join(" ") };
    },
  });

/** Ends an authority by its denial. Returns as {@link revokeCommand}. */
export const authoritiesEnd = (args: readonly string[]): Promise<number> =>
  revokeCommand(["authority", ...args]);

const timeOf = (at: number): string => new Date(at).toISOString();
