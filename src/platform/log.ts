/** What a worker may log: names and ids of our own making. Never a message of the outside, a URL or a value of a request (P7). */
export type LogEvent = {
  readonly event: "fault";
  readonly requestId: string;
  /** Class of the error: `TypeError`. Its message may quote what failed. */
  readonly name: string;
};

export function log(event: LogEvent): void {
  console.error(JSON.stringify(event));
}
