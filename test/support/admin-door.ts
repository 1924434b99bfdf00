import type { AdminPorts, RegistryDesk } from "#admin/ports";
import type { AlertReport } from "#audit/alerts/report";
import type { ProofSink } from "#audit/ports";
import { err, ok } from "#kernel/result";

/** An operator that authenticates by its certificate alone. A test overrides single members. */
export const machine = { status: "active", kind: "machine", signIn: undefined } as const;

/** A ledger that records and refuses every DPoP proof. */
export const recordsOnly = (record: ProofSink["record"]): ProofSink => ({
  record,
  recordOnce: () => Promise.reject(new Error("no proof was shown")),
});

/** No alert has a standing, and no message waits. */
export const quietReport: AlertReport = {
  alerts: [],
  silences: [],
  waiting: 0,
  deadLetters: [],
  key: {},
};

/**
 * The ports of the operators' door besides the operators, the registry, the ledger and the clock, in the case that no
 * operator signs in: nothing is denied, no accounting is suspended, and the configuration is on record.
 */
export const nobodySignsIn = {
  url: "https://ops.example.org",
  newId: () => "0123456789abcdef0123456789abcdef",
  dependencies: async () => ({}),
  halfYear: async () => undefined,
  traffic: async () => new Map<string, number>(),
  tail: async () => ({ ends: [], incomplete: [], after: {} }),
  wait: async () => {},
  gauges: async () => [],
  quotas: async () => [],
  alerts: {
    report: async () => quietReport,
    silence: async () => "0123456789abcdef0123456789abcdef",
    endSilence: async () => false,
  },
  onFault: () => {},
  denials: () => Promise.resolve(new Set<string>()),
  signIns: { verify: () => Promise.resolve(err({ reason: "issuer_unknown" })) },
  proofs: { verify: () => Promise.resolve(err({ reason: "proof_missing" })), nonce: () => "" },
  configured: () => Promise.resolve(),
  calls: { limit: () => Promise.resolve({ success: true }) },
  keepAlive: () => {},
  approvals: "one-person",
  operatorTasks: {
    list: () => Promise.reject(new Error("not asked")),
    suspend: () => Promise.reject(new Error("not asked")),
    remove: () => Promise.reject(new Error("not asked")),
  },
  proposals: {
    propose: () => Promise.reject(new Error("not asked")),
    list: () => Promise.reject(new Error("not asked")),
    show: () => Promise.reject(new Error("not asked")),
    approve: () => Promise.reject(new Error("not asked")),
    close: () => Promise.reject(new Error("not asked")),
  },
  requestKeys: { claim: () => Promise.reject(new Error("no key was sent")) },
  consents: {
    list: () => Promise.resolve(ok([])),
    refile: () => Promise.resolve(ok({ refiled: 0, remaining: 0 })),
  },
  reviews: {
    list: () => Promise.resolve(ok([])),
    close: () => Promise.resolve(err({ reason: "review_not_open", field: "review" })),
  },
  cases: {
    list: () => Promise.resolve(ok([])),
    confirm: () => Promise.resolve(err({ reason: "case_not_unconfirmed", field: "case" })),
    open: () => Promise.resolve(err({ reason: "case_known", field: "notice" })),
    void: () => Promise.resolve(err({ reason: "case_not_unconfirmed", field: "case" })),
    extend: () => Promise.resolve(err({ reason: "case_not_open", field: "case" })),
    accept: () => Promise.resolve(err({ reason: "case_not_open", field: "case" })),
    deny: () => Promise.resolve(err({ reason: "case_not_open", field: "case" })),
    state: () => Promise.resolve(err({ reason: "case_not_denied", field: "case" })),
    unstate: () => Promise.resolve(err({ reason: "case_not_denied", field: "case" })),
    holdersSought: () => Promise.resolve(err({ reason: "case_not_accepted", field: "case" })),
    holders: () => Promise.resolve([]),
    addHolders: () => Promise.resolve(err({ reason: "case_not_accepted", field: "case" })),
    nameNotice: () => Promise.resolve(err({ reason: "case_not_accepted", field: "case" })),
    sendNotice: () => Promise.resolve(err({ reason: "notice_not_open", field: "case" })),
    waiveNotice: () => Promise.resolve(err({ reason: "notice_not_open", field: "case" })),
  },
  dataSets: { end: () => Promise.resolve(false) },
  exports: {
    list: () => Promise.resolve({ exports: [], more: 0 }),
    cancel: () => Promise.resolve(false),
  },
  restores: { restore: () => Promise.resolve(err({ reason: "restore_log_unknown" })) },
  accountings: { hold: () => Promise.resolve(err({ reason: "suspension_invalid", field: "id" })) },
} satisfies Partial<AdminPorts>;

/** The registry's reads and changes, for a door that no test asks for them. */
export const registryUnasked = {
  show: () => Promise.reject(new Error("not asked")),
  clients: () => Promise.reject(new Error("not asked")),
  plan: () => Promise.reject(new Error("not asked")),
  change: () => Promise.reject(new Error("not asked")),
  probed: () => Promise.reject(new Error("not asked")),
  probes: () => Promise.reject(new Error("not asked")),
  authorities: () => Promise.reject(new Error("not asked")),
} satisfies Partial<RegistryDesk>;
