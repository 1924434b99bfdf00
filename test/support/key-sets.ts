import type { KeySets } from "#identity/ports";

/** Where no keys are fetched: whoever asks is told by a failing test. */
export const noKeySets: KeySets = {
  at: () => Promise.reject(new Error("keys were fetched")),
  anew: () => Promise.reject(new Error("keys were fetched")),
};
