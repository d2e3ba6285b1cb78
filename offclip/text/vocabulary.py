"""Word lists of the sentence classifier: findings, signs of the normal, and what is beside both.

One word an entry, singular where the plural is known to ``singular``. Nouns that the prompter needs
as well are in the lexicon. Chosen from what chest reports can say, and on the development part of
the gold sentences. Only data; imports the lexicon.
"""

from offclip.text._lexicon import ADJECTIVES, ANATOMY_NOUNS, FINDING_NOUNS, VAGUE

# A word with an underscore is a phrase that ``offclip.text.assertions`` joins.
FINDING_WORDS = (FINDING_NOUNS - VAGUE) | frozenset(
    "abnormal abnormality abscess adhesion agenesis aicd airspace anasarca anchor aneurysm "
    "aneurysmal ankylosis anomalous anomaly anterolisthesis arthritic arthritis arthrodesis "
    "arthropathy arthroplasty arthrosis artifact asbestosis ascites aspergilloma asthma "
    "asymmetric asymmetry atelectatic atherosclerotic azygos band bandlike bibasilar bifid big "
    "bleb blunted bowing bronchiectasis bronchiectatic bronchitis bronchogram buckling bulging "
    "bulky bulla bullet cage calcific calcified callus cancer cardiomyopathy carinatum cavitary "
    "cavitation cavity cephalization cerclage chf cholecystectomy cholelithiasis chronic coarse "
    "coarsened coil collapse collapsed compressed compression consolidative contusion cuffing "
    "curvature cyst cystic decrease decreased defibrillator deformed degenerative dehiscence "
    "demineralization demineralized desiccation deviated deviation device dextrocardia "
    "dextrocurvature dilatation dilated dilation discitis dislocation distended distension "
    "distention diverticulum drain ectatic edematous effaced effacement electrode elevated "
    "embolism embolization embolus emphysematous empyema enchondroma endograft endotracheal "
    "enlarged enlarging enteric erosion erosive excavatum exostosis fibrotic filter fixation "
    "flail flattened flattening fluid foreign fractured fragment fragmentation fullness fusion "
    "gallstone gastrostomy generator goiter graft groundglass gunshot gynecomastia hamartoma "
    "hardware haziness hazy healed hemangioma hematoma hemorrhage hemothorax hepatomegaly "
    "herniation honeycomb honeycombing hydropneumothorax hyperaerated hyperaeration hyperexpanded "
    "hyperinflated hyperlucent hypertension hypertrophic hypertrophy hypoaerated hypoaeration "
    "hypoexpanded hypoinflated hypoplasia hypoplastic hypoventilation hypoventilatory icd ileus "
    "impacted impaction impingement implant improved improvement improving increase increased "
    "indistinct infarct infarction infectious infiltrative inflammation inflammatory "
    "insufficiency interstitial inversus irregular irregularity kerley kinked kyphoplasty "
    "kyphoscoliosis kyphotic laceration larger leak levocurvature linear lipoma lipomatosis "
    "listhesis lobectomy loculated loculation loosening loss low lucency lucent lymphangitic "
    "lymphoma malalignment malignancy malignant malpositioned malunion mastectomy mediport "
    "meniscus mesothelioma metastasis metastatic micronodular micronodule migrated migration "
    "mottled mycetoma myeloma nasogastric necrosis necrotic neoplasm neoplastic nephrostomy "
    "nipple no_change no_doubt no_resolution nodular nodularity nonunion not_resolved "
    "obliteration obscuration obscured obscures obscuring obstruction obstructive old only_here "
    "opacification opacified ossification osteoarthritis osteochondroma osteolytic osteomyelitis "
    "osteonecrosis osteopenia osteopenic osteophytic osteoporosis osteoporotic overexpanded "
    "overexpansion overinflated overinflation overload pacer paralysis patchy pectus pellet "
    "perforation pin plaque plate pleuritis pleurodesis plugging pneumatocele pneumatosis "
    "pneumoconiosis pneumomediastinum pneumonectomy pneumonic pneumonitis pneumoperitoneum "
    "portacath postoperative postsurgical prominent prosthesis prosthetic protrusion punctate "
    "radiodense radiodensity radiopacity radiopaque recorder recurrence recurrent redistribution "
    "remote repair resected resection residua residual reticular reticulation reticulations "
    "reticulonodular retraction retrolisthesis rod rupture sarcoidosis scarred sclerosis "
    "sclerotic scoliotic screw senescent separation sequela sequelae sheath shift shrapnel shunt "
    "silhouetting silicosis smaller splenomegaly spondylitic spondylolisthesis spondylotic spur "
    "spurring staple stenosis stimulator straightening stranding streak streaky subluxation "
    "subluxed subsegmental superinfection surgical suture swelling syndesmophyte tenting "
    "thickened this_finding thoracotomy thrombosis thrombus thymoma tortuous tracheomalacia "
    "tracheostomy transplant trapping tuberculosis tubing tumor uncoiled uncoiling underexpanded "
    "underinflated undulation unfolded unfolding valve variant varices vertebroplasty wedge "
    "wedged wedging widened widening worse worsened worsening".split()
)
NORMAL_WORDS = frozenset(
    "adequate adequately aerated alignment clear expanded extubated extubation good inflated "
    "intact maintained midline negative nondistended nonobstructive normal patent physiologic "
    "preserved satisfactory sharp smooth symmetric symmetrical unremarkable well wnl".split()
)
# About the examination, the reader, the reason or the next step: not about a finding.
ASIDE_WORDS = frozenset(
    "accession acquired addendum advised ap attending attenuation available bedside call called "
    "certified characterization characterize clinic clinical clinically communicated "
    "communication compared comparison comparisons consider considered considering contacted "
    "conveyed correlate correlation cough coughed critical ct decubitus dictated dictation "
    "digital discussed dr dyspnea echocardiogram electronically evaluated evaluation exam "
    "examination exposed exposure fever film films follow followup frontal habitus helpful "
    "history hours if image imaged images imaging indication informative interpretation "
    "interpreted lateral limited lordotic mammogram management md message months motion mri "
    "necessary needed nonemergent notification notified notify number nurse obesity oblique "
    "office opportunity outpatient overexposed overpenetrated pa paged pager pain patient "
    "penetrated penetration phone physician please portable positioning previous prior priors "
    "projections provider question questions radiograph radiographs radiologic radiologist "
    "reassessment recommend recommendation recommendations recommended reevaluation referring "
    "report requested resident review reviewed rotated rotation scan sent series signed smoker "
    "study submitted suboptimal suboptimally suggested supine symptom symptoms technical "
    "technique technologist telephone thank today tomography transcribed turned ultrasound "
    "underexposed underpenetrated underpenetration upright useful verbally view views weeks "
    "workup yesterday".split()
)
_NO_PLACES = frozenset(
    "acute active focal large small significant suspicious airspace alveolar interstitial "
    "confluent definite displaced chronic mild moderate severe calcified patchy".split()
)
PLACE_WORDS = ANATOMY_NOUNS | (ADJECTIVES - _NO_PLACES)
FILLERS = frozenset(
    "the both of and in stable unchanged again otherwise also interval grossly xxxx".split()
)
