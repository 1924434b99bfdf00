/**
 * Rows written and calls made since the last reading, by object and kind: `shard.rows`, `bucket.put`,
 * `shelf.put`, …
 */
export type Counts = Readonly<Record<string, number>>;

// All counted objects are in one isolate.
const counts = new Map<string, number>();
const add = (name: string, many: number) => counts.set(name, (counts.get(name) ?? 0) + many);

/**
 * Counts the rows that statements of an object write, as Cloudflare bills them
 * (`SqlStorageCursor.rowsWritten`).
 */
export function countRows(sql: SqlStorage, name: string): void {
  const exec = sql.exec.bind(sql);
  const counting = (...given: Parameters<typeof exec>) => {
    const cursor = exec(...given);
    add(`${name}.rows`, cursor.rowsWritten); // a write has ended when its statement returns
    return cursor;
  };
  Object.defineProperty(sql, "exec", { value: counting });
}

/** A proxy of the object that counts its calls by name. */
export function countCalls<T extends object>(object: T, name: string): T {
  return new Proxy(object, {
    get(target, method) {
      const value: unknown = Reflect.get(target, method, target);
      if (typeof value !== "function" || typeof method !== "string") return value;
      return (...given: unknown[]) => {
        add(`${name}.${method}`, 1);
        return Reflect.apply(value, target, given) as unknown;
      };
    },
  });
}

/** Counts since the last reading. */
export function countsSoFar(): Counts {
  const found = Object.fromEntries(counts);
  counts.clear();
  return found;
}
