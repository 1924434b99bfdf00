import * as z from "zod";
import { ok } from "#kernel/result";
import { rejectedAt, type Verb } from "./administer.ts";
import type { ConsentQuestionProblem, ConsentVersions } from "./ports.ts";

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
  changes: "nothing",
  async act({ document }) {
    const found = await consents.list(document);
    return found.ok ? ok({ answer: { consents: found.value } }) : rejected(found.error);
  },
});

const rejected = ({ reason, field }: ConsentQuestionProblem) =>
  rejectedAt(field, reason, "is missing or malformed");

/**
 * Files some patients and Consents under the first key of `CONSENT_KEY`, for an operator with the role
 * `privacy-officer`: the last step before a former key is dropped (docs/keys.md).
 */
export const refileConsentsVerb = (consents: ConsentVersions): Verb => ({
  interaction: "refile-consents",
  does: "Files some patients and Consents under the present key, and counts the rows under former keys.",
  document: z.strictObject({
    patients: z.array(z.string()).max(100).meta({ description: "`ORIGIN/Patient/ID` of each; may be empty" }),
    consents: z
      .array(z.string())
      .max(100)
      .optional()
      .meta({ description: "`ORIGIN/Consent/ID` of each; absent: none" }),
  }),
  answer: z.object({ refiled: z.number(), remaining: z.number() }),
  path: "api/consents/refilings",
  method: "POST",
  roles: ["privacy-officer"],
  changes: "repeatably",
  async act({ document }) {
    const done = await consents.refile(document);
    return done.ok ? ok({ answer: done.value }) : rejected(done.error);
  },
});
