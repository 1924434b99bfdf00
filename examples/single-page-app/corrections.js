// A patient asks for corrections, and follows each request, in the form of HL7 Patient Request for Corrections 1.0.0.
// The messages rest at the hospital. Texts of others stay texts.

const codes = "http://hl7.org/fhir/uv/patient-corrections/CodeSystem/PatientCorrection";
const [asks, disagrees] = ["medRecCxReq", "medRecCxDenialDisagree"];
const kinds = ["Observation", "Condition", "AllergyIntolerance", "MedicationRequest"];
const followAlong = "I send no statement. Please send my request and your denial with each later disclosure.";

/** The states of a Task (PatientCorrectionBusinessStatus), in words. */
const states = {
  queued: "The hospital has your request.",
  "in-review": "The hospital looks at your request.",
  "waiting-for-information": "The hospital waits for information from you.",
  "requester-cancelled": "You took your request back.",
  accepted: "Accepted: your record will be corrected.",
  "partial-accept": "Accepted in part, and denied in part.",
  "amendment-completed": "Corrected.",
  denied: "Denied.",
  "disagreement-logged": "Denied. Your statement is on file.",
  completed: "Denied. Your statement and the hospital's answer to it are on file.",
};

/** A reference without the address of its server: `Communication/1`. */
const placeIn = ({ reference = "" } = {}) => /[A-Za-z]+\/[A-Za-z0-9.-]+$/u.exec(reference)?.[0];
const placeOf = ({ resourceType, id }) => `${resourceType}/${id}`;
const codeOf = (concepts) =>
  [concepts ?? []]
    .flat()
    .flatMap(({ coding = [] }) => coding)
    .find(({ system = "" }) => system.startsWith(codes))?.code;

/** All rows of a search. */
async function rowsOf(ask, path) {
  const rows = [];
  for (let next = path; next !== undefined;) {
    const { entry = [], link = [] } = await (await ask(next)).json();
    rows.push(...entry.filter(({ search }) => search?.mode !== "outcome").map(({ resource }) => resource));
    next = link.find(({ relation }) => relation === "next")?.url;
  }
  return rows;
}

/** The patient's requests, the newest first, each with its Task, if the hospital made one, and its messages. */
export async function requestsOf({ ask, patient }) {
  const messages = (await rowsOf(ask, `Communication?patient=${patient.id}`))
    .filter(({ category }) => codeOf(category) !== undefined)
    .sort((one, other) => Date.parse(one.sent) - Date.parse(other.sent));
  const tasks = (await rowsOf(ask, `Task?patient=${patient.id}`)).filter(({ code }) => codeOf(code) === asks);
  const named = ({ partOf = [], inResponseTo = [], about = [] }) =>
    [...partOf, ...inResponseTo, ...about].map(placeIn);
  const own = messages.filter((each) => {
    const before = named(each);
    return codeOf(each.category) === asks && !messages.some((other) => before.includes(placeOf(other)));
  });
  return own.reverse().map((request) => {
    const task = tasks.find(({ input = [] }) =>
      input.some(({ valueReference }) => placeIn(valueReference) === placeOf(request)),
    );
    const thread = [placeOf(request), ...(task ? [placeOf(task)] : [])];
    const answers = messages.filter((each) => named(each).some((place) => thread.includes(place)));
    const letters = (task?.output ?? []).map(({ valueReference }) => placeIn(valueReference));
    return {
      request,
      task,
      answers,
      letter: answers.find((each) => letters.includes(placeOf(each))),
      statement: answers.find(({ category }) => codeOf(category) === disagrees),
    };
  });
}

/** The last day to act, in UTC: 45 CFR 164.526(b)(2). */
const lastDay = ({ sent }, days) => {
  const day = new Date(sent);
  day.setUTCDate(day.getUTCDate() + days);
  return day.toISOString().slice(0, 10);
};

const begun = new Map(); // messages without an answer: a repeat is the same request under the same key

/** Sends a message of the patient. */
async function send({ ask, patient }, code, words, more) {
  const about = JSON.stringify([code, words, more]);
  const message = {
    resourceType: "Communication",
    status: "completed",
    category: [{ coding: [{ system: `${codes}CommunicationTypes`, code }] }],
    subject: { reference: placeOf(patient) },
    sender: { reference: placeOf(patient) },
    sent: new Date().toISOString(),
    ...more,
    payload: [{ contentString: words }, ...(more.payload ?? [])],
  };
  const { key, body } = begun.get(about) ?? { key: crypto.randomUUID(), body: JSON.stringify(message) };
  begun.set(about, { key, body });
  const headers = { "content-type": "application/fhir+json", "idempotency-key": `"${key}"` };
  await ask("Communication", { method: "POST", headers, body });
  begun.delete(about);
}

const sendRequest = (signedIn, words, disputed) => {
  const { managingOrganization, generalPractitioner = [] } = signedIn.patient;
  const recipient = managingOrganization ?? generalPractitioner[0];
  if (recipient === undefined)
    throw new Error("Your record names no organization to which a request can be sent.");
  return send(signedIn, asks, words, {
    recipient: [recipient],
    payload: disputed === "" ? [] : [{ contentReference: { reference: disputed } }],
  });
};

const sendStatement = (signedIn, { request, task, letter }, words) =>
  send(signedIn, disagrees, words, {
    recipient: request.recipient,
    partOf: [{ reference: placeOf(request) }],
    ...(letter && { inResponseTo: [{ reference: placeOf(letter) }] }),
    ...(task && { about: [{ reference: placeOf(task) }] }),
  });

function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const dayOf = (text) => new Date(text).toLocaleDateString(undefined, { dateStyle: "long", timeZone: "UTC" });
const wordsOf = ({ payload = [] }) =>
  payload.flatMap(
    ({ contentString, contentReference, contentAttachment }) =>
      contentString ?? placeIn(contentReference) ?? contentAttachment?.title ?? [],
  );
const saying = (title, message) => [
  make("h4", {}, `${title}, ${dayOf(message.sent)}`),
  ...wordsOf(message).map((words) => make("p", { className: "words" }, words)),
];

/** Shows the requests, and takes in new ones and statements. `element` finds an element of the page by its id. */
export async function showCorrections(signedIn, element) {
  const said = (text) => (element("said").textContent = text);
  const attempt = (act) => act().catch((fault) => said(fault.message));
  const show = async () =>
    element("requests").replaceChildren(
      ...(await requestsOf(signedIn)).map((each) => articleOf(each, signedIn, sent)),
    );
  const sent = (button, act) =>
    attempt(async () => {
      button.disabled = true; // a second click sends no second message
      try {
        await act();
        said("Sent. The hospital has your message.");
        await show();
      } finally {
        button.disabled = false;
      }
    });
  const form = element("correction");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void sent(form.querySelector("button"), async () => {
      await sendRequest(signedIn, element("wrong").value.trim(), element("disputed").value);
      form.reset();
    });
  });
  await attempt(show);
  await attempt(async () => {
    for (const kind of kinds)
      for (const row of await rowsOf(signedIn.ask, `${kind}?patient=${signedIn.patient.id}&_count=50`)) {
        const { code, medicationCodeableConcept: drug } = row;
        const name = (code ?? drug)?.text ?? (code ?? drug)?.coding?.[0]?.display ?? row.id;
        element("disputed").append(make("option", { value: placeOf(row) }, `${kind}: ${name}`));
      }
  });
}

function articleOf(found, signedIn, sent) {
  const { request, task, answers, letter, statement } = found;
  const state = codeOf(task?.businessStatus);
  const isOpen = task === undefined || !/^(?:completed|cancelled|rejected|failed)$/u.test(task.status);
  const isDenied = state === "denied" || state === "partial-accept";
  const others = answers.filter((each) => each !== letter && each !== statement);
  return make(
    "article",
    {},
    make("h3", {}, `Your request of ${dayOf(request.sent)}`),
    make("p", {}, make("strong", {}, states[state] ?? "Sent. The hospital has not begun yet.")),
    ...(isOpen
      ? [
          make(
            "p",
            {},
            `The hospital must answer by ${dayOf(lastDay(request, 60))}, or by ${dayOf(lastDay(request, 90))} if it wrote you why it needs longer.`,
          ),
        ]
      : []),
    ...saying("You asked", request),
    ...others.flatMap((each) =>
      saying(placeIn(each.sender) === placeOf(signedIn.patient) ? "You wrote" : "The hospital wrote", each),
    ),
    ...(letter ? saying("The decision", letter) : []),
    ...(statement ? saying("You stated", statement) : []),
    ...(isDenied && statement === undefined ? [statementForm(found, signedIn, sent)] : []),
  );
}

function statementForm(found, signedIn, sent) {
  const id = `statement-${found.request.id}`;
  const words = make("textarea", { id, rows: 4, required: true, maxLength: 10_000 });
  const [state, follow] = [
    make("button", {}, "Send my statement"),
    make("button", { type: "button" }, "Send my request and the denial along instead"),
  ];
  const form = make(
    "form",
    {},
    make(
      "label",
      { htmlFor: id },
      "You may state why you disagree. Your statement goes with the entry from then on.",
    ),
    words,
    make("p", {}, state, " ", follow),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void sent(state, () => sendStatement(signedIn, found, words.value.trim()));
  });
  follow.addEventListener(
    "click",
    () => void sent(follow, () => sendStatement(signedIn, found, followAlong)),
  );
  return form;
}
