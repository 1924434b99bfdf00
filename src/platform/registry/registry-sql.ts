import { drizzle } from "drizzle-orm/d1";

/** What the database and a session of it have in common. */
export type RegistrySql = Pick<D1Database, "prepare" | "batch">;

/** Drizzle on either of the two. */
export const drizzled = (sql: RegistrySql) => drizzle(sql as D1Database); // of which it calls these two and nothing else
