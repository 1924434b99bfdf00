import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { adminVerbs } from "#admin/app";
import { openApiDocument } from "#admin/openapi";
import type { RefusalRow } from "#entrypoint/public-face";
import { allRefusals } from "#entrypoint/all-refusals";
import { recordedOnly } from "#entrypoint/client-refusals";
import { instant } from "#kernel/clock";
import { publishedPolicySchema } from "#policy/published-schema";
import { registryDocument } from "#registry/document";
import { nameOf, optionsOf } from "../../cli/commands/command.ts";
import { commands } from "../../cli/commands/commands.ts";
import { environmentSchema } from "../../cli/deploy/environment.ts";
import frozen from "../frozen-names.json" with { type: "json" };
import { nobodySignsIn, recordsOnly, registryUnasked } from "./admin-door.ts";
import type { Contracts } from "./contract-changes.ts";

// The document is made from the verbs; none of them runs.
const unasked = async (): Promise<never> => {
  throw new Error("no verb runs here");
};

const folder = join(import.meta.dirname, "../../contracts");

/** The contracts of the sources as they are now. */
export function presentContracts(): Contracts {
  const verbs = adminVerbs({
    ...nobodySignsIn,
    operators: { find: async () => undefined },
    registry: { ...registryUnasked, apply: unasked, revoke: unasked, lift: unasked },
    ledger: recordsOnly(async () => "counted"),
    clock: () => instant(0),
  });
  return {
    openApi: plain(openApiDocument(verbs, "https://ops.example.org")),
    files: {
      registry: plain(z.toJSONSchema(registryDocument, { io: "input" })),
      policy: plain(publishedPolicySchema("input")),
      environment: plain(z.toJSONSchema(environmentSchema, { io: "input" })),
    },
    devFile: frozen["dev.json keys"],
    reasons: {
      ...Object.fromEntries(Object.entries(allRefusals).map(([reason, row]) => [reason, faceOf(row)])),
      ...Object.fromEntries(Object.keys(recordedOnly).map((reason) => [reason, { record: true }])),
    },
    verbs: Object.fromEntries(
      commands.map((command) => {
        const { form, members } = command.result;
        return [
          nameOf(command),
          { options: optionsOf(command).toSorted(), form, members: Object.keys(members) },
        ];
      }),
    ),
  };
}

/** The parts of a face that a program reads: texts may change. */
function faceOf({ gateway, token, admin }: RefusalRow): object {
  return {
    ...(gateway && { gateway: [gateway.status, gateway.code] }),
    ...(token && { token: [token.status, token.error] }),
    ...(admin && { admin: [admin.status] }),
  };
}

/** A copy without descriptions, because texts may change. A member of that name has a schema and no text. */
const plain = (value: unknown): Readonly<Record<string, unknown>> =>
  JSON.parse(
    JSON.stringify(value, (name, part: unknown) =>
      (name === "description" || name === "summary") && typeof part === "string" ? undefined : part,
    ),
  );

export const contractsFile = (version: string): string => join(folder, version, "contracts.json");

/** The contracts of a release. */
export const storedContracts = (version: string): Contracts =>
  JSON.parse(readFileSync(contractsFile(version), "utf8"));
