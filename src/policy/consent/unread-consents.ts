import type { ConsentRules, Provision } from "./consent.ts";

const everything = { specificity: 0, isUnclear: false, limits: {} } as const;

const emergency: Provision = {
  ...everything,
  path: "too many.emergency",
  effect: "permit",
  frame: { purposes: ["ETREAT"] },
  exceptions: [],
};

/**
 * The rules that count in place of the Consents of a patient who has too many to read. They deny what any Consent may
 * deny, so everything, except in a declared emergency: whoever adds Consents must not take an emergency its help. A
 * denial that is on file holds there as before.
 */
export const unreadConsents: ConsentRules = {
  isActive: true,
  standsForUnread: true,
  readings: [
    {
      root: { ...everything, path: "too many", effect: "deny", frame: {}, exceptions: [emergency] },
      outside: "silent",
      world: "open",
    },
  ],
};
