import { WorkerEntrypoint } from "cloudflare:workers";
import { authorityMillisecondsMax } from "#identity/authority/authority";
import { instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { keyList } from "#platform/config/key-list-setting";
import type { AuthorityTask } from "#identity/authority/authority-document";
import { revocationsOf, type RevocationsEnv } from "#platform/revocation/object/revocations";
import { deleteAuthority, endAuthorities, insertAuthority, liveAuthority } from "./authority-rows.ts";
import {
  openEvidence,
  personNames,
  sealEvidence,
  tokenNames,
  type NamedToken,
  type NamedPerson,
} from "./sealed-evidence.ts";

interface AuthorityEnv extends RevocationsEnv {
  /** Keys of 32 random bytes in base64url: `NEW OLD …` (docs/keys.md). */
  readonly CONSENT_KEY: string;
}

/** An authority that a job asks for, after its caller was proven. */
export interface AskedAuthority {
  /** 32 lower-case hex digits, random: a repeat under this id makes no second authority. */
  readonly id: string;
  readonly client: string;
  /** The person whom the token is about. */
  readonly person: NamedPerson;
  readonly token: NamedToken & { readonly expires: Instant };
  readonly origin: string;
  readonly purpose: string;
  readonly agreement: string;
  /** Thumbprint of the certificate or of the key of the caller. */
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

/** Why an authority is not made. */
export interface AuthorityNotMade {
  readonly reason: "too_many_authorities" | "token_denied" | "token_expired";
}

/** The rights of `jobs` over authorities: it makes, uses and ends them. */
export class AuthorityKeeping extends WorkerEntrypoint<AuthorityEnv> {
  /**
   * Makes an authority of a proven caller while its token is valid and not denied. A repeat under an id makes no second
   * authority. Throws for an end that is past or over 90 days away.
   */
  async make(asked: AskedAuthority): Promise<Result<void, AuthorityNotMade>> {
    const { ends, person, token, evidence, ...rest } = asked;
    const [keys, at] = [this.#keys(), now()];
    if (!(ends > at && ends <= at + authorityMillisecondsMax))
      throw new RangeError("control: an authority ends before it begins, or after 90 days");
    const row = { ...rest, madeAt: at, endsAt: ends, endedAt: null, endedBy: null };
    const stored = await insertAuthority(this.#session(), {
      ...row,
      person: personNames(keys, person)[0],
      token: tokenNames(keys, token)[0],
      evidence: sealEvidence(keys, placeOf(row), evidence),
    });
    if (stored === undefined) return err({ reason: "too_many_authorities" });
    // A denial comes before the ends that follow from it: the question below finds the token's denial, or this row ends.
    const reason = await this.#whyNot(token, stored.madeAt < at);
    if (reason === undefined) return ok(undefined);
    const { client, id: authority } = asked;
    await endAuthorities(this.#session(), { client, authority }, { at: now(), by: reason });
    return err({ reason });
  }

  async #whyNot(
    { issuer, id, expires: until }: AskedAuthority["token"],
    isRepeat: boolean,
  ): Promise<"token_denied" | "token_expired" | undefined> {
    const denial = { kind: "token", issuer, id, until } as const;
    if ((await revocationsOf(this.env).deniedSince(denial)) !== undefined) return "token_denied";
    // The denial of a token that has expired is forgotten.
    return !isRepeat && now() >= until ? "token_expired" : undefined;
  }

  /**
   * The evidence of an authority, to be judged by the registry as it is now. Undefined: the authority has ended. Each use
   * asks the primary database: a copy could miss an end.
   */
  async use(id: string): Promise<UsableAuthority | undefined> {
    const row = await liveAuthority(this.#session(), id, now());
    const evidence = row?.evidence ? openEvidence(this.#keys(), placeOf(row), row.evidence) : undefined;
    return row && evidence !== undefined ? { ends: row.endsAt, evidence } : undefined;
  }

  /** Deletes an authority whose job is over: a client has many, and its records name them. */
  async end(client: string, authority: string): Promise<void> {
    await deleteAuthority(this.#session(), client, authority);
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
