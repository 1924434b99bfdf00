import * as z from "zod";
import { ok } from "#kernel/result";
import { originProbeDocument } from "#registry/origin-probe";
import type { Verb } from "./administer.ts";
import { orRejected, registryReaders } from "./change-registry.ts";
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

const names = z.array(z.string());

/** The last probe of each origin, with each parameter in its state. */
export const listProbesVerb = (registry: Pick<RegistryDesk, "probes">): Verb => ({
  interaction: "list-origin-probes",
  does: "The last probe of each origin: when, by whom and how it was made, and the parameters that it proved, could not try, or found refused.",
  answer: z.object({
    probes: z.array(
      z.object({
        origin: z.string(),
        at: z.int().meta({ description: "Milliseconds since 1970." }),
        by: z.string(),
        how: z.enum(["reading", "writing"]),
        otherwise: names,
        parameters: z.object({ proven: names, stated: names, refused: names }),
      }),
    ),
  }),
  changes: "nothing",
  method: "GET",
  path: "api/origins/probes",
  roles: registryReaders,
  async act() {
    return ok({ answer: { probes: await registry.probes() } });
  },
});
