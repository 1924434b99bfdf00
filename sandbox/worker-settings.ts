import { readFileSync } from "node:fs";
import { join } from "node:path";
import { rootKey, witnessKey } from "./dev-json.ts";
import { consoleClient } from "./identity-provider/operators.ts";
import { privacyDeskClient } from "./identity-provider/privacy-desk-entry.ts";
import { keptKey, keptSecret, publicHalf } from "./keys.ts";
import type { RegistryFile } from "./registry-file.ts";
import type { WorkerSettings } from "./runtime/runtime.ts";

export const ledgerName = "ledger.phylax.example";
export const ledgerShards = 4;
export const sandboxOriginName = "main";
export const witnessName = "witness.phylax.example/w1";

/** Facts for the demonstration's accountings of disclosures, besides their lines (docs/accounting.md). */
const accountingFacts = {
  recipients: {
    "public-health": { name: "State Department of Health", address: "1 Health Plaza, Springfield" },
    research: { name: "Northern University", address: "2 Campus Road, Springfield" },
  },
  agreements: { "research-agreement": "viii" }, // a limited data set
  entity: { name: "Springfield General Hospital", contact: "privacy office, +1 555 0100" },
  zone: "America/New_York",
};

/**
 * The keys with which a stack signs, seals and derives names. They are made once and stored with the state.
 */
export async function keysOf(state: string) {
  const secret = (name: string) => join(state, "secrets", name);
  const auditors = ["auditor-1", "auditor-2"].map(async (kid) => {
    const path = join(state, "auditors", `${kid}.jwk.json`);
    return { path, jwk: await keptKey(path, "ECDH-ES+A256KW", kid) };
  });
  return {
    token: await keptKey(secret("token-signing.jwk.json"), "ES256", "token-1"),
    answers: await keptKey(secret("response-signing.jwk.json"), "Ed25519", "answers-1"),
    checkpoint: await keptKey(secret("checkpoint.jwk.json"), "Ed25519", "checkpoint-1"),
    witness: await keptKey(secret("witness.jwk.json"), "Ed25519", "witness-1"),
    auditors: await Promise.all(auditors),
    paging: keptSecret(secret("paging")),
    dpopNonce: keptSecret(secret("dpop-nonce")),
    opsNonce: keptSecret(secret("ops-nonce")),
    consoleSession: keptSecret(secret("console-session")),
    accounting: keptSecret(secret("accounting")),
    subject: keptSecret(secret("subject")),
    consent: keptSecret(secret("consent")),
    codes: keptSecret(secret("codes")),
  };
}

/** In production the binding of an mTLS certificate; here a service that shows the certificate to one host. */
export function certifiedServices(
  certified: RegistryFile["certified"],
  ca: string,
): Place["serviceBindings"] {
  const authority = readFileSync(ca, "utf8");
  return Object.fromEntries(
    Object.entries(certified).map(([name, { host, pem }]) => {
      const [key = ""] =
        /-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?-----END [A-Z ]*PRIVATE KEY-----/u.exec(pem) ?? [];
      const keypair = { privateKey: key, certificateChain: pem.replace(key, "").trim() };
      const tlsOptions = { keypair, trustedCertificates: [authority], trustBrowserCas: true };
      const certificateHost = new URL(`https://${host}`).hostname;
      return [name, { external: { address: host, https: { tlsOptions, certificateHost } } }];
    }),
  );
}

/** The addresses of a stack, and what its options and registry file give to the workers. */
interface Place {
  readonly gateway: string;
  /** The operators' API. */
  readonly ops: string;
  readonly originHosts: readonly string[];
  readonly identityHosts: readonly string[];
  readonly secretHosts: readonly string[];
  /** The second name, or "". */
  readonly mtls: string;
  /** The certificates that the gateway shows to origins. */
  readonly serviceBindings: NonNullable<WorkerSettings["serviceBindings"]>;
  /** The secrets that the registry file names. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly witnessPort: number;
  readonly ledgerPort: number;
  readonly issuerPort: number;
  readonly settleSeconds: number | undefined;
  readonly twoPersons: boolean;
  /** TRACES of the gateway. */
  readonly traces: string;
}

/** Each worker's variables and secrets. */
export function workerSettings(
  {
    gateway,
    ops,
    mtls,
    originHosts,
    identityHosts,
    secretHosts,
    secrets,
    serviceBindings,
    witnessPort,
    ledgerPort,
    issuerPort,
    settleSeconds,
    twoPersons,
    traces,
  }: Place,
  keys: Awaited<ReturnType<typeof keysOf>>,
) {
  const shards = { LEDGER_SHARDS: String(ledgerShards) };
  const places = {
    ORIGIN_HOSTS: originHosts.join(" "),
    IDENTITY_HOSTS: identityHosts.join(" "),
    SECRET_HOSTS: secretHosts.join(" "),
  };
  const witnesses = [{ url: `http://127.0.0.1:${witnessPort}`, key: witnessKey(witnessName, keys.witness) }];
  return {
    gateway: {
      vars: {
        PUBLIC_URL: gateway,
        MTLS_URL: mtls,
        TRACES: traces,
        ...shards,
        ...places,
        ACCOUNTING: JSON.stringify({
          ...accountingFacts,
          ledger: {
            url: `http://127.0.0.1:${ledgerPort}`,
            key: rootKey({ ledgerName, checkpointKey: keys.checkpoint }),
          },
        }),
      },
      serviceBindings,
      secrets: {
        ...secrets,
        TOKEN_SIGNING_KEY: JSON.stringify(keys.token),
        RESPONSE_SIGNING_KEY: JSON.stringify(keys.answers),
        PAGING_KEY: keys.paging,
        DPOP_NONCE_KEY: keys.dpopNonce,
      },
    },
    control: {
      vars: {
        PUBLIC_URL: gateway,
        ...places,
        APPROVALS: twoPersons ? "two-persons" : "one-person",
        SEEDING: "allowed",
      },
      secrets: { CONSENT_KEY: keys.consent },
    },
    ledger: {
      port: ledgerPort,
      vars: {
        LEDGER_NAME: ledgerName,
        ...shards,
        ...(settleSeconds !== undefined && { LEDGER_SETTLE_SECONDS: String(settleSeconds) }),
        AUDITOR_KEYS: JSON.stringify({ keys: keys.auditors.map(({ jwk }) => publicHalf(jwk)) }),
        WITNESSES: JSON.stringify(witnesses),
      },
      secrets: {
        CHECKPOINT_KEY: JSON.stringify(keys.checkpoint),
        ACCOUNTING_KEY: keys.accounting,
        SUBJECT_KEY: keys.subject,
      },
    },
    guards: { vars: {}, secrets: {} },
    jobs: {
      vars: {
        PUBLIC_URL: gateway,
        MTLS_URL: mtls,
        ...shards,
        ...places,
        TOKEN_VERIFICATION_KEYS: JSON.stringify({ keys: [publicHalf(keys.token)] }),
        DEID_CHECK: "on",
      },
      serviceBindings,
      secrets: {
        ...secrets,
        CODES_KEY: keys.codes,
        PAGING_KEY: keys.paging,
        DPOP_NONCE_KEY: keys.dpopNonce,
      },
    },
    ops: {
      vars: {
        OPS_URL: ops,
        IDENTITY_HOSTS: identityHosts.join(" "),
        APPROVALS: twoPersons ? "two-persons" : "one-person",
        ...shards,
        CONSOLE: JSON.stringify({
          clientId: consoleClient,
          ledger: `http://127.0.0.1:${ledgerPort}`,
          rootKey: rootKey({ ledgerName, checkpointKey: keys.checkpoint }),
          witnesses: [witnessKey(witnessName, keys.witness)],
          gateway,
          patients: {
            fhir: `${gateway}/v1/fhir/${sandboxOriginName}`,
            issuer: `https://localhost:${issuerPort}`,
            clientId: privacyDeskClient,
          },
        }),
      },
      secrets: { DPOP_NONCE_KEY: keys.opsNonce, CONSOLE_SESSION_KEY: keys.consoleSession },
    },
    witness: {
      port: witnessPort,
      vars: {
        WITNESS_NAME: witnessName,
        WITNESSED_LOGS: JSON.stringify([rootKey({ ledgerName, checkpointKey: keys.checkpoint })]),
      },
      secrets: { WITNESS_KEY: JSON.stringify(keys.witness) },
    },
  };
}
