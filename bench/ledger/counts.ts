/** What was written and called since the last look, by whom and what: `shard.rows`, `bucket.put`, `shelf.put`, … */
export type Counts = Readonly<Record<string, number>>;

// One isolate has all counted objects.
const counts = new Map<string, number>();
const add = (name: string, many: number) => counts.set(name, (counts.get(name) ?? 0) + many);

/** Counts the rows that statements of one object write, as Cloudflare bills them (`SqlStorageCursor.rowsWritten`). */
export function countRows(sql: SqlStorage, name: string): void {
  const exec = sql.exec.bind(sql);
  const counting = (...given: Parameters<typeof exec>) => {
    const cursor = exec(...given);
    add(`${name}.rows`, cursor.rowsWritten); // a statement that writes is done when it comes back
    return cursor;
  };
  Object.defineProperty(sql, "exec", { value: counting });
}

/** The same object, its calls counted by name. */
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

/** Since the last look. */
export function countsSoFar(): Counts {
  const found = Object.fromEntries(counts);
  counts.clear();
  return found;
}
