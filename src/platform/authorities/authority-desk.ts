import { WorkerEntrypoint } from "cloudflare:workers";
import { instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { keyList } from "#platform/config/key-list-setting";
import type { AuthorityTask } from "#identity/authority/authority-document";
import { endAuthority, insertAuthority, liveAuthority } from "./authority-rows.ts";
import { openEvidence, personName, sealEvidence } from "./sealed-evidence.ts";

interface AuthorityEnv {
  readonly REGISTRY: D1Database;
  /** Keys of 32 random bytes in base64url: `NEW OLD …` (docs/keys.md). */
  readonly CONSENT_KEY: string;
}

/** An authority that a job asks for, after its caller was proven. */
export interface AskedAuthority {
  /** 32 lower-case hex digits, random: a repeat with it makes no second authority. */
  readonly id: string;
  readonly client: string;
  /** Issuer and subject of the token, with a space between: no two persons share it. */
  readonly person: string;
  readonly origin: string;
  readonly purpose: string;
  readonly agreement: string;
  /** Thumbprint of the certificate or of the key that made it. */
  readonly boundTo: string;
  readonly task: AuthorityTask;
  readonly ends: Instant;
  /** The evidence of the caller (`evidenceText`), which is sealed. */
  readonly evidence: string;
}

/** An authority at a use. */
export interface UsableAuthority {
  readonly ends: Instant;
  readonly evidence: string;
}

/** The rights of `jobs` over authorities: to make one for a proven caller, to use one, and to end one. */
export class AuthorityKeeping extends WorkerEntrypoint<AuthorityEnv> {
  /** Throws for an end that is past or over 90 days away: the table refuses it. */
  async make(asked: AskedAuthority): Promise<Result<void, { readonly reason: "too_many_authorities" }>> {
    const { ends, person, evidence, ...rest } = asked;
    const keys = this.#keys();
    const row = { ...rest, madeAt: now(), endsAt: ends, endedAt: null, endedBy: null };
    const isMade = await insertAuthority(this.#session(), {
      ...row,
      person: personName(keys, asked.client, person),
      evidence: sealEvidence(keys, placeOf(row), evidence),
    });
    return isMade ? ok(undefined) : err({ reason: "too_many_authorities" });
  }

  /**
   * The evidence of an authority, to be judged by the registry as it is now. Undefined: it has ended. It asks the
   * primary database at each use: a copy could miss an end.
   */
  async use(id: string): Promise<UsableAuthority | undefined> {
    const row = await liveAuthority(this.#session(), id, now());
    const evidence = row?.evidence ? openEvidence(this.#keys(), placeOf(row), row.evidence) : undefined;
    return row && evidence !== undefined ? { ends: row.endsAt, evidence } : undefined;
  }

  /** Ends an authority whose job is over, or whose use was refused for good. */
  async end(client: string, authority: string): Promise<void> {
    await endAuthority(this.#session(), { client, authority }, { at: now(), by: "jobs" });
  }

  #keys() {
    return keyList("CONSENT_KEY", this.env.CONSENT_KEY);
  }

  #session() {
    return this.env.REGISTRY.withSession("first-primary");
  }
}

const placeOf = ({ id, client, origin, purpose, endsAt }: Placed): readonly (string | number)[] => [
  id,
  client,
  origin,
  purpose,
  endsAt,
];

type Placed = Readonly<Record<"id" | "client" | "origin" | "purpose", string>> & { readonly endsAt: Instant };

const now = (): Instant => instant(Date.now());
