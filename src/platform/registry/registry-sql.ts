import { drizzle } from "drizzle-orm/d1";

/** The methods that the database and its sessions share. */
export type RegistrySql = Pick<D1Database, "prepare" | "batch">;

/** Drizzle on a database or a session. */
// drizzle calls only these two methods
export const drizzled = (sql: RegistrySql) => drizzle(sql as D1Database);
