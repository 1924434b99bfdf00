import { textsOf } from "#audit/accounting/page/languages";
import { isShownAsProven } from "#audit/accounting/page/shown";
import type { PageTexts } from "#audit/accounting/page/english";
import { ProvenLines } from "#audit/accounting/proven-lines";
import { checkLine, readLineProof } from "#audit/accounting/proof";
import { parseLogName } from "#ledger/log-name";
import { siblingOf } from "#ledger/root-log";
import { parseVerifierKey, type Verifier } from "#ledger/tlog/signed-note";
import { isZone } from "#kernel/wall-time";
import { settled } from "./web-crypto.ts";

/*
 * The script of the accounting's page: it checks each line against its proof, as `phylax accounting check` does,
 * and says so beside the line. It sends nothing and reads nothing but the page.
 */

type Verdict = "proven" | "wrong" | "unproven";

const main = document.querySelector("main[data-accounting-page]");
const section = main?.querySelector("section[data-check]");
// the check writes the words of each line again, in the language of the page
const language = textsOf(document.querySelector("html")?.getAttribute("lang") ?? "");
if (main !== null && section !== undefined && section !== null && language !== undefined)
  addButton(main, section, language);

/** A page that was saved after its script ran has the button already: without its listener. */
function addButton(page: PageElement, place: PageElement, texts: PageTexts): void {
  const button = place.querySelector("button") ?? document.createElement("button");
  const summary = place.querySelector("[role=status]") ?? document.createElement("p");
  button.setAttribute("type", "button");
  button.textContent = texts.check.inBrowser.button;
  summary.setAttribute("role", "status");
  summary.textContent = "";
  const say = async () => {
    summary.textContent = await check(page, texts);
  };
  button.addEventListener("click", () => void say());
  place.append(button, summary);
}

/** Marks each row; returns the sentence about all of them. */
async function check(page: PageElement, texts: PageTexts): Promise<string> {
  const says = texts.check.inBrowser;
  const root = parseVerifierKey(page.getAttribute("data-root-key") ?? "");
  const zone = page.getAttribute("data-zone") ?? "";
  const verdicts: Verdict[] = [];
  const linesBefore = new ProvenLines();
  for (const row of page.querySelectorAll("tbody tr")) {
    const verdict =
      root.ok && isZone(zone) ? await verdictOf(row, { zone, texts }, root.value, linesBefore) : "wrong";
    mark(row, verdict, says[verdict]);
    verdicts.push(verdict);
  }
  const count = (verdict: Verdict) => verdicts.filter((each) => each === verdict).length;
  page.setAttribute("data-checked", count("wrong") > 0 ? "wrong" : "proven");
  if (count("wrong") > 0) return says.someWrong(count("wrong"));
  return count("unproven") > 0 ? says.someUnproven(count("unproven")) : says.allProven(count("proven"));
}

async function verdictOf(
  row: PageElement,
  { zone, texts }: { readonly zone: string; readonly texts: PageTexts },
  root: Verifier,
  linesBefore: ProvenLines,
): Promise<Verdict> {
  const encoded = row.querySelector("details code")?.textContent;
  if (encoded === undefined || encoded === null) return "unproven";
  const proof = readLineProof(new TextDecoder().decode(Buffer.from(encoded, "base64")));
  if (!proof.ok || parseLogName(proof.value.log) === undefined) return "wrong";
  const checked = await settled(() => checkLine(proof.value, siblingOf(root, proof.value.log)));
  if (!checked.ok) return "wrong";
  const { says } = checked.value;
  const cells = [...row.querySelectorAll("td")];
  const textOf = (cell: PageElement | undefined) => cell?.textContent ?? "";
  const shown = {
    when: row.querySelector("time")?.textContent ?? "",
    why: textOf(cells[1]),
    what: textOf(cells[2]),
    details: [...row.querySelectorAll("dd")].map(textOf),
  };
  if (!isShownAsProven(shown, says, zone, texts)) return "wrong";
  // a page of several records has a column for the record; else all lines are of the record that the page names
  const record = cells.find((cell) => cell.getAttribute("data-head") === texts.heads.record);
  return linesBefore.add(proof.value, says, textOf(record)) === undefined ? "proven" : "wrong";
}

/** The verdict stands below the time, in words: a colour alone says nothing to many readers. */
function mark(row: PageElement, verdict: Verdict, words: string): void {
  const known = row.querySelector("th [data-verdict]");
  const verdictMark = known ?? document.createElement("span");
  verdictMark.setAttribute("data-verdict", verdict);
  verdictMark.textContent = words;
  if (known === null) row.querySelector("th")?.append(verdictMark);
}
