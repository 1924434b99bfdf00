import { DurableObject } from "cloudflare:workers";
import { sign } from "node:crypto";
import { fromBase64, toBase64 } from "#ledger/bytes/base64";
import { utf8 } from "#kernel/encoded";
import { cosignatureLine, cosignedText } from "#ledger/tlog/cosignature";
import { judge, type Judgement, nothingYet, type Remembered } from "#ledger/tlog/witness";
import type { AddCheckpoint } from "#ledger/tlog/witness-request";
import { hasTable } from "#platform/ask-sql";
import { readWitnessConfig, type WitnessConfig, type WitnessEnv } from "#platform/witness/config";

/**
 * A cosignature line, or the reason why there is none. `size` is the size of the last checkpoint that this
 * witness cosigned.
 */
export type WitnessAnswer =
  | { readonly verdict: "cosign"; readonly line: string }
  | { readonly verdict: Exclude<Judgement["verdict"], "cosign">; readonly size: number };

/**
 * A witness's memory of a log. The object's name is the log's origin line. The witness cosigns only
 * checkpoints that extend the last checkpoint, and never goes back.
 */
export class WitnessMemory extends DurableObject<WitnessEnv> {
  readonly #config: WitnessConfig;

  constructor(ctx: DurableObjectState, env: WitnessEnv) {
    super(ctx, env);
    this.#config = readWitnessConfig(env);
  }

  /**
   * C2SP tlog-witness. There is no await, so no other call comes between reading the last checkpoint and
   * replacing it.
   */
  addCheckpoint(request: AddCheckpoint): WitnessAnswer {
    const last = this.#last();
    const logKeys = this.#config.logs.filter(({ name }) => name === this.ctx.id.name);
    const judged = judge(request, last, logKeys);
    if (judged.verdict !== "cosign") return { verdict: judged.verdict, size: last.size };
    const seconds = Math.floor(Date.now() / 1000);
    const signature = sign(null, utf8(cosignedText(judged.text, seconds)), this.#config.key.reveal());
    const line = cosignatureLine(this.#config.cosigner, seconds, new Uint8Array(signature));
    // the output gate holds the cosignature until these rows are durable
    this.#remember(judged.head, judged.note + line);
    return { verdict: "cosign", line };
  }

  /**
   * The checkpoint that this witness cosigned last, with its cosignature and the log's signature; undefined
   * before the first.
   */
  checkpoint(): string | undefined {
    const { sql } = this.ctx.storage;
    if (!hasTable(sql, "shown")) return undefined;
    return sql.exec<{ note: string }>("SELECT note FROM shown").toArray()[0]?.note;
  }

  #last(): Remembered {
    const { sql } = this.ctx.storage;
    if (!hasTable(sql, "last")) return nothingYet;
    const { size, root } = sql.exec<{ size: number; root: string }>("SELECT size, root FROM last").one();
    const bytes = fromBase64(root);
    if (bytes === undefined) throw new Error("witness: the stored checkpoint does not read back");
    return { size, root: bytes };
  }

  #remember({ size, root }: Remembered, note: string): void {
    const { sql } = this.ctx.storage;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS shown (id INTEGER PRIMARY KEY CHECK (id = 1), note TEXT NOT NULL) STRICT",
    );
    sql.exec("INSERT OR REPLACE INTO shown VALUES (1, ?)", note);
    sql.exec(
      `CREATE TABLE IF NOT EXISTS last (id INTEGER PRIMARY KEY CHECK (id = 1),
        size INTEGER NOT NULL, root TEXT NOT NULL) STRICT`,
    );
    sql.exec("INSERT OR REPLACE INTO last VALUES (1, ?, ?)", size, toBase64(root));
  }
}
