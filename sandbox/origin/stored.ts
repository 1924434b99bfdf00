/** A resource as it is stored: never changed, so it can be handed out without a copy. Its numbers are those of `parseExact`. */
export interface Stored {
  readonly resourceType: string;
  readonly id: string;
  readonly meta: { readonly versionId: string; readonly lastUpdated: string };
}
