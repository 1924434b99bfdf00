/** A stored resource. It never changes, so it is shared without a copy. `parseExact` made its numbers. */
export interface Stored {
  readonly resourceType: string;
  readonly id: string;
  readonly meta: { readonly versionId: string; readonly lastUpdated: string };
}
