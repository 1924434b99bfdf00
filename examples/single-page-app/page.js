// Shows the record of the patient who signed in.
import { start } from "./app.js";
import { showCorrections } from "./corrections.js";

const element = (id) => document.getElementById(id);
const state = element("state");
const failed = (fault) => {
  state.hidden = false;
  state.textContent = fault.message;
};
const nameOf = ({ text, given = [], family = "" }) => text ?? [...given, family].join(" ");
const placeOf = ({ line = [], city, state, postalCode }) =>
  [...line, city, [state, postalCode].filter(Boolean).join(" ")].filter(Boolean).join(", ");
const dayOf = (text) => new Date(`${text}T00:00:00`).toLocaleDateString(undefined, { dateStyle: "long" });
const factsOf = ({ name = [], birthDate, address = [], telecom = [] }) => [
  ...name.slice(0, 1).map((each) => ["Name", nameOf(each)]),
  ...(birthDate ? [["Born", /^\d{4}-\d\d-\d\d$/u.test(birthDate) ? dayOf(birthDate) : birthDate]] : []),
  ...address.slice(0, 1).map((each) => ["Address", placeOf(each)]),
  ...telecom.map(({ system, value }) => [system === "email" ? "E-mail" : "Telephone", value]),
];
try {
  const settings = await (await fetch("/settings.json")).json();
  const signedIn = await start(settings, window);
  if (signedIn) {
    state.hidden = true;
    for (const [label, value] of factsOf(signedIn.patient)) {
      const [term, fact] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = label;
      fact.textContent = value;
      element("facts").append(term, fact);
    }
    element("json").textContent = JSON.stringify(signedIn.patient, null, 2);
    element("record").hidden = false;
    void showCorrections(signedIn, element);
    // the accounting opens with a Content-Security-Policy of its own, beside the policy of this page
    const openAccounting = async () => {
      const page = new Blob([await signedIn.accounting()], { type: "text/html" });
      location.assign(URL.createObjectURL(page));
    };
    element("who").addEventListener("click", () => void openAccounting().catch(failed));
  }
} catch (fault) {
  failed(fault);
}
