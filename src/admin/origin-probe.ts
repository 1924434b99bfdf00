import * as z from "zod";
import { ok } from "#kernel/result";
import { originProbeDocument } from "#registry/origin-probe";
import type { Verb } from "./administer.ts";
import { orRejected } from "./change-registry.ts";
import type { RegistryDesk } from "./ports.ts";

/** Puts the findings of a probe on record, for an operator with the role `registry-admin`. */
export const recordProbeVerb = (registry: Pick<RegistryDesk, "probed">): Verb => ({
  interaction: "record-origin-probe",
  does: "Records what a probe of a registered origin found, and compares it with the origin's entry.",
  document: originProbeDocument,
  answer: z.object({
    otherwise: z
      .array(z.string())
      .meta({ description: "The members of the entry of which the probe found less." }),
  }),
  changes: "repeatably",
  method: "POST",
  path: "api/origins/probes",
  roles: ["registry-admin"],
  async act({ document, operator }) {
    const recorded = orRejected(await registry.probed(document, operator.id));
    if (!recorded.ok) return recorded;
    const { otherwise } = recorded.value;
    return ok({ answer: { otherwise }, effect: [recorded.value] });
  },
});
