import type { ClientRecord } from "#identity/client";
import type { PublicJwk } from "#identity/jose/jwk";

/**
 * Stands in for an unregistered client, so that refusing its assertion takes as long as refusing a bad
 * assertion of a registered client. The private halves were thrown away when these were made; a signature
 * that proved one of them would still be refused.
 */
export function decoyClient(id: string, kid: unknown): ClientRecord {
  return {
    id,
    kind: "decoy",
    status: "suspended",
    authentication: "private_key_jwt",
    tokensBoundTo: "certificate",
    assertionProfile: "smart",
    keys: typeof kid === "string" ? keys.map((key): PublicJwk => Object.assign({}, key, { kid })) : keys,
    external: undefined,
    patient: undefined,
    unboundUntil: undefined,
    certificates: [],
    certificateSubjects: [],
    corsOrigins: [],
    agreements: [],
    grants: [],
  };
}

const keys: readonly PublicJwk[] = [
  {
    kty: "EC",
    x: "Ve5240VHZljGuKYlJHcZCklYgsVnp_uzG15xsd4hDhE",
    y: "_yGdG1O4Y3LqbgACVSgtcECjpM2fKfeenp3zllZAXbk",
    crv: "P-256",
  },
  { crv: "Ed25519", x: "53ri6SMUg4d6ZSeqEzW1_6d0rZLhTJnAz_hrTROzXlo", kty: "OKP" },
  {
    kty: "RSA",
    n: "pBTR_hzfvxO6k9Y0DNY60LBt9HLbmSvYGZmfjtsqFk-2V9DlAkJH7v22Bc_Ud4Iuj01Qf-Bgf9UnIqZR6JHQ8bsSOUuAZqSvbGIcS3Ja4AYHNWXWvaB6A1cGNOm4AxujeVaM23AQOvkD-x5lMpYSOvzIPpefFm214CTFMp5eHveaCoaC_h7SaOve2Vesxbyhtq4osYV-b_eijvakLHXq05__DhH56AzgDvCVTZwIe4NruTMGdr2nMySMNhXV_Nq8PeBfGTtdvBrAmXGAqzMXjBo8Do7MQ0x0cD899uEiNx7hps9grHJ9Mz7Lf_YvRK1chSw61tNMPtW86H_mxR4jDQ",
    e: "AQAB",
  },
  {
    kty: "EC",
    x: "TuSakNf_wDEFjnOn7Gx77jmFwnT12FbK5WFXq_YXoDZaQzPZbpRxrKn0xyNCxSgA",
    y: "zBjsbj90GwUUMcbebpoOWRsaibZ0t2XfWZ62Uo52423I0qA_5cDGq9PccPc8GwJL",
    crv: "P-384",
  },
];
