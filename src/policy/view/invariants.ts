/**
 * R4's demands beyond cardinality (StructureDefinition constraints of severity `error`) that a hidden element
 * could break.
 */

/**
 * Type or backbone → shown element (`*`: any) → the element that must be shown with it. Publishing refuses a
 * view that lacks it.
 */
export const requiredWith: Readonly<
  Record<string, readonly { readonly shows: string; readonly needs: string; readonly key: string }[]>
> = {
  ContactPoint: [{ shows: "value", needs: "system", key: "cpt-2" }],
  Quantity: [{ shows: "code", needs: "system", key: "qty-3" }],
  Age: [
    { shows: "code", needs: "system", key: "qty-3" },
    { shows: "value", needs: "code", key: "age-1" },
  ],
  Count: [
    { shows: "code", needs: "system", key: "qty-3" },
    { shows: "value", needs: "code", key: "cnt-3" },
  ],
  Distance: [
    { shows: "code", needs: "system", key: "qty-3" },
    { shows: "value", needs: "code", key: "dis-1" },
  ],
  Duration: [
    { shows: "code", needs: "system", key: "drt-1" },
    { shows: "code", needs: "value", key: "drt-1" },
  ],
  Attachment: [{ shows: "data", needs: "contentType", key: "att-1" }],
  Ratio: [
    { shows: "numerator", needs: "denominator", key: "rat-1" },
    { shows: "denominator", needs: "numerator", key: "rat-1" },
  ],
  "Timing.repeat": [
    { shows: "duration", needs: "durationUnit", key: "tim-1" },
    { shows: "period", needs: "periodUnit", key: "tim-2" },
    { shows: "periodMax", needs: "period", key: "tim-6" },
    { shows: "durationMax", needs: "duration", key: "tim-7" },
    { shows: "countMax", needs: "count", key: "tim-8" },
    { shows: "offset", needs: "when", key: "tim-9" },
  ],
  TriggerDefinition: [{ shows: "condition", needs: "data", key: "trd-2" }],
  FamilyMemberHistory: [{ shows: "estimatedAge", needs: "age[x]", key: "fhs-2" }],
  Group: [{ shows: "member", needs: "actual", key: "grp-1" }],
  MolecularSequence: [{ shows: "*", needs: "coordinateSystem", key: "msq-3" }],
  "Goal.target": [{ shows: "detail[x]", needs: "measure", key: "gol-1" }],
  ServiceRequest: [{ shows: "orderDetail", needs: "code", key: "prr-1" }],
  "MolecularSequence.referenceSeq": [
    { shows: "chromosome", needs: "genomeBuild", key: "msq-5" },
    { shows: "genomeBuild", needs: "chromosome", key: "msq-5" },
  ],
};

/**
 * Type or backbone → sets of elements of which at least one must be present. If a view leaves no element of a
 * set, the first is masked.
 */
export const oneOf: Readonly<Record<string, readonly (readonly string[])[]>> = {
  Appointment: [["start"], ["end"]], // app-2, app-3
  "Appointment.participant": [["type", "actor"]], // app-1
  AppointmentResponse: [["actor", "participantType"]], // apr-1
  "Composition.section": [["text", "entry", "section"]], // cmp-1
  "Condition.evidence": [["code", "detail"]], // con-2
  "Condition.stage": [["summary", "assessment"]], // con-1
  Consent: [["policyRule", "policy"]], // ppc-1
  "CoverageEligibilityResponse.insurance.item": [["category", "productOrService"]], // ces-1
  "DataRequirement.codeFilter": [["path", "searchParam"]], // drq-1
  "DataRequirement.dateFilter": [["path", "searchParam"]], // drq-2
  Expression: [["expression", "reference"]], // exp-1
  "Immunization.education": [["documentType", "reference"]], // imm-1
  "ImmunizationRecommendation.recommendation": [["vaccineCode", "targetDisease"]], // imr-1
  InsurancePlan: [["name", "identifier"]], // ipn-1
  "MedicationAdministration.dosage": [["dose", "rate[x]"]], // mad-1
  "Observation.referenceRange": [["text", "low", "high"]], // obs-3
  Organization: [["name", "identifier"]], // org-1
  "Patient.contact": [["name", "telecom", "address", "organization"]], // pat-1
  "RequestGroup.action": [["resource", "action"]], // rqg-1
};
