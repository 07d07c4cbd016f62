"""Phrases that give an answer away as no answer to a picture, in English and Chinese.

Patterns are searched in text of one width (NFKC) without regard to case. How often they are right
is in docs/instruction-quality.md. All were written for omniloom.
"""

from __future__ import annotations

import re

_MODEL = (
    r"(?:ai|a\.i\.|artificial intelligence|(?:large )?language model|virtual assistant|chatbot)"
)
_ASKED = (
    r"(?:help|assist|answer|see|view|determine|identify|provide|comply|tell|access|fulfil|say|"
    r"recogni[sz]e|describe|confirm|verify|discuss|engage|continue|make out)"
)
_GIVEN = r"(?:captions?|descriptions?|ocr|alt[- ]text|prompt|metadata)"
_SAYS = (
    r"(?:says?|said|mentions?|mentioned|states?|stated|describes?|described|indicates?|notes?|"
    r"suggests?|tells?|does not|doesn't|provides?|specif(?:ies|y)|refers?|explains?)"
)
_ZH_GIVEN = r"(?:描述|说明文字|文字说明|文字描述|图片说明|图片描述|图像描述|图片标题|文本|提示词)"


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.IGNORECASE)


REFUSAL = _pattern(
    rf"\bas an? {_MODEL}\b",
    rf"\bI(?:'m|’m| am) (?:just |only )?an? {_MODEL}\b",
    r"^\W*(?:I(?:'m|’m| am) )?(?:so |very |really )?sorry\b",
    r"\bI(?:'m|’m| am) afraid (?:that )?I\b",
    r"\bI apologi[sz]e\b|\bmy apologies\b",
    rf"\b(?:I|we) (?:can ?not|can['’]t|won['’]t|will not|"
    rf"(?:am|are) (?:not able|unable) to|must decline to) (?:{_ASKED}|comment)\b",
    rf"\b(?:I['’]m|we['’]re) (?:unable|not able|not in a position) to {_ASKED}\b",
    rf"\bit(?:'s|’s| is) (?:not possible|impossible|hard|difficult) to {_ASKED}\b.{{0,40}}"
    r"(?:without|from (?:the|this)|based|with(?: the)? (?:given|available|provided))",
    r"\bcan ?not be (?:determined|identified|answered|inferred|ascertained)\b",
    r"\b(?:not enough|insufficient|no further|lacks?(?: the)?) (?:information|context|detail)",
    r"^\W*I (?:do not|don['’]t) know\b",
    r"\bI (?:do not|don['’]t) have (?:access|the ability|enough|any information)\b",
    r"\bI have no (?:idea|way|access|information)\b",
    r"\b(?:against|violates?) (?:my|our|the) (?:\w+ )?(?:guidelines|polic(?:y|ies)|principles)\b",
    r"作为(?:一个|一名|一款)?(?:ai|人工智能|语言模型|大(?:语言)?模型|智能助手|虚拟助手)",
    r"我(?:只)?是(?:一个|一名|一款)?(?:ai|人工智能|语言模型|智能助手|虚拟助手)",
    r"^\W*(?:非常|很|十分)?(?:抱歉|对不起|不好意思)",
    r"我(?:们)?(?:目前|暂时|现在)?(?:不能|没有?办法|没法|不便)(?:直接)?"
    r"(?:回答|确定|判断|识别|看到|查看|看清|提供|协助|帮助|满足|辨认|得知|访问|透露|讨论)",
    r"无法(?:直接|准确)?"
    r"(?:回答|确定|判断|识别|查看|看清|提供|协助|满足|辨认|得知|获取|访问|推断|知道|确认)",
    r"(?:信息|资料|线索)(?:并)?(?:不足|不够|有限)|没有足够的?(?:信息|线索)|缺乏足够的?信息",
    r"^\W*我(?:也)?不(?:知道|清楚|确定)",
    r"(?:违反|不符合)[^。,]{0,8}(?:政策|规定|准则)",
)
"""An answer that declines, that gives up, or whose writer speaks of itself as a model."""

SOURCE_LEAK = _pattern(
    rf"\b(?:according to|based (?:up)?on|judging by|from|as per|per|given|in|by|see) "
    rf"(?:(?:the|this|that|your|its) )?(?!an? )(?:\w+ )?{_GIVEN}\b(?! of\b)",
    rf"\b(?:the|this|your) (?:image |picture |photo |provided |given |above |text )?{_GIVEN} "
    rf"(?:\w+ly |also )?{_SAYS}\b",
    r"\bthe (?:provided|given|supplied|above|aforementioned|available|accompanying) "
    r"(?:text|information|context|caption|description|details|title)\b",
    r"(?:\b(?:not|never)|n['’]t) (?:\w+ly )?(?:mentioned|specified|stated|described|provided)\b"
    r"(?! (?:on|upon)\b)",
    r"\b(?:mentioned|described|stated|specified|given|noted) in the (?:text|information|title|"
    r"caption|description|context)\b",
    r"\bas (?:described|mentioned|stated) (?:above|earlier|in the)\b",
    r"(?<![a-z])ocr(?![a-z])",
    r"\b(?:recogni[sz]ed|detected|extracted) (?:text|strings|words)\b",
    r"\b(?:web ?page|page|image|article)(?:'s|’s)? title\b",
    rf"(?:根据|依据|按照|基于|从|由)(?:以上|上述|所给|给出|提供|给定|该|这段|此|这个)的?"
    rf"(?:图片|图像)?的?(?:{_ZH_GIVEN}|信息|文字|标题|内容|资料)",
    rf"(?:根据|依据|按照|从)(?:图片|图像|照片)?的?{_ZH_GIVEN}(?=[,。:]|可|中|里|来看|所)",
    rf"{_ZH_GIVEN}(?:中|里|内)?(?:并)?(?:提到|提及|说|指出|写道|表明|没有|未|所述|给出)",
    r"(?:标题|说明)(?:中|里)(?:提到|提及|说|指出|写道|表明|没有|未)",
    r"(?<!上)(?<!里)(?:并未|并没有|未|没有)(?:明确|具体)?(?:提及|说明|描述|注明)",
    r"如(?:描述|上文|上)所(?:述|说)|正如描述|(?:所|被)描述的(?:图片|图像|照片)",
    r"(?:识别|检测|提取)(?:出|到)的(?:文字|文本|字符)",
    r"(?:网页|页面|图片)(?:的)?标题",
)
"""A text that speaks of what its writer had in place of the picture."""

CHAT = _pattern(
    r"^\W*(?:sure|certainly|absolutely|of course|okay|great question|good question)\s*[!,.:—-]"
    r"\s*(?=\S)",
    r"^\W*here(?:'s|’s| is| are) (?:\w+ ){0,3}(?:description|answer|caption|list|summary|response|"
    r"question|breakdown|overview|explanation)s?\b",
    r"\b(?:hope (?:this|that|it) helps|let me know if|feel free to ask|happy to help|"
    r"is there anything else|do you have any (?:other|more) questions)\b",
    r"^\W*(?:当然(?:可以)?|好的|没问题|好问题)[,!。:]\s*(?=\S)",
    r"^\W*(?:以下|下面)是(?:对|关于|我|一份|一段|图片的|这张)",
    r"希望(?:这|以上|我的|能|对)[^。]{0,14}(?:帮助|有用|帮到)",
    r"如果?(?:你|您)?(?:还)?(?:有|需要)(?:任何|其他|更多|别的|进一步的?)[^。]{0,6}(?:问题|帮助|信息)",
    r"(?:请)?随时(?:告诉|问|联系|向我|提问)|(?:很|非常)(?:高兴|乐意|荣幸)(?:为|帮|能)",
)
"""Small talk around an answer."""

PLACEHOLDER = _pattern(
    r"<(?!/?(?:box|ref|quad|point|b|i|sub|sup)\b)/?[^\W\d][\w -]{0,40}>",
    r"_{3,}",
    r"\[(?:insert|your|name of|the name|object|person|place|name|colou?r|number|style|brand|item|"
    r"animal|text|date|location|adjective|noun)\b[^\]]{0,30}\]",
    r"\{\w{2,30}\}",
    r"\b(?:todo|tbd|lorem ipsum)\b",
    r"某某|××+|(?<=[\u4e00-\u9fff])x{2,}|\[(?:物体|对象|名称|姓名|颜色|数字|地点|人物|品牌|动物|文字|日期)\]",
)
"""A wildcard that nobody filled in."""

ERRORS = frozenset(
    (
        *("error", "null", "nan", "nil", "undefined", "n/a", "na", "no answer", "not applicable"),
        *(
            "exception",
            "timeout",
            "failed",
            "错误",
            "空值",
            "空",
            "报错",
            "未知错误",
            "暂无",
            "无答案",
        ),
    )
)
"""Answers in small letters, without marks around, that are what failed instead of an answer."""

ASKS = _pattern(
    r"\?",
    r"(?:^|[.!,:;\n]\s*)(?:(?:please|kindly|now|then|can|could|would|will|in|at|on|to|for|from|by|"
    r"and|so|with) (?:[\w'’]+ ){0,6})?"
    r"(?:what|who|whom|whose|which|where|when|why|how|is|are|was|were|do|does|did|has|have|"
    r"describe|explain|identify|name|list|count|write|tell|give|provide|compare|choose|select|"
    r"pick|point|estimate|discuss|summari[sz]e|state|determine|calculate|compute|find|locate|"
    r"imagine|suggest|analy[sz]e|create|compose|generate|translate|read|transcribe|classify|"
    r"decide|judge|guess|predict|look|consider|elaborate|outline|interpret|narrate|caption|"
    r"make|answer|show|share|highlight|detail)\b",
    r"[吗呢吧]|什么|甚么|谁|哪|多少|几|怎|为何|如何|是否|是不是|有没有|对不对|能否|可否|何",
    r"请|描述|说明|解释|指出|列出|列举|写|介绍|分析|概括|总结|比较|选择|判断|估计|猜|想象|谈谈|说说|"
    r"给出|提供|讲述|计算|识别|翻译|推测|预测|评价|创作|告诉",
)
"""A question, or a request."""
