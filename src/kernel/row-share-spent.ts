/**
 * Judging a row costs more than a row's share of the request's work. The work budget throws it while the row is
 * judged; the barrier around the row (fhir/row-barrier) hides the row, and the answer goes on.
 */
export class RowShareSpent extends Error {
  override readonly name = "RowShareSpent";
}
