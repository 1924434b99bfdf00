/**
 * The facts that a worker may log: names and ids that we made. It never logs an error's message, a URL or a
 * value of a request (P7).
 */
export type LogEvent =
  | {
      readonly event: "fault";
      readonly requestId: string;
      /** The error's class: `TypeError`. Its message may quote the failed value. */
      readonly name: string;
    }
  /** An alert: a client used a break-glass purpose. The record has the person and the reason. */
  | {
      readonly event: "break_glass";
      readonly requestId: string;
      readonly client: string;
      readonly purpose: string;
      /** The id of the review task. */
      readonly review: string;
    }
  /** A client's certificate (by its thumbprint) or agreement ends within thirty days, or has ended. */
  | {
      readonly event: "client_ending";
      readonly client: string;
      readonly what: "certificate" | "agreement";
      readonly name: string;
      /** Milliseconds since 1970. */
      readonly ends: number;
    };

export function log(event: LogEvent): void {
  console.error(JSON.stringify(event));
}
