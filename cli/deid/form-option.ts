import { deidForms, type DeidForm } from "#policy/form/fates";
import { Misuse } from "../misuse.ts";

/** The form that the option names. */
export function deidFormNamed(text: string): DeidForm {
  const form = deidForms.find((known) => known === text);
  if (form === undefined) throw new Misuse(`--form: expected ${deidForms.join(" or ")}`);
  return form;
}
