import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** A record's plaintext, and its event. */
export interface RecordVector {
  readonly event: Readonly<Record<string, unknown>>;
  readonly plaintext: string; // hex
}

const settings = [
  ["LEDGER_SHARDS", "4"],
  ["PUBLIC_URL", "https://localhost:8443"],
] as const;

const common = {
  id: "0123456789abcdef0123456789abcdef",
  at: 1_780_000_000_000,
  step: 1,
  traceId: "fedcba9876543210fedcba9876543210",
  who: {
    client: "telehealth",
    certificate: "x5t",
    issuer: "https://localhost:8443",
    tokenId: "jti",
    keyId: "kid",
    subject: "sub",
    user: "Practitioner/vera",
    patient: "amara-okafor",
    operator: "registrar",
    jkt: "jkt",
    unbound: true,
    signedBy: "telehealth-1",
  },
  from: { address: "192.0.2.1", country: "US" },
  what: {
    interaction: "search-type",
    origin: "main",
    type: "Observation",
    id: "of-amara",
    parameters: [["patient", "amara-okafor"]],
    method: "GET",
    path: "Observation",
  },
  why: {
    purposes: ["TREAT"],
    agreement: "telehealth-agreement",
    policy: "sha256:0",
    grant: "telehealth main TREAT",
  },
  outcome: { status: 200, reason: "reason_of_old" },
  patients: [
    { patient: "main/Patient/amara-okafor", counts: { Observation: 2 }, state: "MA" },
    { patient: "main/Patient/bela", counts: {} },
  ],
  unnamed: ["main/Observation/x"],
  counts: { Observation: 2 },
  withheld: { paths: ["Observation.note"], resources: 1 },
  window: { number: 1, complete: false },
};

/**
 * Every kind of record with every field, as that version's own code encodes it. It includes the kinds that no
 * short run of a stack produces.
 */
export async function recordVectors(checkout: string): Promise<readonly RecordVector[]> {
  const load = (path: string): Promise<unknown> => import(pathToFileURL(join(checkout, path)).href);
  const { eventKinds } = (await load("src/audit/event.ts")) as { eventKinds: object };
  const { encodeRecord } = (await load("src/audit/record.ts")) as {
    encodeRecord: (event: object, part: number, parts: number, seed: Uint8Array) => Uint8Array;
  };
  const { configurationOf } = (await load("src/audit/configuration.ts")) as {
    configurationOf: (worker: string, settings: readonly (readonly [string, string])[]) => object;
  };
  return Object.keys(eventKinds).map((kind) => {
    const event = {
      ...common,
      kind,
      ...(kind === "refusals" && { tally: { token_missing: 12, malformed_path: 1 } }),
      ...(kind === "configuration" && { configuration: configurationOf("gateway", settings) }),
    };
    return {
      event,
      plaintext: Buffer.from(encodeRecord(event, 1, 1, new Uint8Array(32).fill(7))).toString("hex"),
    };
  });
}
