import type { NamedPatient } from "#fhir/patients-named";
import { err, ok, type Result } from "#kernel/result";
import { AdditionalPatients } from "#phi/additional-patients";
import { mayAccessPatient, type Access } from "#policy/row-access";
import type { Residences } from "#residence/row-residences";

/** The question names more patients than its caller may ask about at once. */
export type NamingRefusal = { readonly reason: "too_many_patients" };

// The app of a patient or a user asks about a family or a ward; a system asks about a worklist.
const namesMax = 20;
export const namesMaxOfSystem = 100;

/**
 * The patients whom the record of a request, or of an entry of its bundle, names besides those of the answer: patients
 * in the question, and patients of rows that decided the answer.
 */
export class NamedPatients {
  readonly residences: Residences;
  readonly #origin: string;
  /** Patients in the question without known access of the caller. */
  readonly #namedOnly = new Set<string>();
  readonly concerned: AdditionalPatients;

  /** @param residences the states of the patients of all entries. */
  constructor(origin: string, residences: Residences) {
    this.residences = residences;
    this.concerned = new AdditionalPatients(origin);
    this.#origin = origin;
  }

  /** Notes the patients in a question, before the caller's access is known. */
  nameUnjudged(named: readonly NamedPatient[]): void {
    if (named.length > namesMaxOfSystem) return; // the question is on record with all of them
    for (const { patient } of named) this.#namedOnly.add(patient);
  }

  /**
   * Notes the patients in a question. The answer concerns each patient that the caller may access; the
   * question only asks for the rest.
   */
  nameAsked(named: readonly NamedPatient[], access: Access): Result<undefined, NamingRefusal> {
    const patients = new Set(named.map(({ patient }) => patient));
    const isSystem = access.scopes.some(({ context }) => context === "system");
    if (patients.size > (isSystem ? namesMaxOfSystem : namesMax)) return err({ reason: "too_many_patients" });
    const reaches = ({ patient, type }: NamedPatient) =>
      mayAccessPatient(access, type, "r", patient) || mayAccessPatient(access, type, "s", patient);
    for (const patient of patients) {
      if (named.some((one) => one.patient === patient && reaches(one))) {
        this.#namedOnly.delete(patient);
        this.concerned.name(patient);
      } else this.#namedOnly.add(patient);
    }
    return ok(undefined);
  }

  /** Patients in the question that the caller may not access, as records name them. */
  get asked(): readonly string[] {
    return [...this.#namedOnly].map((patient) => `${this.#origin}/Patient/${patient}`);
  }
}
