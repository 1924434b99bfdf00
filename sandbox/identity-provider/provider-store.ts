interface Kept<T> {
  readonly payload: T;
  readonly expires: number;
}

// Over this number the oldest entry is deleted: a flood of the sign-in page ends sessions, not the process.
const keptMax = 10_000;

/** Entries that end, in memory. */
export class EndingEntries<T> {
  protected readonly kept = new Map<string, Kept<T>>();

  put(id: string, payload: T, expiresInSeconds: number): void {
    this.kept.delete(id);
    this.kept.set(id, { payload, expires: Date.now() + expiresInSeconds * 1000 });
    for (const [name, { expires }] of this.kept) {
      if (this.kept.size <= keptMax && expires > Date.now()) break;
      this.kept.delete(name);
    }
  }

  get(id: string): T | undefined {
    const kept = this.kept.get(id);
    return kept !== undefined && kept.expires > Date.now() ? kept.payload : undefined;
  }

  delete(id: string): void {
    this.kept.delete(id);
  }
}

/**
 * The provider's sessions, codes, refresh tokens and grants, in memory: a restart signs every person out. There
 * is one store for each kind, by oidc-provider's adapter interface.
 */
class ProviderStore extends EndingEntries<Record<string, unknown>> {
  async upsert(id: string, payload: Record<string, unknown>, expiresInSeconds: number): Promise<void> {
    this.put(id, payload, expiresInSeconds);
  }

  async find(id: string): Promise<Record<string, unknown> | undefined> {
    return this.get(id);
  }

  /** Finds a session by its second name. */
  async findByUid(uid: string): Promise<Record<string, unknown> | undefined> {
    return this.#findBy("uid", uid);
  }

  /** Finds a device's sign-in by the code that its person types. */
  async findByUserCode(userCode: string): Promise<Record<string, unknown> | undefined> {
    return this.#findBy("userCode", userCode);
  }

  #findBy(member: string, value: string): Record<string, unknown> | undefined {
    for (const { payload, expires } of this.kept.values())
      if (payload[member] === value && expires > Date.now()) return payload;
    return undefined;
  }

  /** Used codes and rotated refresh tokens stay stored as used, so that a second use is recognised. */
  async consume(id: string): Promise<void> {
    const payload = await this.find(id);
    if (payload !== undefined) payload["consumed"] = Math.floor(Date.now() / 1000);
  }

  async destroy(id: string): Promise<void> {
    this.delete(id);
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    for (const [id, { payload }] of this.kept) if (payload["grantId"] === grantId) this.kept.delete(id);
  }
}

/** The stores of one provider, by kind. */
export function providerStores(): (kind: string) => ProviderStore {
  const made = new Map<string, ProviderStore>();
  return (kind) => {
    const store = made.get(kind) ?? new ProviderStore();
    made.set(kind, store);
    return store;
  };
}
