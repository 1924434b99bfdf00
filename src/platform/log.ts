/**
 * The facts that a worker may log: names and ids that we made. It never logs an error's message, a URL or a
 * value of a request (P7).
 */
export type LogEvent = {
  readonly event: "fault";
  readonly requestId: string;
  /** The error's class: `TypeError`. Its message may quote the failed value. */
  readonly name: string;
};

export function log(event: LogEvent): void {
  console.error(JSON.stringify(event));
}
