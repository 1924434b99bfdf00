import { offerLetter } from "./case-letter.ts";
import { offerCheck } from "./check-ledger.ts";
import { offerBreach } from "./find-breach.ts";
import { followLive } from "./live.ts";
import { carryAnswer } from "./own-token.ts";
import { offerPatients } from "./patients.ts";
import { offerEvents, offerWhy } from "./show-records.ts";

/** Each section of a page that needs the script, by the attribute that marks it. */
const sections: Readonly<Record<string, (section: PageElement) => void>> = {
  "data-live": (section) => followLive(section, section.dataset["live"] ?? ""),
  "data-check": offerCheck,
  "data-patients": offerPatients,
  "data-return": carryAnswer,
  "data-letter": offerLetter,
  "data-why": offerWhy,
  "data-events": offerEvents,
  "data-breach": offerBreach,
};

for (const [attribute, begin] of Object.entries(sections))
  for (const section of document.querySelectorAll(`[${attribute}]`)) begin(section);
