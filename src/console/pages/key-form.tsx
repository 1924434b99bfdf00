import type { PropsWithChildren } from "hono/jsx";
import { texts } from "#console/texts";
import { Field, NoScript } from "./parts.tsx";

/**
 * The choice of an auditor's key, after the page's own fields, and the button that opens records with it. Without
 * script it does nothing. A hidden form is shown by the script when there is something to open.
 */
export function KeyForm({
  action,
  hidden = false,
  children,
}: PropsWithChildren<{ readonly action: string; readonly hidden?: boolean }>) {
  const { records } = texts;
  return (
    <form data-key-form hidden={hidden} class="no-print">
      <div class="fields">
        {children}
        <Field label={records.key} id="auditor-key" type="file" accept=".json,application/json" required />
        <button disabled>{action}</button>
      </div>
      <p class="note">{records.keyNote}</p>
      <NoScript>{records.noScript}</NoScript>
    </form>
  );
}
