import type { KeySets } from "#identity/ports";

/** Key sets that fetch nothing: a request for keys fails the test. */
export const noKeySets: KeySets = {
  at: () => Promise.reject(new Error("keys were fetched")),
  anew: () => Promise.reject(new Error("keys were fetched")),
};
