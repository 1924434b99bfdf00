import type { ConsentRules, Provision } from "./consent.ts";

/**
 * A patient's Consents in force that are read. A patient who has more of them, or of a longer compiled form together,
 * has too many: an app could fill `control` and the memory of each isolate.
 */
export const readableMax = { consents: 1_000, characters: 262_144 } as const;

/**
 * Consents in force of a patient that neither the patient nor a consent registrar filed: so no client takes the room of
 * {@link readableMax}. A client files at most as many as are still free, so that it takes half and further clients have
 * the rest.
 */
export const filedByOthersMax = 100;

const everything = { specificity: 0, isUnclear: false, limits: {} } as const;

const emergency: Provision = {
  ...everything,
  path: "too many.emergency",
  effect: "permit",
  frame: { purposes: ["ETREAT"] },
  exceptions: [],
};

/**
 * The rules that count in place of the Consents of a patient who has too many to read. They deny everything, since
 * any Consent may, except in a declared emergency: an app that adds Consents must not take an emergency its help. A
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
