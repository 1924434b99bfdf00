import type { AdminPorts } from "#admin/ports";
import type { Secret } from "#kernel/secret";
import type { TrafficAt, TrafficSpan } from "#audit/traffic/span";
import type { LedgerHealthReport } from "#ledger/health";
import type { RegistryEnd } from "#registry/ends-soon";
import type { WaitingWork } from "#registry/waiting-work";
import type { DenialInForce } from "./denials.ts";

/** The places that the console's pages name to the browser. */
export interface ConsolePlaces {
  /** The console's client id at the issuers of operators. */
  readonly clientId: string;
  /** The ledger's public origin. */
  readonly ledger: string;
  /** C2SP verifier key of the root log. */
  readonly rootKey: string;
  /** Verifier keys of the witnesses that the console demands. */
  readonly witnesses: readonly string[];
  /** The gateway's public origin. */
  readonly gateway: string;
  /** Look-ups of patients: FHIR base, issuer of the token, client id there. */
  readonly patients?:
    | { readonly fhir: string; readonly issuer: string; readonly clientId: string }
    | undefined;
}

/** The issuers at which operators sign in. */
export interface OperatorIssuers {
  /** Throws when the issuer does not answer. */
  authorizationEndpoint(iss: string): Promise<string>;
  /** `end_session_endpoint` (OpenID Connect RP-Initiated Logout 1.0); undefined: the issuer publishes none. */
  endSessionEndpoint(iss: string): Promise<string | undefined>;
  /** The token, and the thumbprint of the key that it is bound to; undefined: the issuer refuses the code. */
  redeem(
    iss: string,
    redemption: { readonly code: string; readonly verifier: string; readonly redirect: string },
  ): Promise<{ readonly token: Secret; readonly jkt: string } | undefined>;
}

export interface ConsolePorts {
  /** The console asks for the same verbs, with the same checks and records, as the operators' API. */
  readonly admin: AdminPorts;
  readonly places: ConsolePlaces;
  /** The first seals the sessions, each opens them: 32 bytes, equal in every location, for nothing else. */
  readonly sealingKeys: readonly Secret<Uint8Array>[];
  readonly issuers: OperatorIssuers;
  readonly health: () => Promise<LedgerHealthReport>;
  readonly ends: () => Promise<readonly RegistryEnd[]>;
  readonly denials: () => Promise<readonly DenialInForce[]>;
  /** The numbers of requests, bin by bin. */
  readonly traffic: (span: Required<TrafficSpan>) => Promise<readonly TrafficAt[]>;
  /** The highest ages, in seconds, by gauge and label. */
  readonly ages: (span: Required<TrafficSpan>) => Promise<readonly TrafficAt[]>;
  /** Numbers alone, so that the page Now needs no record. */
  readonly waiting: () => Promise<WaitingWork>;
  /** The state of each origin by its name, as the gateway's `readyz` says it. */
  readonly origins: () => Promise<Readonly<Record<string, string>>>;
  readonly wait: (milliseconds: number) => Promise<void>;
}
