/**
 * `cloudflare:workers` as the workers use it, in plain Node. test/door/vitest.config.ts replaces the module
 * with this file.
 */
export class DurableObject<Env = unknown> {
  readonly ctx: DurableObjectState;
  readonly env: Env;

  constructor(ctx: DurableObjectState, env: Env) {
    this.ctx = ctx;
    this.env = env;
  }
}

export class WorkerEntrypoint<Env = unknown> {
  readonly ctx: ExecutionContext;
  readonly env: Env;

  constructor(ctx: ExecutionContext, env: Env) {
    this.ctx = ctx;
    this.env = env;
  }
}

const unfinished = new Set<Promise<unknown>>();

/** Work that continues after an answer. Its failure affects no request, as in workerd. */
export function waitUntil(work: Promise<unknown>): void {
  const settled = Promise.resolve(work)
    .catch(() => {})
    .finally(() => unfinished.delete(settled));
  unfinished.add(settled);
}

/**
 * Resolves when all work that was handed to `waitUntil` has ended, including the work that this work handed
 * on.
 */
export async function workDone(): Promise<void> {
  while (unfinished.size > 0) await Promise.all(unfinished);
}
