import { randomBytes } from "node:crypto";
import { EndingEntries } from "./provider-store.ts";

/** The choice of a user at the launch page (SMART App Launch 2.2, "Launch App: EHR Launch"). */
export interface Launch {
  readonly client: string;
  readonly login: string;
  /** FHIR id. */
  readonly patient: string;
}

const launchSeconds = 300;
/** The life of a grant, and of the patient that it is for. */
export const grantSeconds = 720 * 3_600;

/**
 * The launches that wait for their app. A `launch` parameter is a random text: its meaning stays here, and it serves
 * one app, one user and one sign-in. The patient belongs to the grant of that sign-in, so that no other token of the
 * same user and app gets another patient.
 */
export class Launches {
  readonly #waiting = new EndingEntries<Launch>();
  readonly #patients = new EndingEntries<string>();

  /** Returns the value of `launch`. */
  open(launch: Launch): string {
    const id = randomBytes(32).toString("base64url");
    this.#waiting.put(id, launch, launchSeconds);
    return id;
  }

  /** Undefined: the launch was never opened, was used, or has ended. */
  get(id: string | undefined): Launch | undefined {
    return id === undefined ? undefined : this.#waiting.get(id);
  }

  /** Ends a launch: its patient is that of the grant from now on. */
  use(id: string, grantId: string): void {
    const launch = this.#waiting.get(id);
    if (launch === undefined) return;
    this.#waiting.delete(id);
    this.#patients.put(grantId, launch.patient, grantSeconds);
  }

  /** The patient of a grant that began with a launch. */
  patientOf(grantId: string | undefined): string | undefined {
    return grantId === undefined ? undefined : this.#patients.get(grantId);
  }
}
