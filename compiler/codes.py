"""The catalogue: one constant for every diagnostic and every reason to drop a sample.

A code is a pass of nothing, but every pass speaks through it, so it comes first. The letter says
who must act: S text, T taxonomy, P pipeline, M curriculum and mixture, R teacher run, D a dropped
sample, F training, E evaluation, B our bug. A number is never used again. Each code has its page in
`explain/`.
"""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How a finding counts: errors fail the command, warnings do not, drops are counted."""

    ERROR = "error"
    WARNING = "warning"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Code:
    """One entry of the catalogue; `name` reads well after the word "allow"."""

    id: str
    name: str
    severity: Severity
    summary: str

    def __str__(self) -> str:
        return f"{self.id} {self.name}"


def _error(id: str, name: str, summary: str) -> Code:
    return Code(id, name, Severity.ERROR, summary)


def _warning(id: str, name: str, summary: str) -> Code:
    return Code(id, name, Severity.WARNING, summary)


def _drop(id: str, name: str, summary: str) -> Code:
    return Code(id, name, Severity.DROP, summary)


# S: the text of a file
S001 = _error("S001", "yaml-syntax", "the file is not valid YAML")
S002 = _error("S002", "duplicate-key", "a key stands twice in one mapping")
S003 = _error("S003", "trailing-spaces", "a line ends in spaces")
S004 = _error("S004", "missing-final-newline", "the last line has no line end")
S005 = _error("S005", "not-utf8", "the file is not UTF-8 text")
S006 = _warning("S006", "empty-file", "the file holds nothing")
S007 = _error("S007", "not-a-mapping", "the top of the file is not a mapping of keys")
S008 = _error("S008", "over-limit", "the file is larger or deeper than a leaf can be")
S009 = _error("S009", "unreadable-file", "a leaf file or a folder of leaves cannot be read")

# T: a leaf of the taxonomy
T101 = _error("T101", "missing-key", "a required key is absent")
T102 = _error("T102", "unknown-key", "a key that the format does not have")
T103 = _error("T103", "wrong-type", "a value has the wrong type")
T104 = _error("T104", "empty-value", "a required text is empty")
T105 = _error("T105", "missing-answer", "a question has no answer")
T106 = _error("T106", "too-few-examples", "a list has fewer items than the format asks for")
T107 = _error("T107", "repeated-item", "an item of a list stands twice")
T108 = _error("T108", "unsupported-version", "no such version of the format")
T109 = _error("T109", "retired-version", "this version of the knowledge format is retired")
T110 = _error("T110", "misnamed-file", "a leaf file must be named `qna.yaml`")
T111 = _error("T111", "missing-file", "the named path is not a file or folder")
T112 = _warning("T112", "outside-branch", "the leaf lies outside the three branches")
T113 = _warning("T113", "unknown-base", "where the change began cannot be found in this clone")
T120 = _warning("T120", "repeated-question", "a question stands twice in one leaf")
T121 = _warning("T121", "copied-question", "a question of another leaf")
T122 = _warning("T122", "ungrounded-context", "the context is not in the document")
T123 = _warning("T123", "too-long", "a text is longer than the guide allows")
T124 = _warning("T124", "mixed-grounding", "some examples have a context and some have none")
T125 = _warning("T125", "unpinned-commit", "the document is not pinned to a full commit hash")
T126 = _warning("T126", "unsafe-pattern", "a pattern reaches out of the repository")
T127 = _warning(
    "T127", "missing-attribution", "no `attribution.txt` beside the leaf, or an empty one"
)
T128 = _warning("T128", "unlisted-licence", "the licence is not on the list of allowed ones")
T129 = _warning("T129", "placeholder-text", "text of the template is still there")
T130 = _warning("T130", "folder-name", "a folder name has spaces, capitals or punctuation")
T131 = _warning("T131", "blank-text", "a text holds nothing but white space")
T132 = _warning("T132", "invisible-character", "a character that nobody can see")
T133 = _warning("T133", "contradicting-answers", "one question has two different answers")
T134 = _warning("T134", "ignored-questions", "only three questions of a context reach a prompt")
T135 = _warning("T135", "near-duplicate-question", "almost the same question stands elsewhere")
T136 = _warning("T136", "ungrounded-answer", "the answer is not in the context or the document")
T137 = _warning("T137", "mixed-language", "the texts of a leaf are in different languages")
T138 = _warning("T138", "over-context", "the examples leave no room in the teacher's context")
T139 = _warning("T139", "unsafe-repository", "the document's address is none that is safe to read")
T140 = _warning("T140", "unreachable-repository", "the document's repository cannot be read")
T141 = _warning("T141", "missing-commit", "the repository does not have the pinned commit")
T142 = _warning("T142", "missing-document", "no file matches the patterns")
T143 = _warning("T143", "unsupported-document", "a document in a format that is not read yet")
T144 = _warning("T144", "empty-document", "a document without text")

T150 = _warning("T150", "prompt-injection", "a text gives orders to the teacher or the judge")
T151 = _warning("T151", "smuggled-delimiter", "a text holds the marks of a template or a chat")
T152 = _warning("T152", "secret", "a text holds a password, key or token")
T153 = _warning("T153", "personal-data", "a text holds personal data")
T154 = _warning("T154", "bidirectional-text", "a character that turns the direction of the text")
T155 = _warning("T155", "contributor-share", "one contributor wrote too much of a branch")
T156 = _warning("T156", "foreign-author", "the commit's author is not the one `created_by` names")
T157 = _warning("T157", "missing-sign-off", "a commit is not signed off by its author")

# P: a pipeline folder
P201 = _error("P201", "pipeline-missing-key", "a pipeline or stage lacks a required key")
P202 = _error("P202", "unknown-column", "a template or condition reads a column that nothing wrote")
P203 = _error("P203", "template-syntax", "a template or condition is not valid Jinja")
P204 = _error("P204", "pipeline-unknown-key", "a key that pipelines do not have")
P205 = _error("P205", "pipeline-bad-value", "a value that this key cannot hold")
P206 = _error("P206", "missing-template", "the template file is not in the folder")
P207 = _error("P207", "unknown-drop-code", "a stage drops with a code that is not a D code")
P208 = _error("P208", "template-failure", "a template or condition fails when it is rendered")
P209 = _error("P209", "misplaced-stage", "a stage stands where it has no meaning")
P210 = _error("P210", "unknown-source", "a draw from what this pipeline does not have")
P211 = _error("P211", "broken-check", "a checker that cannot work as it is written")
P212 = _error("P212", "broken-example", "the pipeline's example does not come out as it says")
P213 = _warning("P213", "unread-column", "a column that nothing reads")
P214 = _error("P214", "unknown-parent", "the pipeline that is extended does not exist")
P215 = _error("P215", "repeated-stage", "two stages have the same name")

# M: curriculum.yaml and the mixture
M301 = _error("M301", "curriculum-missing-key", "a required setting is absent")
M302 = _error("M302", "curriculum-unknown-key", "a setting that does not exist")
M303 = _error("M303", "curriculum-bad-value", "a value that this setting cannot hold")
M304 = _error("M304", "unknown-pipeline", "a route names a pipeline that does not exist")
M305 = _warning("M305", "unrouted-leaf", "no route matches the leaf")
M306 = _warning("M306", "uncovered-document", "the budget is too small to ask about every chunk")
M307 = _error("M307", "nothing-to-compile", "no leaf is left to compile")
M308 = _warning("M308", "empty-phase", "a phase of the curriculum has no samples")
M309 = _error("M309", "unknown-code", "a setting names a code that does not exist")
M310 = _error("M310", "incomplete-teacher", "a teacher lacks what its kind needs")
M311 = _warning("M311", "barren-leaf", "a leaf yields no synthetic sample")
M312 = _warning("M312", "denied-licence", "the licence of a leaf does not allow to train on it")
M313 = _error("M313", "human-floor", "people wrote less than the share that is wanted")
M314 = _error("M314", "unreadable-source", "a data set that the settings name cannot be read")
M315 = _warning("M315", "uncalibrated-judge", "a judge does not agree with people's grades enough")
M316 = _error("M316", "broken-grade", "a grade or a criterion cannot be used")
M317 = _warning("M317", "outdated-grade", "a criterion was edited after it was graded with")
M318 = _error("M318", "unverified-leaf", "a route has a checker that its pipeline does not use")
M319 = _warning("M319", "poison-phrase", "one contributor's phrase always has the same answer")
M320 = _error("M320", "unknown-setting", "a route sets what its pipeline does not have")

# R: a run of the teacher
R401 = _error("R401", "teacher-unreachable", "the endpoint did not answer")
R402 = _error("R402", "teacher-refused", "the endpoint refused the request")
R403 = _error("R403", "broken-reply", "the endpoint's answer is not in the expected format")
R404 = _warning("R404", "teacher-cannot", "this teacher cannot do this stage")
R405 = _warning("R405", "unscripted-request", "the script has no line for this request")
R406 = _error("R406", "batch-waiting", "requests were written for a batch and wait for results")
R407 = _error("R407", "vllm-failed", "vLLM could not be started, or ended by itself")
R408 = _warning("R408", "many-unparsable", "more than a tenth of the replies cannot be read")
R409 = _warning("R409", "saturated", "the teacher only repeats itself for a leaf")
R410 = _error("R410", "unknown-model", "the endpoint does not serve the model")
R411 = _warning("R411", "broken-batch-line", "a line of a batch's results cannot be read")

# D: why a sample was dropped
D501 = _drop("D501", "unparsable", "the reply lacks a field that the stage asked for")
D502 = _drop("D502", "too-short", "the question or the answer is too short to teach anything")
D503 = _drop("D503", "exact-duplicate", "the same question was kept already")
D504 = _drop("D504", "near-duplicate", "almost the same question was kept already")
D505 = _drop("D505", "seed-echo", "the question repeats a seed example")
D506 = _drop("D506", "heldout-overlap", "the question is one that evaluation will ask")
D507 = _drop("D507", "unfaithful", "the judge found the answer unsupported by the document")
D508 = _drop("D508", "irrelevant", "the judge found the question beside the subject")
D509 = _drop("D509", "not-standalone", "the question cannot be understood alone")
D510 = _drop("D510", "off-task", "the judge found the question outside the task")
D511 = _drop("D511", "poor-answer", "the judge rated the answer too low")
D512 = _drop("D512", "cut-reply", "the reply ended at its token limit")
D513 = _drop("D513", "over-budget", "the leaf had its number of samples already")
D514 = _drop("D514", "validation-split", "kept aside to be asked in evaluation")
D515 = _drop("D515", "failed-verification", "a checker found the answer wrong")
D516 = _drop("D516", "not-novel", "too like what the leaf, its siblings or the evaluation ask")
D517 = _drop("D517", "too-long", "the question or the answer is too long")
D518 = _drop("D518", "banned-word", "it speaks of what a text model cannot see or do")
D519 = _drop("D519", "unfit-opening", "it begins as no instruction does")
D520 = _drop("D520", "conflicting-instances", "the same input has different outputs")
D521 = _drop("D521", "no-gain", "the judge found that it asks no more than its parent")
D522 = _drop("D522", "refusal", "the teacher refused or excused itself in place of an answer")
D523 = _drop("D523", "empty-content", "nothing but punctuation, small words or boilerplate")
D524 = _drop("D524", "prompt-echo", "it repeats words of the prompt that asked for it")
D525 = _drop("D525", "word-growth", "it did not grow by the number of words that it should")
D526 = _drop("D526", "missing-word", "a word that had to be used is not there")
D527 = _drop("D527", "copied-solution", "the solution stands in the problem already")
D528 = _drop("D528", "not-best", "another answer to the same question was better")
D529 = _drop("D529", "low-value", "it teaches less than the share that is kept")
D531 = _drop("D531", "benchmark-overlap", "it overlaps with a benchmark that was given")
D532 = _drop("D532", "same-meaning", "another sample means the same")
D533 = _drop("D533", "ungrounded", "the answer is not supported by its document or context")
D534 = _drop("D534", "unsafe-content", "it holds what no student should learn")
D535 = _drop("D535", "personal-content", "it holds personal data or a secret")
D536 = _drop("D536", "factoid", "a passing fact in place of a skill")
D537 = _drop("D537", "foreign-language", "it is not in the language of its leaf")
D538 = _drop("D538", "known-sample", "a data set that was given has it already")
D540 = _drop("D540", "not-selected", "others were of more use within the budget")
D541 = _drop("D541", "too-similar", "a selected sample is too similar")
D542 = _drop("D542", "quarantined", "its value is among the lowest")
D543 = _drop("D543", "failed-assertion", "an assertion that agrees with people's grades fails it")
D544 = _drop("D544", "over-generation", "it is too many generations away from people")

# F: training
F601 = _error("F601", "recipe-missing-key", "a recipe lacks a required key")
F602 = _error("F602", "recipe-unknown-key", "a key that recipes do not have")
F603 = _error("F603", "recipe-bad-value", "a value that this key cannot hold")
F604 = _error("F604", "unknown-recipe", "no recipe of that name")
F605 = _error("F605", "no-build", "the data folder is not a finished build")
F606 = _warning("F606", "over-length", "samples are longer than the recipe's limit")
F607 = _error("F607", "empty-training-phase", "a phase has no samples to train on")
F608 = _error("F608", "changed-run", "the folder holds a run of other data or another recipe")
F609 = _error("F609", "student-not-found", "the student model cannot be loaded")
F610 = _warning("F610", "few-steps", "too few steps to learn anything")
F611 = _error("F611", "missing-extra", "a package that this command needs is not installed")
F612 = _error("F612", "foreign-folder", "the folder holds what no run of ours made")
F613 = _error("F613", "unfit-hardware", "the recipe needs hardware that is not here")
F614 = _error("F614", "disk-full", "a checkpoint or a student cannot be written")
F615 = _warning("F615", "damaged-checkpoint", "a checkpoint cannot be read; an older one is used")
F616 = _error("F616", "unfit-launch", "the launch file cannot run this recipe")
F617 = _error("F617", "unknown-tracker", "a tracker that is not known or not installed")
F618 = _warning("F618", "short-memory", "the run needs more memory than the machine has")
F619 = _warning(
    "F619", "nothing-to-replay", "a phase asks for a replay and has nothing to draw from"
)
F620 = _error("F620", "unfit-adapters", "the adapters do not fit the student")
F621 = _error("F621", "diverged", "the loss is no number any more")
F622 = _warning("F622", "plain-template", "the student has no chat template")
F623 = _error("F623", "busy-folder", "another process trains in the folder")

# E: evaluation
E701 = _error("E701", "no-student", "the folder holds no trained student")
E702 = _warning("E702", "nothing-held-out", "the build has no held-out questions")
E703 = _error("E703", "unknown-sample", "no sample of that id")
E704 = _error("E704", "not-evaluated", "the student has no evaluation to report")
E705 = _error("E705", "damaged-journal", "the file of the journal is no journal, or no more")
E706 = _error("E706", "no-reply-line", "a line of an exported journal is no reply")
E707 = _error("E707", "forgotten", "the student lost more than the gate allows")
E708 = _warning("E708", "seen-question", "a question was seen in training and is not asked")
E709 = _error("E709", "quantization-loss", "an export lost more than the gate allows")
E710 = _error("E710", "no-exporter", "a program that this export needs is not installed, or fails")
E711 = _error("E711", "unproven-judge", "no judge that agrees with people is at hand")
E712 = _error("E712", "bad-question-file", "a file of questions cannot be read")
E713 = _warning("E713", "unchecked-answers", "a checker of answers cannot work here")

# B: our bug
B901 = _error("B901", "open-account", "a pass lost samples without a reason")
B902 = _error("B902", "internal-error", "an unexpected exception")
B903 = _error("B903", "unusable-path", "a file or folder cannot be read or written")

CATALOGUE: dict[str, Code] = {
    code.id: code for code in list(globals().values()) if isinstance(code, Code)
}

LETTERS = {
    "S": "S: the text of a file",
    "T": "T: a leaf of the taxonomy",
    "P": "P: a pipeline folder",
    "M": "M: the curriculum and its mixture",
    "R": "R: a run of the teacher",
    "D": "D: why a sample was dropped",
    "F": "F: training",
    "E": "E: evaluation",
    "B": "B: our bug",
}
