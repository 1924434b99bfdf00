import type { AuditEvent } from "#audit/event";
import type { Residences } from "#residence/row-residences";

/**
 * Adds the state of each patient whom an event names, where a body of the request had it. A request has a
 * single origin.
 */
export function withStates(event: AuditEvent, residences: Residences): AuditEvent {
  const stateOf = ({ patient }: { readonly patient: string }) =>
    residences.of(patient.slice(patient.lastIndexOf("/") + 1));
  if (event.patients.every((one) => stateOf(one) === undefined)) return event;
  const patients = event.patients.map((one) => {
    const state = stateOf(one);
    return state === undefined ? one : { ...one, state };
  });
  return { ...event, patients };
}
