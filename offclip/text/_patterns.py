"""Patterns of the rule-based prompter: what a radiologist's sentence is made of."""

import re


def not_after(words: str) -> str:
    """Return a pattern that holds where none of the words and one space came just before."""
    return "".join(rf"(?<!\b{word} )" for word in words.split())


# Sentences about the examination, the reader or the next step say nothing about the image.
NOT_ABOUT_THE_IMAGE = re.compile(
    r"\b(recommend\w*|follow ?up|correlat\w+|notif\w+|discussed|telephone\w*|communicated|dictated|"
    r"paged|consider(?:ed|ation)?|examination consists|views? (?:of the chest|are|were|submitted)|"
    r"radiographs? of|if clinically|clinical (?:concern|history|indication)|comparisons?$|"
    r"comparisons? (?:is|films?|with|to|study|made|examination)|available for comparison|"
    r"none available|^(?:\w+ ){0,4}history of|interpreted|"
    r"exam(?:ination)? (?:is|was) (?:limited|compared|performed)|"
    r"further (?:imaging )?(?:evaluation|characterization)|please|obtained|\d+ images|"
    r"(?:would|may|might|could|can|xxxx) be (?:\w+ )?(?:helpful|useful|informative|of benefit|"
    r"performed|indicated|warranted)|conveyed|message was|does (?:this|the) patient|"
    r"no comparison|critical result|evaluation of)\b"
)
# Where advice ends and a statement begins, or the reverse.
ADVICE_APART = re.compile(r"\s*(?:;|:|\bbut\b|\balthough\b|\bhowever\b|\bwhile\b|\bthough\b)\s*")
# What only a comparison with an earlier image could show is left out of a prompt.
COMPARISON = re.compile(
    r"\b(?:grossly |relatively |essentially |overall |largely )?(?:"
    r"(?:as |when |in )?compar(?:ed|ison) (?:to|with)\b[^,]*|"
    r"(?:since|from) (?:the )?(?:prior|previous|last|most recent|xxxx|comparison)\b[^,]*|"
    r"similar (?:in appearance )?(?:to|as)\b[^,]*|"
    r"similar in appearance|as (?:seen )?(?:before|previously|on prior\b[^,]*)|"
    r"(?:in|over|during) the interval|"
    r"(?:with ?out|with no|no|not) (?:significant |significantly |definite |obvious |any |xxxx )*"
    r"(?:interval )?change[sd]?\b[^,]*|"
    r"(?:and|but) (?:stable|unchanged)|(?:stable|unchanged) (?:and|but)|"
    r"interval development of|(?:has|have) not (?:significantly )?changed\b[^,]*|"
    r"(?:interval(?:ly)?|unchanged|stable|stably|again|persistent(?:ly)?|continued|redemonstrat\w+|"
    r"previously (?:noted|seen|described|identified)|new|newly|improved|improving|worsened|"
    r"worsening|worse|unaltered|still|now)"
    r"(?: in (?:appearance|position|size|configuration))?)\b"
)
NO_CHANGE = re.compile(
    r"^(?:there (?:is|are|has been|have been) |has been )?(?:no|without|little) (?:significant |"
    r"definite |acute |appreciable |xxxx )*(?:interval )?(?:changes? (?:in|of)|resolution of) "
    r"(?:the )?"
    r"(?:(?:appearance|size|position|extent) of (?:the )?)?"
)
LEAD_IN = re.compile(
    r"^(?:(?:and|or|but|also|specifically|otherwise|overall|however|additionally|incidentally|"
    r"incidental note (?:is )?made of|note (?:is )?made of|there (?:is|are|was|were|has been|"
    r"appears? to be|may be|also)|there s|noted (?:is|are)|demonstrates?|shows?|reveals?|"
    r"evidence (?:of|for)|findings? of|of|a|an|the|is|are|some|xxxx|visuali[sz]ed|visible|"
    r"both|other than|there|continues? to be|within the limits of this exam|in addition|again|"
    r"mostly|with|which|that|"
    r"significantly|definitely|seen|noted|identified|in|at|on|to)\s+(?=\S))+"
)
TRAILING = re.compile(
    r"\s+(?:(?:is|are|was|were|can be|could be|has been|have been|to be)\s+)?(?:also |again |"
    r"clearly |definitely |otherwise |currently )*(?:identified|seen|noted|visuali[sz]ed|"
    r"demonstrated|present|appreciated|observed|detected|found|evident|visible|apparent|shown|"
    r"suspected|suggested|xxxx|in|at|of|on|and|or|the|with|to|from|is|are|as|by|for|which|there|not|significantly)$"
)
NEGATION_START = re.compile(
    r"^(?:no|without|negative for|absence of|free of|free from|clear of|not any|neither|absent|"
    r"nothing (?:to suggest|suggesting|suggestive of)|resolved|"
    r"(?:complete )?(?:resolution|clearing) of|removal of)\b"
    r"(?:\s+(?:any|xxxx|definite|definitive|definitely|visible|visuali[sz]ed|obvious|convincing|"
    r"gross|discrete|radiographic|plain|conclusive|other|further|additional|typical|"
    r"signs? (?:of|for)|features? of|(?:radiographic )?evidence (?:of|for|to suggest)|"
    r"findings? (?:of|for|to suggest|suggesting|suggestive of)|suggestion of|indication of|xxxx of|"
    r"of|an?|the|new)\b)*\s*"
)
PURPOSE = re.compile(
    r"\s+(?:to (?:suggest|indicate)|(?:that (?:would )?)?suggest(?:s|ing|ive of)?|identified|seen|"
    r"noted|visuali[sz]ed|demonstrated|appreciated|detected|are present|is present|"
    r"(?:is|are|was|were) (?:\w+ly )*(?:seen|identified|noted|present|visuali[sz]ed|demonstrated|"
    r"appreciated|evident|apparent|detected|observed|found))\b.*$"
)
# "Large heart, otherwise clear": a clause begins. Not so in "the lungs are otherwise clear".
OTHERWISE = r"\b(?=otherwise\b(?! (?:appears?|is|are|remains?|has|have)\b))" + not_after(
    "is are was were appear appears and"
)
# Clause borders: what follows starts a statement of its own.
CLAUSE = re.compile(
    rf"\s*(?:;|:|,?\s*{OTHERWISE}|,\s*only\b|\bbut\b|\balthough\b|\bhowever\b|\bwhile\b|"
    r"\bthough\b|"
    r",\s*(?:and )?there (?:is|are)\b|\band there (?:is|are)\b|"
    r",?\s*(?:and )?\b(?=without\b|with no\b|negative for\b|clear of\b|free of\b|free from\b)"
    r"(?:with (?=no\b))?|"
    r",\s*(?:and )?(?=no\b)|\band (?=no\b|removal of\b)|,\s*with (?:a |an |the |some )?|"
    r"\b(?:reveals?|shows?|demonstrates?) (?=no\b)|\bas well as\b|\baccompanied by\b)\s*"
)
POSSIBLE = (
    r"(?:may|might|could|can) (?:also )?(?:represent|be (?:due to|related to|secondary to|from)|be|"
    r"reflect|indicate|suggest)|"
    r"possibly (?:due to|related to|representing|reflecting|secondary to)|"
    r"possibl[ey]|questionable|question of|question|suspicious for|concerning for|worrisome for|"
    r"suggestive of|suggesting|suggests?|can ?not (?:be )?(?:excluded?|ruled? out)|"
    r"(?:is |are )?not (?:\w+ly )?(?:excluded|ruled out)|"
    r"raising (?:the )?(?:possibility|question) of|suspected|versus|vs"
)
PROBABLE = (
    r"(?:is |are )?(?:most |very )?(?:likely|probably) (?:due to|related to|representing|"
    r"represents?|reflecting|reflects?|secondary to)|(?:most |very )?likely|probabl[ey]|"
    r"(?:most )?consistent with|(?:most )?compatible with|in keeping with|"
    r"favored to (?:be|represent|reflect)|favoring|indicative of|presumably|presumed"
)
HEDGE = re.compile(
    rf",?\s*\b(?:which |that |this |these |findings? |is |are |and )*(?:(?P<possible>{POSSIBLE})|"
    rf"(?P<probable>{PROBABLE}))\b\s*"
)
COPULA = re.compile(
    r"\s+(?:is|are|was|were|appears?(?: to be)?|looks?|remains?|has an?|have|has)\s+(?!no\b|not\b)"
)
WITHIN_NORMAL = re.compile(
    r"\b(?:(?:within|in) (?:the )?normal (?:limits?|range)|wnl|unremarkable|(?:not|no longer) "
    r"(?:significantly )?(?:enlarged|abnormal))\b"
)
PREPOSITION = re.compile(
    r"\b(?:in|of|at|on|over|with|within|from|to|near|by|along|for|through|above|below|"
    r"projecting|overlying|involving|throughout|about|adjacent|into|between|under)\b"
)
