import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../../..");

export interface RateLimits {
  readonly limit: number;
  readonly period: number;
}

/**
 * The texts that a worker's wrangler configuration sets in `[vars]`. A variable that is no text is left out:
 * the code that starts the worker sets it.
 */
export function workerVariables(config: string): Readonly<Record<string, string>> {
  const [, vars = ""] =
    /^\[vars\]\n(?<vars>(?:(?!\[).*\n)*)/mu.exec(readFileSync(join(root, config), "utf8")) ?? [];
  return Object.fromEntries(
    [...vars.matchAll(/^(?<name>\w+) = "(?<text>[^"\\]*)"/gmu)].map(([, name = "", text = ""]) => [
      name,
      text,
    ]),
  );
}

/** The limits of a worker's rate-limit bindings, by name. */
export function workerRateLimits(config: string): ReadonlyMap<string, RateLimits> {
  const found = readFileSync(join(root, config), "utf8").matchAll(
    /^\[\[ratelimits\]\]\nname = "(?<name>\w+)"\n.*\nsimple = \{ limit = (?<limit>\d+), period = (?<period>\d+) \}/gmu,
  );
  return new Map(
    [...found].map(([, name = "", limit, period]) => [
      name,
      { limit: Number(limit), period: Number(period) },
    ]),
  );
}
