/** The quota of all requests of a client under a grant. */
export interface RequestQuota {
  readonly client: string;
  readonly purpose: string;
  readonly requests: number;
  readonly windowSeconds: number;
}
