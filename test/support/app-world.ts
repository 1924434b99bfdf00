import type { Resource } from "@medplum/fhirtypes";

// Rows of two patients, and what they share, as apps expect them: made up for `app-requests`.

const to = (reference: string) => ({ reference });
const coded = (system: string, code: string, text = code) => ({ coding: [{ system, code }], text });
const loinc = (code: string) => coded("http://loinc.org", code);
const hl7 = (system: string, code: string) => coded(`http://terminology.hl7.org/CodeSystem/${system}`, code);
const category = (code: string) => hl7("observation-category", code);
const quantity = (value: number, code: string) => ({
  value,
  unit: code,
  code,
  system: "http://unitsofmeasure.org",
});

interface Shared {
  readonly doctor: string;
  readonly clinic: string;
  readonly ward: string;
  readonly drug: string;
  readonly slot: string;
  readonly end: string;
}

/** Ids of the rows of `ann` begin with `ann`, of what her rows refer to with `shared`, of all others with neither. */
const rowsOf = (who: string, { doctor, clinic, ward, drug, slot, end }: Shared): readonly object[] => {
  const subject = to(`Patient/${who}`);
  const patient = subject;
  const encounter = to(`Encounter/${who}-visit`);
  const performer = [to(doctor)];
  const period = { start: "2026-02-01T09:00:00Z", end: "2026-02-01T10:00:00Z" };
  const rows: Readonly<Record<string, readonly object[]>> = {
    Account: [{ status: "active", subject: [subject], type: loinc("account") }],
    AllergyIntolerance: [
      {
        clinicalStatus: hl7("allergyintolerance-clinical", "active"),
        verificationStatus: hl7("allergyintolerance-verification", "confirmed"),
        patient,
        code: coded("http://snomed.info/sct", "91936005"),
        category: ["medication"],
        recordedDate: "2026-01-01",
      },
    ],
    Appointment: [
      {
        status: "booked",
        start: "2026-03-01T09:00:00Z",
        end: "2026-03-01T09:30:00Z",
        slot: [to(slot)],
        participant: [subject, to(doctor), to(ward)].map((actor) => ({ actor, status: "accepted" })),
      },
    ],
    CarePlan: [
      {
        status: "active",
        intent: "plan",
        subject,
        encounter,
        period,
        category: [coded("http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "assess-plan")],
      },
    ],
    CareTeam: [
      {
        status: "active",
        subject,
        encounter,
        period,
        participant: [{ member: to(doctor), role: [coded("http://snomed.info/sct", "17561000")] }],
      },
    ],
    ChargeItem: [{ status: "billable", subject, code: loinc("charge") }],
    ClinicalImpression: [{ status: "completed", subject, date: "2026-02-01" }],
    Communication: [
      {
        status: "completed",
        subject,
        encounter,
        sent: "2026-02-02T08:00:00Z",
        recipient: [to(doctor)],
        payload: [{ contentString: "See you" }],
      },
    ],
    CommunicationRequest: [{ status: "active", subject, requester: to(doctor) }],
    Composition: [
      {
        status: "final",
        subject,
        date: "2026-02-01",
        author: performer,
        title: "Summary",
        type: loinc("60591-5"),
      },
    ],
    Condition: ["problem-list-item", "encounter-diagnosis"].map((kind) => ({
      subject,
      encounter,
      category: [hl7("condition-category", kind)],
      clinicalStatus: hl7("condition-clinical", "active"),
      verificationStatus: hl7("condition-ver-status", "confirmed"),
      code: coded("http://snomed.info/sct", kind === "problem-list-item" ? "44054006" : "38341003"),
      onsetDateTime: "2025-05-01",
      recordedDate: "2025-05-02",
      asserter: to(doctor),
    })),
    Consent: [
      {
        status: "active",
        patient,
        scope: hl7("consentscope", "treatment"),
        category: [loinc("59284-0")],
        dateTime: "2026-01-01",
        policyRule: coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN"),
      },
    ],
    Coverage: [
      {
        status: "active",
        beneficiary: patient,
        payor: [to(clinic)],
        period,
        type: coded("urn:coverage", "HMO"),
      },
    ],
    DetectedIssue: [{ status: "final", patient, code: loinc("issue") }],
    Device: [{ patient, type: coded("http://snomed.info/sct", "14106009"), status: "active" }],
    DeviceRequest: [
      {
        intent: "order",
        status: "active",
        subject,
        encounter,
        requester: to(doctor),
        codeCodeableConcept: loinc("brace"),
        authoredOn: "2026-02-01",
      },
    ],
    DeviceUseStatement: [{ status: "active", subject, device: to(`Device/${who}-Device-0`) }],
    DiagnosticReport: [
      {
        status: "final",
        subject,
        encounter,
        performer,
        resultsInterpreter: performer,
        category: [hl7("v2-0074", "LAB")],
        code: loinc("58410-2"),
        effectiveDateTime: "2026-02-01",
        issued: "2026-02-01T12:00:00Z",
        result: [to(`Observation/${who}-Observation-0`)],
      },
    ],
    DocumentReference: [
      {
        status: "current",
        subject,
        date: "2026-02-01T12:00:00Z",
        author: performer,
        custodian: to(clinic),
        context: { encounter: [encounter], period },
        type: loinc("34133-9"),
        category: [
          coded("http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note"),
        ],
        content: [
          { attachment: { contentType: "text/plain", url: `Binary/${who}-note` }, format: { code: "text" } },
        ],
      },
    ],
    EpisodeOfCare: [{ status: "active", patient, managingOrganization: to(clinic), period }],
    ExplanationOfBenefit: [
      {
        status: "active",
        use: "claim",
        outcome: "complete",
        type: hl7("claim-type", "professional"),
        patient,
        created: "2026-02-05",
        billablePeriod: period,
        insurer: to(clinic),
        provider: to(clinic),
        facility: to(ward),
        identifier: [{ system: "urn:eob", value: `${who}-1` }],
        careTeam: [{ sequence: 1, provider: to(doctor) }],
        insurance: [{ focal: true, coverage: to(`Coverage/${who}-Coverage-0`) }],
      },
    ],
    FamilyMemberHistory: [
      { status: "completed", patient, date: "2026-01-01", relationship: hl7("v3-RoleCode", "FTH") },
    ],
    Flag: [{ status: "active", subject, encounter, code: loinc("flag") }],
    Goal: [
      {
        lifecycleStatus: "active",
        subject,
        description: coded("http://snomed.info/sct", "281665004"),
        startDate: "2026-01-01",
        target: [{ dueDate: "2026-12-31" }],
      },
    ],
    ImagingStudy: [
      {
        status: "available",
        subject,
        encounter,
        started: "2026-02-01T11:00:00Z",
        endpoint: [to(end)],
        identifier: [{ system: "urn:dicom:uid", value: `urn:oid:1.2.${who.length}` }],
      },
    ],
    Immunization: [
      {
        status: "completed",
        patient,
        encounter,
        location: to(ward),
        vaccineCode: coded("http://hl7.org/fhir/sid/cvx", "140"),
        occurrenceDateTime: "2025-10-01",
        performer: [{ actor: to(doctor) }],
      },
    ],
    ImmunizationRecommendation: [
      {
        patient,
        date: "2026-01-01",
        recommendation: [{ forecastStatus: loinc("due"), vaccineCode: [coded("urn:cvx", "1")] }],
      },
    ],
    List: [{ status: "current", mode: "working", subject, code: loinc("list"), title: "Problems" }],
    Media: [
      {
        status: "completed",
        subject,
        encounter,
        createdDateTime: "2026-02-01",
        content: { contentType: "image/png", url: `Binary/${who}-photo` },
      },
    ],
    MedicationAdministration: [
      {
        status: "completed",
        subject,
        context: encounter,
        medicationReference: to(drug),
        effectiveDateTime: "2026-02-01T10:00:00Z",
      },
    ],
    MedicationDispense: [
      {
        status: "completed",
        subject,
        context: encounter,
        medicationReference: to(drug),
        type: hl7("v3-ActCode", "FF"),
        whenHandedOver: "2026-02-02",
        performer: [{ actor: to(doctor) }],
        authorizingPrescription: [to(`MedicationRequest/${who}-MedicationRequest-0`)],
      },
    ],
    MedicationRequest: [
      {
        status: "active",
        intent: "order",
        subject,
        encounter,
        requester: to(doctor),
        medicationReference: to(drug),
        authoredOn: "2026-02-01",
        category: [hl7("medicationrequest-category", "outpatient")],
      },
      {
        status: "completed",
        intent: "order",
        subject,
        requester: to(doctor),
        medicationCodeableConcept: coded("http://www.nlm.nih.gov/research/umls/rxnorm", "1049221"),
        authoredOn: "2025-02-01",
      },
    ],
    MedicationStatement: [
      { status: "active", subject, medicationReference: to(drug), effectivePeriod: period },
    ],
    NutritionOrder: [{ status: "active", intent: "order", patient, encounter, dateTime: "2026-02-01" }],
    Observation: [
      ["4548-4", "laboratory", 6.1, "%"],
      ["2093-3", "laboratory", 180, "mg/dL"],
      ["2085-9", "laboratory", 50, "mg/dL"],
      ["30522-7", "laboratory", 2, "mg/L"],
      ["8302-2", "vital-signs", 170, "cm"],
      ["29463-7", "vital-signs", 70, "kg"],
      ["39156-5", "vital-signs", 24, "kg/m2"],
      ["8867-4", "vital-signs", 60, "/min"],
    ]
      .map(([code, kind, value, unit], n): object => ({
        status: "final",
        subject,
        encounter,
        performer,
        category: [category(String(kind))],
        code: loinc(String(code)),
        effectiveDateTime: `2026-02-0${n + 1}T09:00:00Z`,
        issued: `2026-02-0${n + 1}T10:00:00Z`,
        valueQuantity: quantity(Number(value), String(unit)),
      }))
      .concat(
        {
          status: "final",
          subject,
          encounter,
          performer,
          category: [category("vital-signs")],
          code: loinc("85354-9"),
          effectiveDateTime: "2026-02-09T09:00:00Z",
          component: ["8480-6", "8462-4"].map((code, n) => ({
            code: loinc(code),
            valueQuantity: quantity(120 - 40 * n, "mm[Hg]"),
          })),
        },
        {
          status: "final",
          subject,
          category: [category("social-history")],
          code: loinc("72166-2"),
          effectiveDateTime: "2026-02-09T10:00:00Z",
          valueCodeableConcept: coded("http://snomed.info/sct", "266919005"),
        },
      ),
    Procedure: [
      {
        status: "completed",
        subject,
        encounter,
        location: to(ward),
        code: coded("http://snomed.info/sct", "73761001"),
        performedDateTime: "2025-07-01",
        performer: [{ actor: to(doctor) }],
      },
    ],
    Provenance: [
      {
        target: [to(`Condition/${who}-Condition-0`), to(`Observation/${who}-Observation-0`)],
        recorded: "2026-02-01T12:00:00Z",
        agent: [{ who: to(doctor), onBehalfOf: to(clinic) }],
      },
      { target: [subject], recorded: "2026-02-01T12:00:00Z", agent: [{ who: to(doctor) }] },
    ],
    QuestionnaireResponse: [
      {
        status: "completed",
        subject,
        encounter,
        author: subject,
        authored: "2026-02-01",
        questionnaire: "http://forms.example/Questionnaire/phq9",
      },
    ],
    RelatedPerson: [{ active: true, patient, name: [{ family: "Kin", given: ["Ida"] }] }],
    RiskAssessment: [{ status: "final", subject, occurrenceDateTime: "2026-02-01" }],
    ServiceRequest: [
      {
        status: "active",
        intent: "order",
        subject,
        encounter,
        requester: to(doctor),
        performer,
        category: [coded("http://snomed.info/sct", "108252007")],
        code: loinc("58410-2"),
        authoredOn: "2026-02-01",
      },
    ],
    Specimen: [{ status: "available", subject, type: coded("http://snomed.info/sct", "119297000") }],
    Task: [
      {
        status: "requested",
        intent: "order",
        for: subject,
        owner: to(doctor),
        authoredOn: "2026-02-01",
        lastModified: "2026-02-01",
        focus: to(`ServiceRequest/${who}-ServiceRequest-0`),
      },
    ],
  };
  return [
    {
      resourceType: "Patient",
      id: who,
      active: true,
      name: [{ family: who === "ann" ? "Okafor" : "Stone", given: [who] }],
      birthDate: who === "ann" ? "1980-05-05" : "1970-01-01",
      gender: "female",
      address: [{ city: who === "ann" ? "Nairobi" : "Lagos", postalCode: "01101" }],
      telecom: [{ system: "phone", value: `555-${who}` }],
      identifier: [{ system: "urn:mrn", value: `${who}-1` }],
      generalPractitioner: [to(doctor)],
      managingOrganization: to(clinic),
    },
    {
      resourceType: "Encounter",
      id: `${who}-visit`,
      status: "finished",
      class: { system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "AMB" },
      type: [coded("http://snomed.info/sct", "185349003")],
      subject,
      period,
      participant: [{ individual: to(doctor) }],
      location: [{ location: to(ward) }],
      serviceProvider: to(clinic),
    },
    { resourceType: "Binary", id: `${who}-note`, contentType: "text/plain", data: "bm90ZQ==" },
    { resourceType: "Binary", id: `${who}-photo`, contentType: "image/png", data: "iVBORw==" },
    ...Object.entries(rows).flatMap(([resourceType, some]) =>
      some.map((row, n) => ({ resourceType, id: `${who}-${resourceType}-${n}`, ...row })),
    ),
  ];
};

/** A doctor, and where the doctor works. */
const placesOf = (place: string): readonly object[] => [
  {
    resourceType: "Practitioner",
    id: `${place}-doctor`,
    active: true,
    identifier: [{ system: "http://hl7.org/fhir/sid/us-npi", value: `npi-${place}` }],
    name: [{ family: place === "shared" ? "Reyes" : "Zed", given: ["Vera"] }],
  },
  {
    resourceType: "PractitionerRole",
    id: `${place}-role`,
    active: true,
    practitioner: to(`Practitioner/${place}-doctor`),
    organization: to(`Organization/${place}-clinic`),
    location: [to(`Location/${place}-ward`)],
    healthcareService: [to(`HealthcareService/${place}-service`)],
    endpoint: [to(`Endpoint/${place}-end`)],
    specialty: [coded("http://nucc.org/provider-taxonomy", "208D00000X")],
  },
  {
    resourceType: "Organization",
    id: `${place}-clinic`,
    active: true,
    name: `Harbor ${place}`,
    identifier: [{ system: "http://hl7.org/fhir/sid/us-npi", value: `org-${place}` }],
    address: [{ city: "Springfield" }],
  },
  {
    resourceType: "Location",
    id: `${place}-ward`,
    status: "active",
    name: `Ward ${place}`,
    address: { city: "Springfield", postalCode: "01101" },
    managingOrganization: to(`Organization/${place}-clinic`),
  },
  {
    resourceType: "HealthcareService",
    id: `${place}-service`,
    name: "Dialysis",
    providedBy: to(`Organization/${place}-clinic`),
  },
  { resourceType: "Endpoint", id: `${place}-end`, status: "active", address: "https://images.example" },
  {
    resourceType: "Medication",
    id: `${place}-drug`,
    code: coded("http://www.nlm.nih.gov/research/umls/rxnorm", "197361"),
  },
  {
    resourceType: "Schedule",
    id: `${place}-schedule`,
    active: true,
    actor: [to(`Practitioner/${place}-doctor`)],
  },
  {
    resourceType: "Slot",
    id: `${place}-slot`,
    status: "busy",
    schedule: to(`Schedule/${place}-schedule`),
    start: "2026-03-01T09:00:00Z",
    end: "2026-03-01T09:30:00Z",
  },
];
const sharedBy = (place: string): Shared => ({
  doctor: `Practitioner/${place}-doctor`,
  clinic: `Organization/${place}-clinic`,
  ward: `Location/${place}-ward`,
  drug: `Medication/${place}-drug`,
  slot: `Slot/${place}-slot`,
  end: `Endpoint/${place}-end`,
});

export const appRows = [
  ...rowsOf("ann", sharedBy("shared")),
  ...rowsOf("ben", sharedBy("other")),
  ...placesOf("shared"),
  ...placesOf("other"),
  {
    resourceType: "Questionnaire",
    id: "form",
    status: "active",
    url: "http://forms.example/Questionnaire/phq9",
    title: "PHQ-9",
  },
  { resourceType: "ValueSet", id: "words", status: "active", url: "http://forms.example/ValueSet/words" },
  {
    resourceType: "Group",
    id: "panel",
    type: "person",
    actual: true,
    member: [{ entity: to("Patient/ann") }],
  },
] as readonly Resource[];
