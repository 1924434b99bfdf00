/** The quota of all requests of a client under a grant. */
export interface RequestQuota {
  readonly client: string;
  readonly purpose: string;
  readonly requests: number;
  readonly windowSeconds: number;
}

/** The requests a second that quotas allow together. */
export const requestsASecond = (quotas: readonly RequestQuota[]): number =>
  quotas.reduce((sum, { requests, windowSeconds }) => sum + requests / windowSeconds, 0);
