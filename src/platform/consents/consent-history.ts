import { WorkerEntrypoint } from "cloudflare:workers";
import * as z from "zod";
import { err, ok, type Result } from "#kernel/result";
import { keyList } from "#platform/config/gateway-config";
import { ConsentNames, type Pseudonyms } from "./consent-names.ts";
import { filedUnderFormerKeys, refileRows, versionsOf, type FiledRow } from "./consent-rows.ts";

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

const patients = z.array(z.string().regex(/^[a-z][a-z0-9-]{0,63}\/Patient\/[A-Za-z0-9.-]{1,64}$/u)).max(100);
const question = z.strictObject({ patients: patients.min(1) });
const refiling = z.strictObject({ patients });

/** The rows of a refiling, and the rows that are not under the first key. */
export interface Refiled {
  readonly refiled: number;
  readonly remaining: number;
}

/** Answers which Consents of a patient were on file, and when: for the officer who proves a withdrawal. */
export class ConsentHistory extends WorkerEntrypoint<ConsentHistoryEnv> {
  /** Every version of the Consents of these patients, the oldest first. Throws when D1 does not answer. */
  async list(document: unknown): Promise<Result<readonly VersionOnFile[], HistoryProblem>> {
    const read = question.safeParse(document);
    if (!read.success)
      return err({ reason: "consents_malformed", field: String(read.error.issues[0]?.path[0] ?? "") });
    const patientOf = new Map(
      read.data.patients.flatMap((patient) =>
        namesOf(this.#names(), patient).map((name) => [name, patient] as const),
      ),
    );
    const rows = await versionsOf(this.env.REGISTRY.withSession("first-primary"), [...patientOf.keys()]);
    return ok(
      rows.flatMap(({ subject, consent, digest, isActive, mayPermit, filedBy, filedAt }) => {
        const patient = patientOf.get(subject);
        return patient === undefined
          ? []
          : [{ patient, consent, digest, isActive, mayPermit, filedBy, filedAt }];
      }),
    );
  }

  /**
   * Files the Consents of these patients under the first key of `CONSENT_KEY`. Nothing remains under a former key
   * once `remaining` is 0. Throws when D1 does not answer.
   */
  async refile(document: unknown): Promise<Result<Refiled, HistoryProblem>> {
    const read = refiling.safeParse(document);
    if (!read.success)
      return err({ reason: "consents_malformed", field: String(read.error.issues[0]?.path[0] ?? "") });
    const names = this.#names();
    const session = this.env.REGISTRY.withSession("first-primary");
    const subjects = read.data.patients.map((patient) => namesOf(names, patient));
    const refiled = await refileRows(session, subjects, names.keyId());
    return ok({ refiled, remaining: await filedUnderFormerKeys(session, names.keyId()) });
  }

  #names(): ConsentNames {
    return new ConsentNames(keyList("CONSENT_KEY", this.env.CONSENT_KEY));
  }
}

/** @param patient `<origin>/Patient/<id>`. */
const namesOf = (names: ConsentNames, patient: string): Pseudonyms => {
  const [origin = "", , id = ""] = patient.split("/");
  return names.allOfPatient(origin, id);
};
