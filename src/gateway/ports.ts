import type { AttachmentLinks, Origins, PageLinks } from "#fhir/ports";
import type { Clock } from "#kernel/clock";
import type { Limiter } from "#limits/ports";
import type { RequestKeys } from "#limits/request-keys";
import type { RowLeases } from "#limits/row-lease";
import type { SharedMemory } from "#limits/shared-memory";
import type { SharedThread } from "#limits/shared-thread";
import type { AuthenticatePorts } from "#gateway/admission/authenticate";
import type { CompiledPolicies } from "#gateway/admission/compiled-policies";
import type { OpenReviewPorts } from "#gateway/admission/open-review";
import type { DataSetPorts } from "#gateway/deid/ports";
import type { FactPorts } from "#gateway/facts/resolved-facts";
import type { CaseReceiver } from "#gateway/cases/case-receiver";
import type { ConsentFilingPorts } from "#gateway/consents/consent-filing";
import type { AccountPorts } from "#gateway/read/account";
import type { LocalPorts } from "#gateway/read/answer-locally";
import type { LedgerQueue } from "#gateway/record/ledger-queue";
import type { ElementMeasure } from "#gateway/record/measuring";
import type { RecorderPorts } from "#gateway/record/recorder";
import type { Trace } from "#gateway/trace/trace";

/** A fault of a request, as the log has it. */
export interface NamedFault {
  readonly requestId: string;
  readonly name: string;
}

/** Answers the trace of a request, by the request's id; undefined: the sample leaves the request out. */
export type BeginTrace = (request: string) => Trace | undefined;

/** All dependencies of a request, whatever its door. Each stage takes a part of them. */
export interface GatewayPorts
  extends
    AuthenticatePorts,
    LocalPorts,
    AccountPorts,
    RecorderPorts,
    ConsentFilingPorts,
    FactPorts,
    OpenReviewPorts {
  readonly origins: Origins;
  /** FHIR base of an origin under the configured name to which the request came. */
  readonly fhirBase: (origin: string) => string;
  readonly pages: PageLinks;
  readonly attachments: AttachmentLinks;
  readonly clock: Clock;
  readonly limiter: Limiter;
  readonly dataSets: DataSetPorts;
  readonly requestKeys: RequestKeys;
  readonly rowLeases: RowLeases;
  readonly caseOpening: CaseReceiver;
  readonly ledgerQueue: LedgerQueue;
  readonly memory: SharedMemory;
  readonly thread: SharedThread;
  readonly elements: ElementMeasure;
  /** Lets work go on after the answer was begun: the record of an answer that broke off. */
  readonly keepAlive: (work: Promise<void>) => void;
  /** Called with the name of a fault that ended a request, never with its message: the message may quote data. */
  readonly onFault: (fault: NamedFault) => void;
  /** As {@link onFault}, for a fault that hid a row: the answer goes on. Once for each name in a request. */
  readonly onRowFault: (fault: NamedFault) => void;
  /** Undefined: no request is traced. */
  readonly beginTrace?: BeginTrace | undefined;
  readonly policies: CompiledPolicies;
  /**
   * Reads the origin's entry and the policy of a grant into this isolate's copies, if they are not fresh, so that
   * a later stage does not wait for the registry. It changes no answer, and never rejects. Undefined: they are
   * fresh.
   */
  readonly readAhead: (origin: string, policyDigest: string) => Promise<unknown> | undefined;
}
