import { resourceAtOrigin } from "#fhir/origin";
import { WorkerEntrypoint } from "cloudflare:workers";
import * as z from "zod";
import { instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { keyList } from "#platform/config/key-list-setting";
import { statementsFiled } from "#platform/cases/case-rows";
import type { RegistrySql } from "#platform/registry/registry-sql";
import { ConsentNames, type Pseudonyms, writtenName } from "./consent-names.ts";
import { areKeysListed, versionsOf, type FiledRow } from "./consent-rows.ts";
import { refileRows, type Refiled } from "./refile-rows.ts";

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

const patients = z.array(z.string().regex(resourceAtOrigin("Patient"))).max(100);
const question = z.strictObject({ patients: patients.min(1) });
const consents = z.array(z.string().regex(resourceAtOrigin("Consent"))).max(100);
const refiling = z.strictObject({ patients, consents: consents.optional() });

/** Answers which Consents of a patient were on file, and when: for the officer who proves a withdrawal. */
export class ConsentHistory extends WorkerEntrypoint<ConsentHistoryEnv> {
  /**
   * Every version of the Consents of these patients, the oldest first: under each pseudonym by which records name
   * its Consent. Throws when D1 does not answer.
   */
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
    const recorded = new Map<string, Set<string>>();
    for (const { consent, recordedAs } of rows)
      recorded.set(consent, (recorded.get(consent) ?? new Set([consent])).add(recordedAs ?? consent));
    return ok(
      rows.flatMap(({ subject, consent: name, digest, isActive, mayPermit, filedBy, filedAt }) => {
        const patient = patientOf.get(subject);
        if (patient === undefined) return [];
        return [...(recorded.get(name) ?? [])].map((consent) => {
          return { patient, consent, digest, isActive, mayPermit, filedBy, filedAt };
        });
      }),
    );
  }

  /**
   * Files the rows of these patients and of these Consents under the first key of `CONSENT_KEY`. Nothing remains under
   * a former key once `remaining` is 0. Throws when D1 does not answer.
   */
  async refile(document: unknown): Promise<Result<Refiled, HistoryProblem>> {
    const read = refiling.safeParse(document);
    if (!read.success)
      return err({ reason: "consents_malformed", field: String(read.error.issues[0]?.path[0] ?? "") });
    const names = this.#names();
    const session = this.env.REGISTRY.withSession("first-primary");
    await areKeysListed(session, names.keyIds()); // it notes the key of old rows; a refiling mends keys itself
    const patientNames = read.data.patients.map((patient) => namesOf(names, patient));
    const statements = await statementsOf(session, read.data.patients);
    const consentNames = [...(read.data.consents ?? []), ...statements].flatMap((consent) =>
      [consent, writtenName(consent)].map((name) => namesOf(names, name)),
    );
    return ok(await refileRows(session, patientNames, consentNames, names.keyId(), instant(Date.now())));
  }

  #names(): ConsentNames {
    return new ConsentNames(keyList("CONSENT_KEY", this.env.CONSENT_KEY));
  }
}

/** The statements about disputed rows that are filed beside the Consents of these patients. */
async function statementsOf(session: RegistrySql, references: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const reference of references) {
    const [origin = "", ...patient] = reference.split("/");
    for (const id of await statementsFiled(session, origin, patient.join("/")))
      found.push(`${origin}/Consent/${id}`);
  }
  return found;
}

/** @param reference `<origin>/Patient/<id>` or `<origin>/Consent/<id>`. */
const namesOf = (names: ConsentNames, reference: string): Pseudonyms => {
  const [origin = "", type, ...parts] = reference.split("/");
  const id = parts.join("/");
  return type === "Consent" ? names.allOfConsent(origin, id) : names.allOfPatient(origin, id);
};
