import type { RecordName } from "#registry/revocation";

/**
 * A record that is read; a kind, when the record's name is known only after the read; or `unnamed`, which no
 * delta names: a policy, which never changes, or a hint.
 */
export type Subject = RecordName | "client" | "issuer" | "unnamed";

/** A change of the registry, as triggers list it (migration 0035). */
export interface ListedChange {
  /** The version of the whole registry after the change. */
  readonly version: string;
  /** The changed record, for example `client/telehealth`. Empty: any record. */
  readonly record: string;
}

// A version that is no longer known only means that a copy is read again.
const knownMax = 4_096;

/** An isolate's part of the registry's list of changes: those since the first version that it read. */
export class ChangeLog {
  #changes: ListedChange[] = [];
  readonly #places = new Map<string, number>(); // by version: the number of changes up to it

  /** The newest known version. */
  get newest(): string | undefined {
    return this.#changes.at(-1)?.version;
  }

  /** Forgets all: the changes before this version are not known. */
  restart(version: string | undefined): void {
    this.#changes = [];
    this.#places.clear();
    if (version !== undefined) this.append([{ version, record: "" }]);
  }

  append(changes: readonly ListedChange[]): void {
    if (this.#changes.length + changes.length > knownMax) this.restart(this.newest);
    for (const change of changes) {
      this.#changes.push(change);
      this.#places.set(change.version, this.#changes.length);
    }
  }

  /**
   * A subject is a record, a kind of records, or `unnamed`: then each change may be one of it.
   * @returns true if the subject changed after a version, false if it did not, `undefined` if the version is not known.
   */
  changedSince(version: string, subject: Subject): boolean | undefined {
    const place = this.#places.get(version);
    if (place === undefined) return undefined;
    const ofKind = `${subject}/`;
    for (let at = place; at < this.#changes.length; at += 1) {
      const record = this.#changes[at]?.record ?? "";
      if (record === "" || subject === "unnamed" || record === subject || record.startsWith(ofKind))
        return true;
    }
    return false;
  }
}
