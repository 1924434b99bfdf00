/** A registry without entries, for changes that rest on none. */
export const nothingThere = {
  grants: [],
  clients: new Map<never, never>(),
  issuers: new Map<never, never>(),
  certificates: new Map<never, never>(),
  certificateSubjects: new Map<never, never>(),
};
