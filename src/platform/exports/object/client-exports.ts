import { DurableObject } from "cloudflare:workers";
import { instant, type Instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import { Secret } from "#kernel/secret";
import { hkdf } from "#ledger/leaf/seal";
import { type AskSql, askSql } from "#platform/ask-sql";
import { keyList } from "#platform/config/key-list-setting";
import type { FileProgress } from "#limits/listed-export";
import { openText, sealText } from "#platform/sealed-text";

export interface ClientExportsEnv {
  /** Keys of 32 random bytes in base64url: `NEW OLD …` (docs/keys.md). */
  readonly CODES_KEY: string;
}

// A client starts some exports a day, and each lasts a day.
const exportsMax = 200;
const label = "phylax export v1";

/**
 * The exports of one client. Each rests sealed with AES-256-GCM until its end, and has no row of a patient: a search
 * that limits it may name one.
 */
export class ClientExports extends DurableObject<ClientExportsEnv> {
  readonly #ask: AskSql;

  constructor(ctx: DurableObjectState, env: ClientExportsEnv) {
    super(ctx, env);
    this.#ask = askSql(ctx.storage.sql);
    ctx.storage.sql.exec(
      "CREATE TABLE IF NOT EXISTS exports (id TEXT PRIMARY KEY, expires INTEGER NOT NULL, box TEXT NOT NULL) STRICT",
    );
    ctx.storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS files (export TEXT NOT NULL, file INTEGER NOT NULL, state TEXT NOT NULL,
        rows INTEGER NOT NULL, reason TEXT, at INTEGER NOT NULL, begun INTEGER NOT NULL, PRIMARY KEY (export, file)) STRICT`,
    );
  }

  /** Notes how far a download, which began at a time, has read a file; a later one's note stays. False: the export is over. */
  noteFile(id: string, begun: Instant, { file, state, rows, reason, at }: FileProgress): boolean {
    const isWanted = this.exportOf(id) !== undefined;
    if (isWanted)
      this.#ask`INSERT INTO files VALUES (${id}, ${file}, ${state}, ${rows}, ${reason}, ${at}, ${begun})
        ON CONFLICT DO UPDATE SET state = excluded.state, rows = excluded.rows, reason = excluded.reason,
          at = excluded.at, begun = excluded.begun WHERE excluded.begun >= begun`;
    return isWanted;
  }

  /** The files of an export that were read, in the order of their numbers. */
  filesOf(id: string): readonly FileProgress[] {
    return this.#ask<FileProgress>`
      SELECT file, state, rows, reason, at FROM files WHERE export = ${id} ORDER BY file`;
  }

  /** Stores an export until its end. It is durable when this returns. */
  async keepExport(
    id: string,
    expires: Instant,
    text: string,
  ): Promise<Result<void, { readonly reason: "too_many_exports" }>> {
    this.#deleteEnded();
    const [{ many }] = this.#ask<{ many: number }>`SELECT count(*) AS many FROM exports` as [
      { many: number },
    ];
    if (many >= exportsMax) return err({ reason: "too_many_exports" });
    const box = sealText(sealing, this.#keys(), placeOf(this.ctx.id.name), text);
    this.#ask`INSERT INTO exports VALUES (${id}, ${expires}, ${box})`;
    await this.#wakeAtNextEnd();
    return ok(undefined);
  }

  /** Undefined: there is no such export, or it has ended, or no listed key opens it. */
  exportOf(id: string): string | undefined {
    const [row] = this.#ask<{ box: string }>`
      SELECT box FROM exports WHERE id = ${id} AND expires > ${Date.now()}`;
    return row && openText(sealing, this.#keys(), placeOf(this.ctx.id.name), row.box);
  }

  endExport(id: string): void {
    this.#ask`DELETE FROM exports WHERE id = ${id}`;
    this.#ask`DELETE FROM files WHERE export = ${id}`;
  }

  override async alarm(): Promise<void> {
    this.#deleteEnded();
    await this.#wakeAtNextEnd();
  }

  #deleteEnded(): void {
    this.#ask`DELETE FROM exports WHERE expires <= ${Date.now()}`;
    this.#ask`DELETE FROM files WHERE export NOT IN (SELECT id FROM exports)`;
  }

  async #wakeAtNextEnd(): Promise<void> {
    const [row] = this.#ask<{ next: number | null }>`SELECT min(expires) AS next FROM exports`;
    if (row?.next !== null && row !== undefined) await this.ctx.storage.setAlarm(instant(row.next));
  }

  #keys() {
    return keyList("CODES_KEY", this.env.CODES_KEY);
  }
}

const sealing = (key: Secret<Uint8Array>, salt: Uint8Array): Secret<Uint8Array> =>
  new Secret(hkdf(key, salt, utf8(label)));
const placeOf = (client: string | undefined): Uint8Array => utf8(JSON.stringify([label, client]));
