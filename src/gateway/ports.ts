import type { Origins } from "#fhir/ports";
import type { Clock } from "#kernel/clock";
import type { Limiter } from "#limits/ports";
import type { FiledConsent } from "#policy/consent/decide-by-consents";
import type { RequestKeys } from "#limits/request-keys";
import type { AuthenticatePorts } from "#gateway/admission/authenticate";
import type { CompiledPolicies } from "#gateway/admission/compiled-policies";
import type { InterpretPorts } from "#gateway/admission/interpret";
import type { ProveSignedPorts } from "#gateway/admission/prove-signed";
import type { AnswerPorts } from "#gateway/answer/drafts";
import type { ConsentFilingPorts } from "#gateway/consents/consent-filing";
import type { AccountPorts } from "#gateway/read/account";
import type { LocalPorts } from "#gateway/read/answer-locally";
import type { RecorderPorts } from "#gateway/record/recorder";

/** The Consents of patients. */
export interface Consents {
  /**
   * The active Consents of each patient, as they count for this client (a Consent that it wrote itself does not
   * permit); every patient of the question is in the answer. Ten seconds old at most (P4). At most a single call of
   * `control` for all patients, none when the origin has no Consents. `unavailable`: they cannot be read, so
   * nothing of these patients may be disclosed.
   */
  consentsOf(
    origin: string,
    patients: readonly string[],
    client: string,
  ): Promise<ReadonlyMap<string, readonly FiledConsent[]> | "unavailable">;
}

/** All dependencies of a request. Each stage takes a part of them. */
export interface GatewayPorts
  extends
    AuthenticatePorts,
    ProveSignedPorts,
    InterpretPorts,
    LocalPorts,
    AccountPorts,
    RecorderPorts,
    AnswerPorts,
    ConsentFilingPorts {
  readonly origins: Origins;
  readonly clock: Clock;
  readonly limiter: Limiter;
  readonly requestKeys: RequestKeys;
  readonly policies: CompiledPolicies;
  readonly consents: Consents;
  /**
   * Reads the origin's entry and the policy of a grant into this isolate's copies, if they are not fresh, so that
   * a later stage does not wait for the registry. It changes no answer, and never rejects. Undefined: they are
   * fresh.
   */
  readonly readAhead: (origin: string, policyDigest: string) => Promise<unknown> | undefined;
}
