import { DurableObject } from "cloudflare:workers";
import { codeForm, codesPerCall, type DataSet, type DataSetEnded } from "#deid/codes";
import { dayMilliseconds, instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { type AskSql, askSql, hasTable } from "#platform/ask-sql";
import { keyList } from "#platform/config/key-list-setting";
import { log } from "#platform/log";
import { newId } from "#platform/new-id";
import { SealedNames } from "./sealed-names.ts";

export interface DataSetCodesEnv {
  /** Keys of 32 random bytes in base64url: `NEW OLD …` (docs/keys.md). */
  readonly CODES_KEY: string;
  readonly AGREEMENT_READING: {
    endOf(client: string, agreement: string): Promise<number | undefined>;
  };
}

// A question for a code opens a whole box: 5,000 codes of as many boxes take some 25 MB. Boxes of 64 names are 2 % larger
// than a single box.
const namesPerBox = 64;

/** The answer to a list, in its order. `null`: no name has this code. */
export type ListedCodes = Result<readonly string[], DataSetEnded>;
export type ListedNames = Result<readonly (string | null)[], DataSetEnded>;

// An agreement may be prolonged a little late, and a restored registry may lack it for a while.
const graceMilliseconds = 7 * dayMilliseconds;

/**
 * The codes of a data set, both ways. A name rests hashed and sealed under a key of the data set (`SealedNames`). A
 * code is create-only: the first name of a code, and the first code of a name, stay until the data set ends, and an ended
 * data set never begins again. Every call is a single transaction, and the output gate holds its answer until the rows
 * are durable.
 */
export class DataSetCodes extends DurableObject<DataSetCodesEnv> {
  readonly #ask: AskSql;
  #sealed: SealedNames | undefined;

  constructor(ctx: DurableObjectState, env: DataSetCodesEnv) {
    super(ctx, env);
    this.#ask = askSql(ctx.storage.sql);
  }

  /** The code of each name (`Type/id`), made where a name has none. */
  async codesOf(dataSet: DataSet, names: readonly string[]): Promise<ListedCodes> {
    requireFew(names);
    const known = this.#known();
    if (known === undefined) await this.ctx.storage.setAlarm(now() + dayMilliseconds);
    try {
      return this.ctx.storage.transactionSync(() => {
        const stored = this.#known() ?? this.#begin(dataSet);
        if (stored.wrapped === undefined) return ended;
        const sealed = this.#names(stored);
        return ok(this.#codesOf(names, sealed));
      });
    } catch (fault) {
      this.#sealed = undefined; // the key of a beginning that was rolled back opens nothing
      throw fault;
    }
  }

  /** The name of each code. */
  namesOf(codes: readonly string[]): ListedNames {
    requireFew(codes);
    const stored = this.#known();
    if (stored === undefined) return ok(codes.map(() => null));
    if (stored.wrapped === undefined) return ended;
    const sealed = this.#names(stored);
    return ok(this.#namesOf(codes, sealed));
  }

  /**
   * Deletes all codes, and the key that opens them: from now on no code is made under this name. False: there is no
   * such data set, or it was over before.
   */
  async end(): Promise<boolean> {
    if (this.#known()?.wrapped === undefined) return false;
    this.ctx.storage.transactionSync(() => {
      this.#ask`DROP TABLE codes`;
      this.#ask`DROP TABLE boxes`;
      this.#ask`UPDATE data_set SET salt = zeroblob(length(salt)), box = zeroblob(length(box)), ended = ${now()}`;
    });
    this.#sealed = undefined;
    await this.ctx.storage.deleteAlarm();
    return true;
  }

  /** Once a day: a data set ends a week after its agreement. */
  override async alarm(): Promise<void> {
    const stored = this.#known();
    if (stored?.wrapped === undefined) return;
    await this.ctx.storage.setAlarm(now() + dayMilliseconds); // first: the runtime drops an alarm that fails often
    const { dataSet, absentSince } = stored;
    const ends = await this.env.AGREEMENT_READING.endOf(dataSet.client, dataSet.agreement);
    const since = ends ?? absentSince ?? now();
    // wrapped anew: an earlier key of CODES_KEY may be dropped after a day
    const { salt, box } = SealedNames.wrappedAnew(keysOf(this.env), placeOf(dataSet), stored.wrapped);
    this.#ask`UPDATE data_set SET absent_since = ${ends === undefined ? since : null}, salt = ${salt}, box = ${box}
      WHERE ended IS NULL`;
    if (now() < since + graceMilliseconds || !(await this.end())) return;
    log({ event: "data_set_ended", ...dataSet });
  }

  /** The code of each name, by few statements, since each costs 30 µs. The names that have none are sealed together. */
  #codesOf(names: readonly string[], sealed: SealedNames): readonly string[] {
    const hashes = new Map(names.map((name) => [name, Buffer.from(sealed.nameHash(name)).toString("hex")]));
    const rows = this.#ask<{ hash: string; code: string }>`
      SELECT lower(hex(name_hash)) AS hash, lower(hex(code)) AS code FROM codes
      WHERE name_hash IN (SELECT unhex(value) FROM json_each(${JSON.stringify([...hashes.values()])}))`;
    const codes = new Map(rows.map(({ hash, code }) => [hash, code]));
    const made = [...hashes]
      .filter(([, hash]) => !codes.has(hash))
      .map(([name, hash]) => ({ name, hash, code: newId() }));
    for (const { hash, code } of made) codes.set(hash, code);
    for (let first = 0; first < made.length; first += namesPerBox) {
      const some = made.slice(first, first + namesPerBox);
      const batch = newId();
      const box = sealed.sealNames(
        batch,
        some.map(({ name }) => name),
      );
      this.#ask`INSERT INTO boxes (batch, box) VALUES (${Buffer.from(batch, "hex")}, ${box})`;
      this.#ask`INSERT INTO codes (code, name_hash, batch, place)
        SELECT unhex(value ->> 'code'), unhex(value ->> 'hash'), ${Buffer.from(batch, "hex")}, key
        FROM json_each(${JSON.stringify(some.map(({ hash, code }) => ({ hash, code })))})`;
    }
    return names.map((name) => codes.get(hashes.get(name) ?? "") ?? "");
  }

  #namesOf(codes: readonly string[], sealed: SealedNames): readonly (string | null)[] {
    const asked = JSON.stringify(codes.filter((code) => codeForm.test(code)));
    const rows = this.#ask<{ code: string; batch: string; place: number }>`
      SELECT lower(hex(code)) AS code, lower(hex(batch)) AS batch, place FROM codes
      WHERE code IN (SELECT unhex(value) FROM json_each(${asked}))`;
    const batches = [...new Set(rows.map(({ batch }) => batch))];
    const boxes = this.#ask<{ batch: string; box: ArrayBuffer }>`
      SELECT lower(hex(batch)) AS batch, box FROM boxes
      WHERE batch IN (SELECT unhex(value) FROM json_each(${JSON.stringify(batches)}))`;
    const opened = new Map(
      boxes.map(({ batch, box }) => [batch, sealed.openNames(batch, new Uint8Array(box))]),
    );
    const names = new Map(rows.map(({ code, batch, place }) => [code, opened.get(batch)?.[place]]));
    return codes.map((code) => names.get(code) ?? null);
  }

  #names({ dataSet, wrapped }: StoredSet): SealedNames {
    if (wrapped === undefined) throw new Error("jobs: the data set is over");
    return (this.#sealed ??= SealedNames.underKey(keysOf(this.env), placeOf(dataSet), wrapped));
  }

  #known(): StoredSet | undefined {
    if (!hasTable(this.ctx.storage.sql, "data_set")) return undefined;
    const [row] = this.#ask<DataSetRow>`SELECT * FROM data_set`;
    return row && storedOf(row);
  }

  #begin(dataSet: DataSet): StoredSet {
    this.ctx.storage.sql.exec(schema);
    const { client, agreement, origin, name } = dataSet;
    const { salt, box } = SealedNames.newKey(keysOf(this.env), placeOf(dataSet));
    this.#ask`INSERT INTO data_set (id, client, agreement, origin, name, salt, box)
      VALUES (1, ${client}, ${agreement}, ${origin}, ${name}, ${salt}, ${box})`;
    return { dataSet, wrapped: { salt, box }, absentSince: undefined };
  }
}

/** The name of a data set's object, and the place to which its key is bound. */
export const placeOf = ({ client, agreement, origin, name }: DataSet): string =>
  JSON.stringify([client, agreement, origin, name]);

/** `wrapped` is undefined once the data set is over. */
interface StoredSet {
  readonly dataSet: DataSet;
  readonly wrapped: { readonly salt: Uint8Array; readonly box: Uint8Array } | undefined;
  readonly absentSince: Instant | undefined;
}

interface DataSetRow {
  readonly client: string;
  readonly agreement: string;
  readonly origin: string;
  readonly name: string;
  readonly salt: ArrayBuffer;
  readonly box: ArrayBuffer;
  readonly absent_since: number | null;
  readonly ended: number | null;
}

const storedOf = ({ client, agreement, origin, name, ...row }: DataSetRow): StoredSet => ({
  dataSet: { client, agreement, origin, name },
  wrapped: row.ended === null ? { salt: new Uint8Array(row.salt), box: new Uint8Array(row.box) } : undefined,
  absentSince: row.absent_since === null ? undefined : instant(row.absent_since),
});

const ended = err({ reason: "data_set_ended" } as const);

function requireFew(list: readonly string[]): void {
  if (list.length > codesPerCall) throw new RangeError("jobs: too many codes in a call");
}

const keysOf = ({ CODES_KEY }: DataSetCodesEnv) => keyList("CODES_KEY", CODES_KEY);

// Without a rowid: a number that counts up would keep the order in which codes were made.
const schema = `
  CREATE TABLE IF NOT EXISTS data_set (id INTEGER PRIMARY KEY CHECK (id = 1), client TEXT NOT NULL,
    agreement TEXT NOT NULL, origin TEXT NOT NULL, name TEXT NOT NULL, salt BLOB NOT NULL, box BLOB NOT NULL,
    absent_since INTEGER, ended INTEGER) STRICT;
  CREATE TABLE IF NOT EXISTS codes (code BLOB PRIMARY KEY, name_hash BLOB NOT NULL UNIQUE, batch BLOB NOT NULL,
    place INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS boxes (batch BLOB PRIMARY KEY, box BLOB NOT NULL) STRICT, WITHOUT ROWID;
`;

const now = (): Instant => instant(Date.now());
