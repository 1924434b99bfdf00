import { DurableObject } from "cloudflare:workers";
import { instant, type Instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import { Secret } from "#kernel/secret";
import { hkdf } from "#ledger/leaf/seal";
import { type AskSql, askSql } from "#platform/ask-sql";
import { keyList } from "#platform/config/key-list-setting";
import type { AskedRun, BundleTry, RunProgress } from "#limits/bundle-run";
import type { FileProgress } from "#limits/listed-export";
import { openText, sealText } from "#platform/sealed-text";

export interface ClientExportsEnv {
  /** Keys of 32 random bytes in base64url: `NEW OLD …` (docs/keys.md). */
  readonly CODES_KEY: string;
}

// A client starts some exports a day, and each lasts a day.
const exportsMax = 200;
const label = "phylax export v1";
const pollMilliseconds = 1_000;
/** When a try is repeated that did not come to its end: the object was moved or lost its machine. */
const brokenTryMilliseconds = 10_000;
// A row of SQLite has at most 2 MB: a character is at most 3 bytes, and base64 adds a third.
const pieceCharacters = 400_000;

/**
 * The exports and bundles of one client. Each rests sealed with AES-256-GCM until its end. An export has no row of a
 * patient: a search that limits it may name one. The body of a bundle rests until the bundle is done, and its answer
 * until the end.
 */
export abstract class ClientExports<
  Env extends ClientExportsEnv = ClientExportsEnv,
> extends DurableObject<Env> {
  readonly #ask: AskSql;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#ask = askSql(ctx.storage.sql);
    ctx.storage.sql.exec(
      "CREATE TABLE IF NOT EXISTS exports (id TEXT PRIMARY KEY, expires INTEGER NOT NULL, box TEXT NOT NULL) STRICT",
    );
    ctx.storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS files (export TEXT NOT NULL, file INTEGER NOT NULL, state TEXT NOT NULL,
        rows INTEGER NOT NULL, reason TEXT, at INTEGER NOT NULL, begun INTEGER NOT NULL, PRIMARY KEY (export, file)) STRICT`,
    );
    // `due`: NULL once the bundle is done. `waits`: the reason for which the next try waits.
    ctx.storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS runs (export TEXT PRIMARY KEY, due INTEGER, tries INTEGER NOT NULL, waits TEXT,
        polled INTEGER NOT NULL) STRICT`,
    );
    ctx.storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS texts (export TEXT NOT NULL, kind TEXT NOT NULL, piece INTEGER NOT NULL,
        box TEXT NOT NULL, PRIMARY KEY (export, kind, piece)) STRICT`,
    );
  }

  /**
   * Tries to do a bundle, as it was stored. A try may be broken off, and is repeated under the next number. A property:
   * each method could be called by RPC.
   */
  protected abstract readonly tryBundle: (
    id: string,
    stored: string,
    body: string,
    number: number,
  ) => Promise<BundleTry>;

  /** Called when a bundle is not tried again. */
  protected abstract readonly endBundle: (stored: string) => Promise<void>;

  /** Undefined: there is no bundle of this id, or it has ended. */
  askRun(id: string): AskedRun | undefined {
    const run = this.#runOf(id);
    if (run === undefined) return undefined;
    if (run.due === null) {
      const answer = this.#textOf(id, "answer");
      return answer === undefined ? undefined : { kind: "done", answer };
    }
    const now = Date.now();
    if (Math.abs(now - run.polled) < pollMilliseconds) return { kind: "early" };
    this.#ask`UPDATE runs SET polled = ${now} WHERE export = ${id}`;
    return { kind: "waits", tries: run.tries };
  }

  /** Null: it is no bundle. */
  runOf(id: string): RunProgress | null {
    const run = this.#runOf(id);
    return run === undefined
      ? null
      : { state: run.due === null ? "done" : "waits", tries: run.tries, reason: run.waits };
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

  /** Stores an export until its end. It is durable when this returns. `body`: of a bundle, which is tried at once. */
  async keepExport(
    id: string,
    expires: Instant,
    text: string,
    body?: string,
  ): Promise<Result<void, { readonly reason: "too_many_exports" }>> {
    this.#deleteEnded();
    const [{ many }] = this.#ask<{ many: number }>`SELECT count(*) AS many FROM exports` as [
      { many: number },
    ];
    if (many >= exportsMax) return err({ reason: "too_many_exports" });
    const box = sealText(sealing, this.#keys(), placeOf(this.ctx.id.name), text);
    this.#ask`INSERT INTO exports VALUES (${id}, ${expires}, ${box})`;
    if (body !== undefined) {
      this.#ask`INSERT INTO runs VALUES (${id}, ${Date.now()}, 0, NULL, 0)`;
      this.#keepText(id, "body", body);
    }
    await this.#wake();
    return ok(undefined);
  }

  /** Undefined: there is no such export, or it has ended, or no listed key opens it. */
  exportOf(id: string): string | undefined {
    const [row] = this.#ask<{ box: string }>`
      SELECT box FROM exports WHERE id = ${id} AND expires > ${Date.now()}`;
    return row && openText(sealing, this.#keys(), placeOf(this.ctx.id.name), row.box);
  }

  async endExport(id: string): Promise<void> {
    const run = this.#runOf(id);
    const stored = run === undefined || run.due === null ? undefined : this.exportOf(id);
    this.#ask`DELETE FROM exports WHERE id = ${id}`;
    this.#deleteLeftOver();
    if (stored !== undefined) await this.endBundle(stored);
  }

  /** One try: an alarm may run for fifteen minutes. */
  override async alarm(): Promise<void> {
    this.#deleteEnded();
    const now = Date.now();
    const [run] = this.#ask<{ id: string; tries: number }>`
      SELECT export AS id, tries FROM runs WHERE due <= ${now} ORDER BY due LIMIT 1`;
    if (run !== undefined) await this.#try(run.id, run.tries + 1);
    await this.#wake();
  }

  async #try(id: string, number: number): Promise<void> {
    const [stored, body] = [this.exportOf(id), this.#textOf(id, "body")];
    if (stored === undefined || body === undefined) return this.endExport(id); // no listed key opens it
    this.#ask`UPDATE runs SET tries = ${number}, due = ${Date.now() + brokenTryMilliseconds}, waits = NULL WHERE export = ${id}`;
    await this.#wake();
    const end = await this.tryBundle(id, stored, body, number).catch(() => undefined);
    if (end === undefined || this.#runOf(id) === undefined) return; // a fault, or its client has deleted it
    if (end.kind === "again") {
      const due = Date.now() + end.seconds * 1_000;
      this.#ask`UPDATE runs SET due = ${due}, waits = ${end.reason} WHERE export = ${id}`;
      return;
    }
    this.#ask`UPDATE runs SET due = NULL WHERE export = ${id}`;
    this.#ask`DELETE FROM texts WHERE export = ${id}`;
    this.#keepText(id, "answer", end.answer);
    await this.ctx.storage.sync(); // a bundle that was done is never tried without its authority
    await this.endBundle(stored).catch(() => undefined); // it ends by itself
  }

  #runOf(id: string) {
    const [run] = this.#ask<{ due: number | null; tries: number; waits: string | null; polled: number }>`
      SELECT due, tries, waits, polled FROM runs WHERE export = ${id}`;
    return run;
  }

  #keepText(id: string, kind: "body" | "answer", text: string): void {
    for (const [piece, part] of piecesOf(text).entries()) {
      const box = sealText(sealing, this.#keys(), this.#pieceOf(id, kind, piece), part);
      this.#ask`INSERT INTO texts VALUES (${id}, ${kind}, ${piece}, ${box})`;
    }
  }

  /** Undefined: there is none, or a piece does not open at its place. */
  #textOf(id: string, kind: "body" | "answer"): string | undefined {
    const rows = this.#ask<{ piece: number; box: string }>`
      SELECT piece, box FROM texts WHERE export = ${id} AND kind = ${kind} ORDER BY piece`;
    const parts = rows.map(({ piece, box }) =>
      openText(sealing, this.#keys(), this.#pieceOf(id, kind, piece), box),
    );
    return parts.length === 0 || parts.includes(undefined) ? undefined : parts.join("");
  }

  #pieceOf(id: string, kind: "body" | "answer", piece: number): Uint8Array {
    return utf8(JSON.stringify([label, this.ctx.id.name, id, kind, piece]));
  }

  #deleteEnded(): void {
    this.#ask`DELETE FROM exports WHERE expires <= ${Date.now()}`;
    this.#deleteLeftOver();
  }

  #deleteLeftOver(): void {
    this.#ask`DELETE FROM files WHERE export NOT IN (SELECT id FROM exports)`;
    this.#ask`DELETE FROM runs WHERE export NOT IN (SELECT id FROM exports)`;
    this.#ask`DELETE FROM texts WHERE export NOT IN (SELECT id FROM exports)`;
  }

  /** Sets the alarm to the next try or end. */
  async #wake(): Promise<void> {
    const [row] = this.#ask<{ next: number | null }>`
      SELECT min(next) AS next FROM (SELECT expires AS next FROM exports UNION ALL SELECT due FROM runs)`;
    if (row?.next !== null && row !== undefined) await this.ctx.storage.setAlarm(instant(row.next));
  }

  #keys() {
    return keyList("CODES_KEY", this.env.CODES_KEY);
  }
}

const sealing = (key: Secret<Uint8Array>, salt: Uint8Array): Secret<Uint8Array> =>
  new Secret(hkdf(key, salt, utf8(label)));
/** No piece ends amid a character of two units, which UTF-8 could not carry. */
function piecesOf(text: string): readonly string[] {
  const pieces: string[] = [];
  for (let from = 0; from < text.length;) {
    const end = from + pieceCharacters;
    const to = /[\uD800-\uDBFF]/u.test(text.charAt(end - 1)) ? end - 1 : end;
    pieces.push(text.slice(from, to));
    from = to;
  }
  return pieces;
}
const placeOf = (client: string | undefined): Uint8Array => utf8(JSON.stringify([label, client]));
