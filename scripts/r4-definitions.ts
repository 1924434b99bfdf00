// The pristine R4 4.0.1 definitions (CC0), as the scripts that generate tables read them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type * as z from "zod";

/** The given folder, by default `../shared/data`. */
export const data = process.argv[2] ?? join(import.meta.dirname, "../../shared/data");

/** Each line of a gzipped NDJSON file, parsed by the schema. */
export const lines = <T>(path: string, schema: z.ZodType<T>): T[] =>
  gunzipSync(readFileSync(join(data, path)))
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => schema.parse(JSON.parse(line)));
