import { verifyLogs, type RootPlace } from "#auditing/ledger-root";
import type { LogReport } from "#auditing/log-report";
import { onceMoreIfLate } from "#auditing/late-checkpoint";
import { sentence } from "#auditing/sentence";
import { texts } from "#console/texts";
import { momentText, numberText } from "#console/words";
import { logOfVerifier } from "#ledger/log-of-verifier";
import { verifyLog } from "#ledger/verify";
import { browserLog, type LedgerPlace, wait } from "./ledger-reader.ts";
import { ledgerPlaceOf } from "./ledger-place.ts";
import { announce, badge, part, row, table } from "./page-parts.ts";

const { ledger } = texts;

/** Checks every log of a ledger against the root log, and the root log against its witnesses, in this browser. */
async function checkLedger(place: LedgerPlace, onRead: () => void): Promise<readonly LogReport[]> {
  const served: RootPlace = {
    readerOf: (log) => browserLog(place, log, onRead),
    async verify(reader, verifier, claims, rules) {
      const name = logOfVerifier(verifier);
      // A second try after a late checkpoint needs a reader without the first checkpoint.
      let isFirst = true;
      const result = await onceMoreIfLate(() => {
        const fresh = isFirst ? reader : browserLog(place, name, onRead);
        isFirst = false;
        return verifyLog(fresh, verifier, claims, rules);
      }, wait);
      return result.ok ? { name, good: result.value } : { name, wrong: result.error };
    },
  };
  const check = {
    keys: [place.root],
    witnesses: place.witnesses,
    only: [],
    claimsOf: () => ({}),
    nowSeconds: Date.now() / 1000,
  };
  return verifyLogs(check, served);
}

/** The page of the ledger: the button checks, the banner is green only if every log is right. */
export function offerCheck(section: PageElement): void {
  const place = ledgerPlaceOf(section);
  const banner = part("[data-banner]", section);
  const button = part("button", section);
  const results = part("[data-results]", section);
  if (place === undefined) return announce(banner, "bad", ledger.noKeys);
  button.disabled = false;
  button.addEventListener("click", () => void run(place, { banner, button, results }));
}

async function run(
  place: LedgerPlace,
  { banner, button, results }: Readonly<Record<"banner" | "button" | "results", PageElement>>,
): Promise<void> {
  button.disabled = true;
  results.replaceChildren();
  const begun = Date.now();
  let objects = 0;
  announce(banner, "still", ledger.checking(0));
  try {
    const reports = await checkLedger(place, () => {
      objects += 1;
      if (objects % 25 === 0) announce(banner, "still", ledger.checking(objects));
    });
    show(reports, results);
    const wrong = reports.filter((report) => "wrong" in report);
    const seconds = ((Date.now() - begun) / 1000).toFixed(1);
    const leaves = reports.reduce((sum, report) => sum + ("good" in report ? report.good.size : 0), 0);
    if (wrong.length > 0) announce(banner, "bad", ledger.broken(wrong.map(wordsOf).join("; ")));
    else if (reports.length < 2) announce(banner, "bad", ledger.nothing);
    else if (place.witnesses.length === 0)
      announce(banner, "warn", ledger.unwitnessed(numberText(leaves), seconds));
    else announce(banner, "good", ledger.holds(numberText(leaves), numberText(reports.length), seconds));
  } catch (fault) {
    announce(banner, "bad", ledger.unread(fault instanceof Error ? fault.message : ""));
  } finally {
    button.disabled = false;
  }
}

const wordsOf = (report: LogReport): string =>
  "wrong" in report ? `${report.name}: ${sentence(report.wrong)}` : report.name;

function show(reports: readonly LogReport[], results: PageElement): void {
  const heads = [ledger.log, ledger.verdict, ledger.leaves, ledger.facts];
  const rows = reports.map((report) =>
    "wrong" in report
      ? row(heads, [report.name, badge("bad", ledger.wrong), "", sentence(report.wrong)])
      : row(heads, [report.name, badge("good", ledger.right), numberText(report.good.size), factsOf(report)]),
  );
  results.replaceChildren(table(ledger.title, heads, rows));
}

function factsOf(report: Extract<LogReport, { readonly good: object }>): string {
  const rooted = report.rooted === undefined ? [] : [ledger.rooted(numberText(report.rooted))];
  const cosigned = (report.cosigned ?? []).map(({ name, seconds }) =>
    ledger.cosigned(name, momentText(seconds * 1000)),
  );
  return [...(report.removed === true ? [ledger.removed] : []), ...rooted, ...cosigned].join(" · ");
}
