import { restored, type StoredWindow, type QuotaWindow, type WindowStore } from "./window.ts";

const keysMax = 1_024;

/**
 * The windows of a client's grants. Each is kept for ever, with the newest quota that the guard has seen.
 */
export class GrantWindows implements WindowStore {
  readonly #windows: Map<string, QuotaWindow>;

  constructor(stored: readonly StoredWindow[]) {
    this.#windows = new Map(stored.map((row) => [row.key, restored(row)]));
  }

  get(key: string): QuotaWindow | undefined {
    return this.#windows.get(key);
  }

  set(key: string, window: QuotaWindow): void {
    if (!this.#windows.has(key) && this.#windows.size >= keysMax)
      throw new Error("a client has more quotas than a guard can count");
    this.#windows.set(key, window);
  }
}
