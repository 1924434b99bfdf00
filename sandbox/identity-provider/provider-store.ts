interface Kept {
  readonly payload: Record<string, unknown>;
  readonly expires: number;
}

// Beyond these the oldest goes: whoever floods the sign-in page ends other people's sessions, not the process.
const keptMax = 10_000;

/**
 * What the provider remembers (sessions, codes, refresh tokens, grants), in memory: a restart signs everybody out. One store for each
 * kind, by oidc-provider's adapter interface.
 */
class ProviderStore {
  readonly #kept = new Map<string, Kept>();

  async upsert(id: string, payload: Record<string, unknown>, expiresInSeconds: number): Promise<void> {
    this.#kept.delete(id);
    this.#kept.set(id, { payload, expires: Date.now() + expiresInSeconds * 1000 });
    for (const [name, { expires }] of this.#kept) {
      if (this.#kept.size <= keptMax && expires > Date.now()) break;
      this.#kept.delete(name);
    }
  }

  async find(id: string): Promise<Record<string, unknown> | undefined> {
    const kept = this.#kept.get(id);
    return kept !== undefined && kept.expires > Date.now() ? kept.payload : undefined;
  }

  /** A session by its other name. */
  async findByUid(uid: string): Promise<Record<string, unknown> | undefined> {
    for (const { payload, expires } of this.#kept.values())
      if (payload["uid"] === uid && expires > Date.now()) return payload;
    return undefined;
  }

  /** Codes and rotated refresh tokens are kept as used, so that a second use is seen as one. */
  async consume(id: string): Promise<void> {
    const payload = await this.find(id);
    if (payload !== undefined) payload["consumed"] = Math.floor(Date.now() / 1000);
  }

  async destroy(id: string): Promise<void> {
    this.#kept.delete(id);
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    for (const [id, { payload }] of this.#kept) if (payload["grantId"] === grantId) this.#kept.delete(id);
  }
}

/** Shelves of one provider, by kind. */
export function providerStores(): (kind: string) => ProviderStore {
  const made = new Map<string, ProviderStore>();
  return (kind) => {
    const store = made.get(kind) ?? new ProviderStore();
    made.set(kind, store);
    return store;
  };
}
