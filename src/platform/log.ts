/**
 * The facts that a worker may log, each explained in docs/runbook.md: names and ids that we made. It never
 * logs an error's message, a URL or a value of a request (P7).
 */
export type LogEvent =
  | {
      readonly event: "fault";
      readonly requestId: string;
      /** The error's class: `TypeError`. Its message may quote the failed value. */
      readonly name: string;
    }
  /** As `fault`, for the judgement of a row: the row is hidden, and the answer goes on. Once for each name in a request. */
  | { readonly event: "row_fault"; readonly requestId: string; readonly name: string }
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
    }
  /** Development only: an answer in a form has this identifier of 45 CFR 164.514, by the checker. Never its value. */
  | {
      readonly event: "identifier_left";
      readonly path: string;
      readonly identifier: string;
      readonly paragraph: string;
    }
  /** The codes of a data set were deleted, a week after the end of its agreement. */
  | {
      readonly event: "data_set_ended";
      readonly client: string;
      readonly agreement: string;
      readonly origin: string;
      readonly name: string;
    }
  /** An object of the log is no longer in R2. */
  | { readonly event: "ledger_copy_missing"; readonly key: string }
  | {
      readonly event: "ledger_copy_failed";
      readonly origin: string;
      /** R2 and the log's object contradict each other: the log takes no more records. */
      readonly stopped: boolean;
    }
  | { readonly event: "ledger_free_failed"; readonly origin: string }
  | { readonly event: "ledger_seal_failed"; readonly log: string }
  /** The numbers of a log did not reach the traffic book: the next alarm tries again. */
  | { readonly event: "traffic_hand_over_failed"; readonly log: string }
  /** A message about this alert was given up after hours of tries: it stands among the dead letters. */
  | { readonly event: "alert_given_up"; readonly alert: string }
  | { readonly event: "ledger_root_unreachable"; readonly origin: string }
  | { readonly event: "ledger_root_refused"; readonly origin: string; readonly why: string }
  | {
      readonly event: "ledger_witness_ahead";
      readonly witness: string;
      readonly size: number;
      readonly witnessSize: number;
    }
  | { readonly event: "ledger_witness_failed"; readonly witness: string; readonly size: number }
  | { readonly event: "ledger_configuration_elsewhere"; readonly log: string }
  /** An alert: a log takes no records. At most once a minute from each isolate that meets it. */
  | { readonly event: "ledger_log_refuses"; readonly log: string }
  /** This worker chose the log of a key by other regions or another number of shards than the ledger. */
  | { readonly event: "ledger_layout_differs"; readonly log: string }
  /** The collector took no trace, or too many were under way: the number lost since the last line, at most once a minute. */
  | { readonly event: "traces_lost"; readonly traces: number }
  | { readonly event: "accounting_drain_failed"; readonly log: string }
  | {
      readonly event: "accounting_intake_failed";
      readonly intake: string | undefined;
      readonly lines: number;
    }
  | {
      readonly event: "element_counts_lost";
      readonly grant: string | undefined;
      readonly paths: number;
      readonly answers: number;
    };

export function log(event: LogEvent): void {
  console.error(JSON.stringify(event));
}
