import { createHmac, timingSafeEqual } from "node:crypto";
import type { KeyList } from "#kernel/key-list";
import { Secret } from "#kernel/secret";
import { utf8 } from "#kernel/encoded";
import { hkdf } from "#ledger/leaf/seal";
import type { UsedProof } from "./used-proofs.ts";

/** Calls that only the ledger's own code may make to a log. */
export type OwnCall =
  /** The log of the beginning half-year asks which event owns a proof. */
  | {
      readonly kind: "claim_proof";
      readonly proof: UsedProof;
      /** The layout by which the proof's sender chose this log; absent from a worker of an earlier version. */
      readonly layout?: string | undefined;
    }
  /** Copies accounting lines to these shelves, before the shelves are read. */
  | { readonly kind: "shelve"; readonly shelves: readonly string[] }
  /** Rebuilds a log whose storage was lost from the second copy, as far as one call goes. */
  | { readonly kind: "rebuild"; readonly standIn: string | undefined };

/** A call with the MAC that proves its sender. */
export interface SealedCall {
  readonly text: string; // the call as JSON
  readonly mac: Uint8Array;
}

const label = "phylax ledger own call v1";

/**
 * Makes and opens calls between the ledger's own objects. Other workers bind this Durable Object class and
 * may call all its methods, so a call that is not for them has a MAC by a key that only the ledger worker
 * has.
 */
export class OwnCalls {
  readonly #keys: readonly Secret<Uint8Array>[];

  /** The first key seals. A call of any key opens: two objects may start with different values. */
  constructor(accountingKeys: KeyList) {
    this.#keys = accountingKeys.map((key) => new Secret(hkdf(key, new Uint8Array(), utf8(label))));
  }

  seal(log: string, call: OwnCall): SealedCall {
    const text = JSON.stringify(call);
    const [key] = this.#keys;
    if (key === undefined) throw new Error("ledger: no key"); // a KeyList has a first key
    return { text, mac: this.#mac(log, text, key) };
  }

  /** Throws for a call that this ledger did not seal for this log. RPC callers may send any type. */
  open(log: string, sealed: Partial<SealedCall> | null | undefined): OwnCall {
    const { text, mac } = sealed ?? {};
    const isSealed =
      typeof text === "string" &&
      mac instanceof Uint8Array &&
      mac.length === 32 &&
      this.#keys.some((key) => timingSafeEqual(mac, this.#mac(log, text, key)));
    if (!isSealed) throw new Error("ledger: only the ledger may call this");
    return JSON.parse(text) as OwnCall; // this code wrote it: the MAC proves it
  }

  #mac(log: string, text: string, key: Secret<Uint8Array>): Uint8Array {
    return new Uint8Array(createHmac("sha256", key.reveal()).update(`${log}\0${text}`).digest());
  }
}
