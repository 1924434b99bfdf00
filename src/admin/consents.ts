import * as z from "zod";
import { err, ok } from "#kernel/result";
import type { Verb } from "./administer.ts";
import type { ConsentVersions } from "./ports.ts";

/**
 * Lists the versions of the Consents of some patients, without their content, for an operator with the role
 * `privacy-officer`: the proof that a withdrawal counted needs their names.
 */
export const listConsentsVerb = (consents: ConsentVersions): Verb => ({
  interaction: "list-consents",
  does: "The versions of the Consents of some patients, without their content.",
  document: z.looseObject({}),
  answer: z.object({ consents: z.array(z.looseObject({})) }),
  path: "api/consents",
  method: "POST",
  roles: ["privacy-officer"],
  changes: false,
  isRepeatable: true,
  async act({ document }) {
    const found = await consents.list(document);
    if (found.ok) return ok({ answer: { consents: found.value } });
    const { reason, field } = found.error;
    return err({ reason, pointer: field === "" ? "" : `/${field}`, detail: "is missing or malformed" });
  },
});
