import { texts } from "#console/texts";
import type { DenialGround } from "#registry/case-document";
import { letterFacts, letterFrom, letterParts } from "#registry/cases/case-letter";
import { announce, part, saveFile } from "./page-parts.ts";

const { cases: words } = texts;

/**
 * Makes the letter of a step, saves it, and shows it. The form then sends its SHA-256. After a change of the form
 * there is no letter, so no step is taken with the letter of other words.
 */
export function offerLetter(form: PageElement): void {
  const kind = form.dataset["letter"] === "denial" ? "denial" : "extension";
  const { case: id = "", received = "" } = form.dataset;
  const find = (selector: string) => part(selector, form);
  const [digest, banner, preview] = [find("[name=letter]"), find("[data-banner]"), find("[data-preview]")];
  const [make, step] = [find("[data-make]"), find("[data-step]")];
  make.disabled = false;
  let turn = 0;
  const clear = () => {
    turn += 1;
    digest.value = "";
    preview.hidden = step.disabled = true;
  };
  form.addEventListener("input", clear);
  const write = async () => {
    clear();
    const begun = turn;
    const [template] = Array.from(find("[data-template]").files ?? []);
    if (template === undefined) throw new Error(words.noTemplate);
    const ticked = [...form.querySelectorAll("[name=ground]:checked")];
    const grounds = ticked.map(({ value }) => value as DenialGround); // the page has each of the four, and the server reads them
    const own = find("[data-words]").value.trim();
    if (kind === "denial" && grounds.length === 0) throw new Error(words.noGround);
    if (kind === "extension" && own === "") throw new Error(words.noWords);
    const facts = letterFacts(kind, { id, receivedAt: Number(received), now: Date.now() }, own, grounds);
    const text = letterFrom(await template.text(), letterParts[kind], facts);
    const bytes = new TextEncoder().encode(text);
    const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    if (turn !== begun) return; // the form says something else by now
    saveFile(`${kind}-letter-${id}.txt`, "text/plain;charset=utf-8", [text]);
    preview.replaceChildren(text);
    digest.value = Buffer.from(sha256).toString("hex");
    preview.hidden = step.disabled = false;
    announce(banner, "good", words.made);
  };
  make.addEventListener("click", () => {
    void write().catch((fault: unknown) =>
      announce(banner, "bad", words.notMade(fault instanceof Error ? fault.message : "")),
    );
  });
}
