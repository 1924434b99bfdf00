import { WorkerEntrypoint } from "cloudflare:workers";
import * as z from "zod";
import { err, ok, type Result } from "#kernel/result";
import { key32 } from "#platform/config/gateway-config";
import { ConsentNames } from "./consent-names.ts";
import { versionsOf, type FiledRow } from "./consent-rows.ts";

interface ConsentHistoryEnv {
  readonly REGISTRY: D1Database;
  readonly CONSENT_KEY: string;
}

/** A version of a Consent on file, without its content. */
export interface VersionOnFile extends Pick<
  FiledRow,
  "consent" | "digest" | "isActive" | "mayPermit" | "filedBy" | "filedAt"
> {
  /** \`<origin>/Patient/<id>\`. */
  readonly patient: string;
}

/** Why a question is refused: the name of its first bad field. */
export interface HistoryProblem {
  readonly reason: "consents_malformed";
  readonly field: string;
}

const question = z.strictObject({
  patients: z
    .array(z.string().regex(/^[a-z][a-z0-9-]{0,63}\/Patient\/[A-Za-z0-9.-]{1,64}$/u))
    .min(1)
    .max(100),
});

/** Answers which Consents of a patient were on file, and when: for the officer who proves a withdrawal. */
export class ConsentHistory extends WorkerEntrypoint<ConsentHistoryEnv> {
  /** Every version of the Consents of these patients, the oldest first. Throws when D1 does not answer. */
  async list(document: unknown): Promise<Result<readonly VersionOnFile[], HistoryProblem>> {
    const read = question.safeParse(document);
    if (!read.success)
      return err({ reason: "consents_malformed", field: String(read.error.issues[0]?.path[0] ?? "") });
    const names = new ConsentNames(key32("CONSENT_KEY", this.env.CONSENT_KEY));
    const patients = new Map(
      read.data.patients.map((patient) => {
        const [origin = "", , id = ""] = patient.split("/");
        return [names.ofPatient(origin, id), patient];
      }),
    );
    const rows = await versionsOf(this.env.REGISTRY.withSession("first-primary"), [...patients.keys()]);
    return ok(
      rows.flatMap(({ subject, consent, digest, isActive, mayPermit, filedBy, filedAt }) => {
        const patient = patients.get(subject);
        return patient === undefined
          ? []
          : [{ patient, consent, digest, isActive, mayPermit, filedBy, filedAt }];
      }),
    );
  }
}
