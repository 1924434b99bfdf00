import { DurableObject } from "cloudflare:workers";
import { instant, type Instant } from "#kernel/clock";
import { sha256Form } from "#kernel/encoded";
import {
  claimKey,
  endUnderKey,
  keyMilliseconds,
  sendUnderKey,
  type ClaimAnswer,
  type KeyClaim,
  type KeyEnd,
  type KeyState,
} from "#limits/idempotency";

// For each of a client's sixteen objects.
const keysMax = 200_000;
const sweepMilliseconds = 3_600_000;
// a transaction of 1,000 writes
const contentMax = 262_144;

/**
 * The storage and clock around limits/idempotency. Several objects of a client or an operator share its keys.
 * A key and a request are stored by their hashes only. The result of a write has its status, and the type, id
 * and version of the resource.
 */
export class KeyedRequests extends DurableObject {
  readonly #sql: SqlStorage;
  readonly #storage: DurableObjectStorage;
  #count: number;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as Cloudflare.Env); // this object reads nothing of its environment
    this.#storage = state.storage;
    this.#sql = state.storage.sql;
    this.#sql.exec(schema);
    this.#count = this.#sql.exec<{ n: number }>("SELECT count(*) AS n FROM request_keys").one().n;
  }

  /** `keyHash` and `fingerprint`: SHA-256 in base64url. Throws when there is no room for a further key. */
  async claim(keyHash: string, call: KeyClaim): Promise<ClaimAnswer> {
    if (![keyHash, call.fingerprint].every((each) => sha256Form.test(each)))
      throw new Error("not the hashes of a key and a request");
    const known = this.#find(keyHash);
    const { answer, store } = claimKey(known, call, now());
    if (store === undefined) return answer;
    if (known === undefined) {
      if (this.#count >= keysMax) throw new Error("too many keys of this client are alive");
      this.#count += 1;
    }
    this.#put(keyHash, store);
    if ((await this.#storage.getAlarm()) === null) await this.#storage.setAlarm(now() + sweepMilliseconds);
    return answer;
  }

  /** False when another attempt took over: nothing may be sent. */
  sending(keyHash: string, attempt: string, content: string, milliseconds: number): boolean {
    if (content.length > contentMax) throw new Error("the content of a key is too long");
    const store = sendUnderKey(this.#find(keyHash), attempt, { content, milliseconds }, now());
    if (store === undefined) return false;
    this.#put(keyHash, store);
    return true;
  }

  ended(keyHash: string, attempt: string, end: KeyEnd): void {
    const content = end.kind === "done" ? end.result : end.kind === "unknown" ? end.content : undefined;
    if ((content?.length ?? 0) > contentMax) throw new Error("the content of a key is too long");
    const store = endUnderKey(this.#find(keyHash), attempt, end, now());
    if (store === undefined) return;
    if (store !== "forgotten") return this.#put(keyHash, store);
    this.#sql.exec("DELETE FROM request_keys WHERE key_hash = ?", keyHash);
    this.#count -= 1;
  }

  override async alarm(): Promise<void> {
    const at = now();
    this.#sql.exec(
      "DELETE FROM request_keys WHERE since <= ? OR since >= ?",
      at - keyMilliseconds,
      at + keyMilliseconds,
    );
    this.#count = this.#sql.exec<{ n: number }>("SELECT count(*) AS n FROM request_keys").one().n;
    if (this.#count > 0) await this.#storage.setAlarm(at + sweepMilliseconds);
  }

  #find(keyHash: string): KeyState | undefined {
    const [row] = this.#sql.exec<Row>("SELECT * FROM request_keys WHERE key_hash = ?", keyHash).toArray();
    if (row === undefined) return undefined;
    const { fingerprint, state, attempt, content, unknown } = row;
    const [since, until] = [instant(row.since), instant(row.until)];
    return {
      fingerprint,
      since,
      state,
      attempt,
      until,
      content: content ?? undefined,
      isUnknown: unknown === 1,
    };
  }

  #put(keyHash: string, { fingerprint, since, state, attempt, until, content, isUnknown }: KeyState): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO request_keys (key_hash, fingerprint, since, state, attempt, until, content, unknown) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      keyHash,
      fingerprint,
      since,
      state,
      attempt,
      until,
      content ?? null,
      isUnknown ? 1 : 0,
    );
  }
}

interface Row extends Record<string, SqlStorageValue> {
  readonly key_hash: string;
  readonly fingerprint: string;
  readonly since: number;
  readonly state: KeyState["state"];
  readonly attempt: string;
  readonly until: number;
  readonly content: string | null;
  readonly unknown: number;
}

const schema = `
  CREATE TABLE IF NOT EXISTS request_keys (key_hash TEXT PRIMARY KEY, fingerprint TEXT NOT NULL,
    since INTEGER NOT NULL, state TEXT NOT NULL, attempt TEXT NOT NULL, until INTEGER NOT NULL, content TEXT,
    unknown INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS request_keys_by_age ON request_keys (since);
`;

const now = (): Instant => instant(Date.now());
