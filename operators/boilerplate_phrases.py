"""What web pages say around their content, as patterns by family, in English and Chinese.

The patterns are meant for Rust's `regex` (through Polars), which is linear in the length of the
text whatever the pattern. They see a node's text with white space squeezed to single spaces, and
are blind to case. `^` and `$` are the ends of the node: labels that mean something only at a
line's start ("Tags:", "By Ann Lee") or as a whole line ("Home") are anchored, so that the same
words inside a sentence are nothing. English patterns begin and end at word boundaries.

What counts is not that a phrase occurs but how much of the node it covers
(`operators.boilerplate`): "read more" in a paragraph about reading covers next to nothing.
"""

from __future__ import annotations

# A run of capitalised words, as in names: "Ann Lee", "J. van der Berg and Li Wei".
_NAME = r"(?-i:\p{Lu})[\p{L}.'’-]*"
_NAMES = rf"{_NAME}(?:,? (?:(?:and|&|de|da|van|von|der|of|for|the|/|\|) )*{_NAME}){{0,7}}"
_HAN_NAME = r"[\p{Han}·]{2,5}"
_HAN_NAMES = rf"{_HAN_NAME}(?:[、,， /]{{1,2}}{_HAN_NAME}){{0,5}}"
_COUNT = r"[0-9][0-9.,]*(?: ?(?:k|m|bn|million|thousand))?\+?"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
_CLOCK = (
    r"[0-9]{1,2}(?::[0-9][0-9]){1,2}(?: ?[ap]\.?m\.?)?(?: ?(?:gmt|utc|[ecmp][sd]t|"
    r"et|pt)(?:[+-][0-9]+)?)?"
)
_DATE = (
    rf"(?:(?:{_DAY}\.?,? )?(?:[0-9]{{1,2}}(?:st|nd|rd|th)? {_MONTH}\.?|{_MONTH}\.? [0-9]{{1,2}}"
    r"(?:st|nd|rd|th)?),?(?: [0-9]{4})?|[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|"
    r"[0-9]{1,2}[/.][0-9]{1,2}[/.][0-9]{2,4})"
)
_HAN_DATE = (
    r"(?:[0-9]{4} ?年 ?)?[0-9]{1,2} ?月 ?[0-9]{1,2} ?日|[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}"
)
_SITE = (
    r"(?:facebook|twitter|x|instagram|linkedin|pinterest|reddit|whatsapp|telegram|tumblr|youtube|"
    r"tiktok|threads|bluesky|mastodon|snapchat|flickr|digg|delicious|del\.icio\.us|stumbleupon|"
    r"google ?\+|google plus|messenger|flipboard|pocket|e-?mail|rss)"
)
_SITES = rf"{_SITE}(?:(?:,| and| or| &|,? ?[|/·•])? {_SITE})*"
_HAN_SITE = (
    r"(?:微信(?:好友|朋友圈)?|新浪微博|微博|腾讯微博|[Qq][Qq](?:空间|好友)?|朋友圈|人人网|豆瓣|"
    r"知乎|抖音|快手|小红书|B站|今日头条|臉書|脸书|Line|Facebook|Twitter)"
)
_HAN_SITES = rf"{_HAN_SITE}(?:[、,，/| ]{{0,3}}{_HAN_SITE})*"
_LOREM = (
    r"(?:lorem|ipsum|dolor|sit|amet|consectetu?er|consectetur|adipisci(?:ng)?|elit|"
    r"sed|do|eiusmod|"
    r"tempor|incididunt|ut|labore|et|dolore|magna|aliqua|enim|ad|minim|veniam|quis|nostrud|"
    r"exercitation|ullamco|laboris|nisi|aliquip|ex|ea|commodo|consequat|duis|aute|irure|in|"
    r"reprehenderit|voluptate|velit|esse|cillum|eu|fugiat|nulla|pariatur|excepteur|sint|occaecat|"
    r"cupidatat|non|proident|sunt|culpa|qui|officia|deserunt|mollit|anim|id|est|laborum)"
)

ENGLISH: dict[str, tuple[str, ...]] = {
    "advertisement": (
        r"^advert(?:isement|ising|orial|isements)?s?$",
        r"(?:^| )(?:this )?(?:article|story|post) continues below(?: (?:this )?(?:advertise"
        r"?ment|ad))?",
        r"(?:story|continue(?:s|d)? reading|scroll(?: down)? (?:for more|to continue)) "
        r"(?:below|after)?(?: ?(?:the|this|our|with) )?(?: ?(?:advertise?ment|ad|content))",
        r"(?:close|skip|hide|report|remove|about)(?: this)? (?:ads?|advertise?ments?)",
        r"ads? by google|ad ?choices|advertise (?:with us|here|on this site)",
        r"^(?:sponsored|promoted|paid)(?: (?:content|links?|posts?|results?|partner|"
        r"stories|by))*$",
        r"we may earn (?:a|an)?(?: small)? ?(?:affiliate )?commission",
        r"(?:this (?:post|page|article) (?:may )?contains? )affiliate links",
        r"turn off your ad ?blocker|disable your ad ?blocker",
    ),
    "sponsor": (
        r"^(?:our |official |media |event )?(?:sponsors?|supporters)(?: (?:and|&) partners)?:?$",
        rf"^(?:this .* (?:is|was) )?(?:sponsored|supported|presented|powered|brought to you)"
        rf" by:? {_NAMES}\.?$",
        r"a word from our sponsors?|become a (?:sponsor|patron)|support us on patreon",
        r"buy me a coffee|(?:donate|make a donation|support our (?:work|site))(?: "
        r"(?:now|today|here))?",
    ),
    "adult": (
        r"(?:porno?|xxx|hentai|milf|camgirls?|blowjobs?|handjobs?|gangbang|cumshots?|deepthroat|"
        r"creampie|threesome|bukkake)",
        r"(?:sex|adult|nude|naked|porn|xxx|live)(?: (?:sex|adult|nude|porn))* "
        r"(?:cams?|videos?|movies?|chats?|tube|webcams?|dating|pics|pictures|clips)",
        r"(?:hot|horny|naked|nude|busty|sexy|slutty)(?: [a-z0-9_]+)? (?:girls?|"
        r"teens?|babes?|wives|moms?|singles)",
        r"(?:big|huge) (?:cocks?|dicks?|tits|boobs)|(?:fucks?|fucked|fucking|sucks|"
        r"sucking) (?:her|him|his|my|hard|cock|dick)",
        r"escorts? (?:service|girls?|agency)|(?:you must be|are you) (?:at least "
        r"|over )?18(?: years)?(?: or older| of age| old)*",
    ),
    "byline": (
        rf"^(?:(?:(?:re)?posted|written|published|reported|story|text|words|edited|reviewed|"
        rf"compiled|article|updated|submitted|added|photos?|created|originally "
        rf"posted) )*(?:and )?by:? {_NAMES}"
        rf"(?:(?:,| \||–|-| -| –| —| on| at)? ?(?:(?:posted|published|updated|on|"
        rf"at):? )*(?:{_DATE}))?"
        rf"(?:(?:,| -| at)? ?{_CLOCK})?$",
        rf"^(?:authors?|editors?|written by|reporters?|contributors?|staff writers?|posted by|"
        rf"edited by|reviewed by|published by):? ?{_NAMES}$",
        rf"^{_NAMES},? (?:staff writer|staff reporter|contributing writer|correspondent|"
        rf"guest columnist|senior editor|associated press|reuters)$",
    ),
    "timestamp": (
        rf"^(?:(?:first |last |originally )?(?:posted|published|updated|modified|"
        rf"created|added|edited|"
        rf"submitted|filed|date|time|joined|last modified|last updated|release date|"
        rf"publish date|by admin|reviewed)(?: on| at|:| -)* ?)?(?:{_DATE}|{_CLOCK})"
        rf"(?:(?:,| -| –| \||,? at| @| ·| •)? ?(?:{_DATE}|{_CLOCK}))*(?:,? (?:updated|"
        rf"modified):? ?)?"
        rf"(?: ?{_DATE}(?:,? ?{_CLOCK})?)?\.?$",
        r"^(?:(?:posted|published|updated|joined|edited|modified|asked|answered|active|last seen|"
        r"last updated|reviewed):? )?(?:about |over |almost )?(?:[0-9]+|an?) ?(?:s|"
        r"secs?|seconds?|m|mins?|"
        r"minutes?|h|hrs?|hours?|d|days?|w|weeks?|mos?|months?|y|yrs?|years?) ago$",
        r"^[0-9]+ ?-?min(?:ute)?s?(?: read| to read|ute read)$|^(?:reading|read)"
        r" time:? [0-9]+ ?min(?:ute)?s?$",
        r"^(?:first|last) (?:published|updated|modified|edited)\b.*$",
    ),
    "contact": (
        r"[a-z0-9_.+-]+(?:@| ?[\[(]at[\])] ?)[a-z0-9-]+(?:\.| ?[\[(]dot[\])] ?)[a-z][a-z0-9_.-]*",
        r"^@[a-z0-9_]+$",
        r"^(?:(?:e-?mail|mail|contact|write to|twitter|follow|x|telegram)(?: (?:him|"
        r"her|them|us|me|the author))?"
        r"(?: (?:at|on))?:? ?)@[a-z0-9_]+$",
        r"(?:(?:tele?)?phone|tel|fax|mobile|cell|call(?: us)?(?: now)?(?: (?:at|"
        r"on|today))?|hotline|toll[- ]free|"
        r"whatsapp)(?: number| no)?[.:]* ?\+?[0-9(][0-9 ().-]{6,18}[0-9]",
        r"^\+?\(?[0-9]{2,4}\)?[ .-][0-9]{3,4}[ .-][0-9]{3,5}$",
        r"^(?:e-?mail|mail|contact)(?: (?:address|us|me|the author|the editor|support|"
        r"sales))?:?$",
        r"(?:email|contact|write to) (?:the )?(?:author|reporter|editor|writer)s?(?: at)?",
    ),
    "url": (
        r"(?:https?|ftp)://[^\s<>\"“”]+",
        r"www\.[a-z0-9_-]+(?:\.[a-z0-9_-]+)+[^\s<>\"“”]*",
        r"^(?:(?:permalink|source|link|url|short link|via|website|web ?site|visit|"
        r"see|read more at|original|"
        r"homepage|permanent link|reference link):? ?)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)"
        r"*\.(?:com|org|net|edu|gov|io|co|info|uk|de|cn|in|tv)"
        r"(?:/[^\s]*)?$",
        r"^(?:permalink|trackback(?: url)?|short link|permanent link|copy link|"
        r"short url|get short url):?",
    ),
    "social_counter": (
        rf"(?:{_COUNT}|\({_COUNT}\)|\[{_COUNT}\]|no|one) (?:new )?(?:likes?|shares?|"
        rf"comments?|retweets?|tweets?|views?|followers?|"
        r"following|reposts?|replies|reply|reactions?|upvotes?|downvotes?|votes?|"
        r"claps?|favou?rites?|subscribers?|points?|"
        r"reads?|pins?|bookmarks?|posts?|responses?|threads?|ratings?|reviews?|people like this)",
        rf"(?:likes?|shares?|comments?|retweets?|views?|followers|replies|votes?|"
        rf"upvotes?|reads?|posts|"
        rf"downloads|hits|responses|points|reviews)(?: count)?:? ?[\[(]?{_COUNT}[\])]?",
        rf"^{_COUNT} (?:people|users|members|readers|guests)(?: and [0-9]+ guests)? "
        r"(?:like|liked|found|viewed|viewing|are viewing|have favou?rited|recommend).*$",
    ),
    "social_media": (
        rf"(?:follow|like|find|join|connect with|friend|add|watch)(?: (?:us|me|"
        rf"him|her|them|our page))? (?:on|via|in|@) {_SITES}",
        rf"(?:share|post|tweet|save|send|pin|submit|bookmark)(?: (?:this|it|via|"
        rf"article|story|post|page|link|the|video|with|your|"
        rf"friends|thoughts|a))* (?:on|to|via|by|with|using|in) {_SITES}",
        r"(?:click to |please )?share (?:this|via|the)(?: (?:article|story|post|"
        r"page|entry|video|item|content|link|list|image))?:?$",
        r"^(?:share|tweet|retweet|pin it|pin|like|follow|repost|save|email|print|"
        r"copy link|share on|follow us|follow me|"
        r"sharing|share options|share & bookmark|add this|recommend|bookmark|digg "
        r"this|stumble|share it)"
        r"(?:[ |,·•/&:]{0,3}(?:share|tweet|retweet|pin it|pin|like|follow|repost|"
        r"save|email|print|this|copy link|more|"
        rf"comment|comments|reply|{_SITE}))*[:!]?$",
        rf"^{_SITES}(?: (?:share|icon|logo|page|link|more))*$",
        r"(?:like|follow) our (?:facebook|instagram|twitter) page",
        r"more sharing options|share options|opens? in (?:a )?new (?:window|tab)",
        r"don.?t forget to (?:like|share|subscribe)(?:,? (?:and|&) (?:like|share|subscribe))*",
    ),
    "sign_in": (
        r"(?:please |you must |you need to |you have to |you can )?(?:be )?(?:sign(?:ed)"
        r"?|log(?:ged)?)[ -]?in "
        r"(?:or (?:register|sign up|join|create an account|subscribe))?"
        r"(?: ?(?:to|in order to|first) (?:post|reply|comment|continue|view|leave|"
        r"vote|rate|see|read|access|add|like|report|save|"
        r"your account|download|participate))?(?: (?:a|this|the|your|or|more|reply|"
        r"comments?|content|article|"
        r"here|add|review|full))*",
        r"(?:sign|log)[ -]?(?:in|up|out|on)(?: (?:with|using|via|to|now|here|for "
        r"free|free|or|register|your account|"
        r"google|facebook|apple|twitter|email))*$",
        r"(?:create|open) (?:an?|your)(?: free| new)? account|(?:forgot|lost|reset)"
        r"(?: your| my)? (?:your )?password\??",
        r"(?:already|not(?: yet)?) (?:a |have an? |registered|an? )?(?:member|account|"
        r"subscriber|user)\??",
        r"don.?t have an account(?: yet)?\??|new (?:user|member|here|to [a-z0-9_]+)"
        r"\?|remember me|keep me (?:logged|signed) in",
        r"^(?:log ?in|register|sign up|sign in|my account|my profile|join|join "
        r"now|join (?:us|free|today)|username(?: or email)?|"
        r"password|register now|login / register|user ?name:?|password:?)(?: ?[|"
        r"/·] ?(?:log ?in|register|sign up|sign in|join))*$",
        r"this content is (?:for|available to) (?:members|subscribers) only|subscribers?,? "
        r"log ?in (?:for|to)",
    ),
    "read_more": (
        r"^.{0,3}(?:read|see|view|show|load|learn|find out|discover|get|watch|browse|"
        r"explore|click for|know|more)"
        r"(?: (?:the|our|all|full|complete|more|whole|rest|article|story|post|details|"
        r"info|information|stories|"
        r"articles|posts|here|now|on|about this|of|entry|this|results|comments|"
        r"options|products|photos|list|on this|topic|review|"
        r"news|in|reviews|items|text|version|next|less|replies|transcript|guide|report|details))+"
        r" ?(?:»|›|>|→|\.\.\.|…|\+|:)*$",
        r"\(?(?:continue reading|click here|tap here|read on|keep reading|read "
        r"more|learn more|find out more|see more|"
        r"view more|click through|read the full|read full|see the full|see full|"
        r"view full|view the full)"
        r"(?: (?:to|for) (?:read|see|view|find|get|learn|more|the|a|an|full|out|"
        r"complete|continue|details|information|"
        r"about|enlarge|download|join|register|story|article|list|expand|play|watch|free))*"
        r"(?: (?:article|story|post|review|list|entry|report|text|here|details|recipe))?\)?",
        r"^(?:more|details|more info|more information|expand|collapse|full story|"
        r"full article|full text|view|see all|view all|"
        r"show all|see details|view details|shop all|all|show more|show less|more\.\.\.|"
        r"click to expand|"
        r"view profile|view website|see more|show|hide|next article|go to article)"
        r"(?: ?[.…»›>→+])*$",
    ),
    "subscribe": (
        r"(?:subscribe|sign up|register|join|signup)(?: (?:now|today|here|free|"
        r"up))?(?: (?:to|for|our))?(?: (?:our|the|my|a|your|free|daily|weekly|"
        r"monthly|email|e-mail|mailing|rss|news|national|morning|post|blog|this|"
        r"via|latest|exclusive|[a-z0-9_]+))* (?:newsletters?|mailing list|e-?mails?|"
        r"alerts?|updates|feeds?|list|"
        r"channel|podcast|digest|magazine|comments|offers|blog|notifications|bulletin)",
        r"(?:get|receive|have)(?: (?:the|our|all|your|latest|daily|weekly|best|"
        r"top|free|more|of|new|breaking|exclusive|stories|news|"
        r"posts|updates|headlines|articles|email|alerts|and|day.?s|offers))* (?:delivered "
        r")?(?:straight |right |directly |sent )?"
        r"(?:(?:to|in|via|by) (?:your |my )?(?:e-?mail|inbox)|newsletter|alerts)",
        r"enter your e-?mail(?: address)?(?: (?:to|here|below)(?: (?:subscribe|"
        r"follow|receive|get|sign up))?)?",
        r"^(?:(?:e-?mail )?newsletters?|subscribe|subscribe (?:now|today|here|via "
        r"rss|by email|via email|to rss|to us)|subscriptions?|"
        r"subscriber|e-?mail alerts?|rss feeds?|unsubscribe|sign up for free|join "
        r"our mailing list|your e-?mail(?: address)?|"
        r"newsletter sign[- ]?up)[.!:]?$",
        r"(?:you can )?unsubscribe at any ?time|no spam(?:,? (?:ever|unsubscribe))?|"
        r"already (?:a )?subscribe[dr]\??|notify me of (?:new|follow-?up) (?:posts|"
        r"comments)(?: (?:via|by) e-?mail)?",
    ),
    "shop": (
        r"(?:add|added|move|save)(?: (?:item|all|this|it|selected))? to (?:my |"
        r"your |the |shopping )?(?:cart|basket|bag|trolley|wish ?list|compare|favou?rites|"
        r"registry|list)",
        r"^(?:buy|order|shop|book|rent|get)(?: (?:it|this|yours|one|tickets|online)"
        r")? (?:now|today|here|online)(?: (?:at|on|from|for) .*)?[!.]?$",
        r"(?:in|out of|low) stock|sold out|free (?:shipping|delivery|returns)(?: "
        r"(?:on|over)(?: (?:all|orders|over|us|\$?[0-9]+))*)?|"
        r"(?:view|proceed to|your|go to|shopping|continue to) (?:cart|basket|bag|"
        r"checkout)|continue shopping|quick ?(?:view|shop|buy|look)|compare(?: "
        r"products)?$",
        r"^(?:qty|quantity|sku|item no|regular price|sale price|special price|our "
        r"price|list price|price|you save|sale|availability|add to|was|now|from)"
        r"[.:]*(?: ?[$€£¥]? ?[0-9.,]+)?(?: (?:you save|regular price|special price)"
        r":? ?[$€£]?[0-9.,]+)*$",
        r"(?:customers|people) who (?:bought|viewed)(?: this)?(?: item)? also (?:bought|"
        r"viewed)|frequently bought together|recently viewed(?: items| products)"
        r"?|"
        r"write a review|(?:size|gift) guide$|select (?:a |your )?(?:size|colou?r|"
        r"options?)|choose (?:an option|options)|add to compare|notify me when",
        r"(?:\(?[0-9][0-9,]*\)? ?)?(?:[0-9]+ )?reviews? with an average rating "
        r"of [0-9.]+ out of [0-9] stars|rated [0-9.]+ (?:stars )?out of [0-9](?: "
        r"stars)?(?:\(?[0-9]*\)?)?",
    ),
    "comment_form": (
        r"^(?:leave|post|write|add|make|submit|be the first to)(?: (?:a|your|an|"
        r"new|first|to))* (?:comments?|reply|response|replies|answer|thoughts?)"
        r"(?: (?:below|here|cancel reply|on this (?:article|post|story)|anonymously|"
        r"now))*[.!:]?$",
        r"(?:click here to )?cancel reply|reply (?:to|with)(?: (?:this|quote|comment|"
        r"thread|parent|topic|post|private))+|"
        r"report (?:this|abuse|comment|post|as spam|inappropriate)(?: (?:comment|"
        r"post|ad|user))?|flag (?:as|this)(?: (?:inappropriate|comment|post|offensive)"
        r")?|"
        r"link to this(?: comment)?|permalink to this comment|please rate this "
        r"comment|view comments(?: on forum)?|"
        r"offensive\? unsuitable\?(?: report this comment)?|(?:recommend|was this "
        r"comment helpful)\? ?\(?[0-9]*\)?",
        r"^(?:[0-9]+ )?(?:[\[(]? ?)(?:comments?|reply|replies|quote|responses?|"
        r"reply to this|replydelete|reply delete|delete|edit|report|flag|like|recent "
        r"comments|"
        r"previous comments|load comments|loading comments|show comments|hide comments|"
        r"older comments|newer comments|permalink|link|"
        r"joined|posts|thread starter|log in to reply)(?: ?[\])]?)(?:[ |·•,\[\]()"
        r"/-]{1,3}(?:comments?|reply|quote|report|flag|like|link|share|edit|permalink|"
        r"delete|parent|top|"
        r"to|post reply|private reply|view replies|[0-9]+)(?: ?[\])]?))*[.…:]*$",
        r"your e-?mail (?:address )?will not be (?:published|shared|displayed)|"
        r"required fields are marked|"
        r"^(?:your )?(?:name|e-?mail|website|web ?site|url|comment|message|subject|"
        r"phone|first name|last name|email address|mail)"
        r"(?: ?(?:\*|:|\(?required\)?|\(?optional\)?|\(will not be (?:published|"
        r"shared)\)|\(not published\)))+$",
        r"(?:save|remember) my (?:name|personal information)(?:,? (?:e-?mail|and|"
        r"website|in|this|browser|for|the|next|time|i|comment))*|"
        r"comments (?:are|have been|for this thread are|for this (?:post|article|"
        r"entry) are) (?:closed|now closed|moderated|disabled|off|not allowed)|"
        r"no comments(?: yet)?|"
        r"(?:please )?(?:fill in|enter) (?:your|the) (?:details|name|captcha|code|"
        r"text)(?: (?:below|above))?",
    ),
    "navigation": (
        r"^(?:(?:go |back |return )+to (?:the )?(?:top|home|homepage|home page|"
        r"main page|list|index|previous page|search results|all [a-z0-9_]+|product|"
        r"project|site|blog|news)|"
        r"skip (?:to|navigation|over)(?: (?:the|main|primary))*(?: (?:content|navigation|"
        r"search|menu|footer))?|jump to(?: (?:content|navigation|search|:))?|"
        r"(?:main |primary |toggle |open |close |footer |top |site |mobile |sub)"
        r"?(?:menu|navigation)|search(?: (?:for|this site|site|the site|form|here|"
        r"results|box|by|our site))?[:.…]*|"
        r"you are here:?.*|site ?map|breadcrumbs?)$",
        r"^(?:home|homepage|about|about us|about me|contact|contact us|contacts|"
        r"privacy|privacy policy|cookie policy|terms|terms of (?:use|service)|"
        r"terms (?:and|&) conditions|legal(?: notice)?|imprint|disclaimer|faqs?|"
        r"help|help cent(?:er|re)|support|careers|jobs|press|press releases|media "
        r"kit|advertise|blog|news|"
        r"archives?|categories|tags|topics|sections|services|products|shop|store|"
        r"resources|events|forums?|community|members?|links|blogroll|meta|"
        r"pages|login|rss|feedback|accessibility|search|menu|subscribe|newsletter|"
        r"newsletters|gallery|photos|videos?|sports?|business|world|politics|"
        r"entertainment|technology|tech|science|health|travel|lifestyle|opinion|"
        r"education|culture|weather|local|national|classifieds|obituaries|real "
        r"estate|"
        r"autos|money|markets|podcasts?|games|all|more|close|back|next|previous|"
        r"english|do not sell my (?:personal )?info(?:rmation)?|manage preferences|"
        r"site ?map|mobile|apps|magazine|directory|calendar|our team|partners|editorial "
        r"(?:guidelines|policy)|cookies|dmca|follow us|social|account)"
        r"(?: ?[|/·•>»›,–-]{0,2} ?(?:home|about|about us|contact|contact us|privacy|"
        r"privacy policy|cookie policy|cookies|terms|terms of (?:use|service)|terms "
        r"(?:and|&) conditions|"
        r"legal(?: notice)?|disclaimer|faqs?|help|support|careers|jobs|press|advertise|"
        r"adchoices|blog|news|archives?|categories|services|products|shop|store|"
        r"resources|events|forums?|community|members?|links|login|log in|register|"
        r"sign in|rss|feedback|accessibility|search|menu|subscribe|newsletter|sports?|"
        r"business|world|politics|entertainment|technology|science|health|travel|"
        r"lifestyle|opinion|education|culture|weather|videos?|photos|site ?map|"
        r"mobile|"
        r"our team|partners|calendar|podcasts?|media|&|and))*$",
        r"^home ?(?:>|»|›|/|::|→|\|) .+$",
        r"^(?:[\p{L}& ]+ ?(?:>|»|›|→) ){2,6}[\p{L}&' -]+$",
    ),
    "image_label": (
        r"click (?:on )?(?:the |an |any |this |each )?(?:image|photo|picture|pic|"
        r"thumbnail|figure)?s? ?(?:above |below )?(?:to|for)(?: (?:a|see|view|the|"
        r"full|larger|large|bigger|get|high|hi))*"
        r" (?:enlarge|zoom|expand|version|size|view|image|resolution|res|photo|"
        r"picture|gallery|slideshow)",
        r"^(?:enlarge|view|zoom|expand|see|open|show|hide|toggle|download|launch|"
        r"play)(?: (?:this|the|full|larger|in|all|more|original|media|[0-9]+|image|"
        r"\W))* (?:image|photo|photos|picture|gallery|slideshow|slide show|caption|"
        r"full ?screen|size|modal)s?$",
        r"^(?:image|photo|picture|slide|figure|fig)s?(?: ?[0-9]+)?(?: ?(?:of|/) ?[0-9]+)?[.:]?$",
        r"^(?:loading )?image(?: (?:loading|not available|unavailable|not found|"
        r"coming soon|placeholder))+$|^no image(?: available)?$|^hide caption(?: "
        r"toggle caption)?$|"
        r"^\[?(?:image|photo|img|picture|graphic)\]?$|^previous(?: slide| image|"
        r" photo)?(?: ?[/|]? ?)next(?: slide| image| photo)?$",
        r"photo gallery:?|(?:see|view|more) (?:all )?photos(?: from this .*)?|(?:see|"
        r"view) (?:the )?(?:full )?(?:slideshow|gallery)",
    ),
    "credit": (
        r"^[(\[]?(?:photo(?:graph)?s?|images?|pictures?|illustrations?|video|graphics?|"
        r"cover|featured image|header image|credit|main image|feature image|all "
        r"(?:photos|images)|photography|"
        r"image source|photo source)(?: (?:credits?|source|courtesy|copyright))"
        r"?(?: of| by|:|/| via)+ ?.+[)\]]?$",
        r"^[(\[]?(?:(?:photo|image|picture) )?(?:credits?|courtesy)(?: of|:|/)+ ?.+[)\]]?$",
        rf"^[(\[]?(?:{_NAMES} ?(?:/|for|via|\|) ?)+(?:getty(?: images)?|ap(?: photo)"
        rf"?|afp|reuters|shutterstock|istock(?:photo)?|alamy|"
        rf"epa|bloomberg|flickr|unsplash|associated press|wireimage|file)(?:/.*)?[)\]]?$",
        r"^(?:getty images|ap photo|shutterstock(?:\.com)?|reuters|afp|file photo|"
        r"courtesy photo|stock photo)(?:[ /].*)?$",
    ),
    "source": (
        r"^(?:sources?|via|original(?:ly)? (?:source|published|appeared|posted)"
        r"|(?:first )?published (?:by|in|on|at)|adapted from|reprinted from|"
        r"this (?:article|story|post|piece|report)(?: was)?(?: has been)? (?:(?:originally|"
        r"first) )?(?:published|appeared|provided|posted|written|produced|syndicated)"
        r"(?: (?:in|on|by|at|from|with|for))*|reporting by|provided by|story provided "
        r"by|with (?:files|reporting) from|hat tip|h/t)"
        r"[: ] ?.+$",
        r"^\(?(?:cf\.|see also|with inputs from|inputs from) .+\)?\.?$",
    ),
    "citation": (
        r"^\[[0-9]{1,3}\] ?.+$|^\^ ?.+$|^↑ ?.+$",
        r"(?:retrieved|accessed|archived|last accessed|viewed)(?: from the original)"
        r"?(?: \(pdf\))?(?: on| from)? (?:" + _DATE + r")",
        r"doi:? ?10\.[0-9]{4,9}/[^\s]+|isbn(?:-1[03])?:? ?[0-9-]{9,17}x?|issn:? "
        r"?[0-9]{4}-?[0-9]{3}[0-9x]|pmid:? ?[0-9]+",
        r"^[\p{Lu}][\p{L}'’-]+,? (?-i:\p{Lu})\.?(?: ?(?-i:\p{Lu})\.?)*(?:,|;| &|"
        r" and)? .{10,200}\([0-9]{4}[a-z]?\)\.? .+$",
        r"^\([\p{Lu}][^()]+,? [0-9]{4}[a-z]?(?:[,:] ?(?:p\.? ?)?[0-9]+)?\)\.?$",
    ),
    "recommendation": (
        r"^(?:[>»•] ?)*(?:also |don.?t miss|related|relevant|similar|recommended|"
        r"suggested|popular|most(?: [a-z0-9_]+)?|more|latest|recent|featured|trending|"
        r"top|other|further|you (?:may|might|may also|might also|will|could|would)"
        r"|"
        r"editor.?s|up next|next up|next|must|see also|read also|also see|also "
        r"read|previous|recommended for you|related to this|more like)"
        r"(?: (?:articles?|stories|posts?|reading|content|news|links|topics|for "
        r"you|from|on|in|like this|by this author|from the web|around the web|from "
        r"this (?:author|section|topic|series)|this|also|"
        r"like|be interested in|enjoy|read|viewed|popular|commented|shared|emailed|"
        r"discussed|recommended|stories|picks?|choice|products|items|videos?|questions|"
        r"coverage|headlines|"
        r"entries|threads|discussions|resources|in this series|recipes|pages|jobs|"
        r"events|blogs|reviews|by|author|now|today|this week|here|up|interesting|"
        r"find|you|may|might|the|want to|see|reads|searches|tags|comments|and|&|"
        r"recent|features))+:?$",
        r"^(?:(?:>>? ?)?(?:related(?: (?:reading|article|story|post|news|links|"
        r"coverage|video|content|topics))?|read (?:also|next|more|this)|also read|"
        r"see also|also see|don.?t miss|"
        r"recommended(?: (?:reading|for you))?|more(?: from| on)?|up next|read "
        r"this next|you may also like|more on this(?: story)?|must read|further "
        r"reading|previously|watch (?:also|next|now)|"
        r"check out|next story|next post|previous post|previous article|next article|"
        r"trending)(?::| -| –|») ?.{3,120})$",
        r"^(?:previous|next|older|newer|prev)(?: (?:post|article|entry|entries|"
        r"posts|story|topic|thread|page|chapter|lesson))s?(?:[ |:»«→←]+(?:previous|"
        r"next|older|newer)(?: (?:post|article|entry|posts|story|topic|thread))"
        r"?s?)?$",
        r"you (?:may|might|might also|may also|will also) (?:also )?(?:like|be "
        r"interested in|enjoy|want to read)(?: these| this| the following| to read)"
        r"?:?",
        r"^things to do(?: in| near| around)?.*$|sponsored stories you may like|"
        r"from around the web",
    ),
    "page_tool": (
        r"^(?:print|email|e-mail|save|download|share|bookmark|report|listen|copy|"
        r"cite|send|text size|font size|pdf|printer[- ]friendly|print this|print "
        r"page|e-?mail this|decrease|increase)"
        r"(?: (?:this|page|article|story|friendly|version|link|pdf|post|to|a|friend|"
        r"text|size|print|email|as|it|share|save|comment|icon|reprints?|font|decrease|"
        r"increase|reset|default|[ata+-]))*"
        r"(?:[ |,/·]+(?:print|email|e-mail|save|share|pdf|bookmark|comment|reprints?|"
        r"rss|text size|this|page|article))*[:.]?$",
        r"(?:printer[- ]friendly|print(?:able)?)(?: (?:version|page|format|view)"
        r")|e-?mail (?:this|page|article|story)(?: (?:page|article|story|to))* "
        r"?(?:to )?(?:a )?(?:friend|colleague)|(?:send|recommend) (?:this|it) to "
        r"a friend|"
        r"(?:text|font) size:? ?(?:[a+-] ?)*|(?:order|request) reprints?|report "
        r"(?:a|an) (?:error|typo|correction|problem|mistake|broken link)|suggest "
        r"(?:an edit|a correction)|"
        r"(?:was|did you find) this (?:article|page|review|answer|information|post|"
        r"content|helpful|useful)+ ?(?:helpful|useful|interesting)?(?: to you)?\??(?: "
        r"?(?:yes|no|/|\([0-9]+\)))*|"
        r"(?:rate|like) this(?: (?:article|page|post|recipe|product|item|story|"
        r"comment))?:?$|(?:how (?:would|do) you rate|rate your experience)|give "
        r"(?:us )?feedback|"
        r"edit (?:this page|source)|view (?:source|history|all revisions)|improve "
        r"this (?:answer|question|page)|listen to this article|[0-9]+ people found "
        r"this (?:helpful|useful)",
        r"^\[ ?(?:edit|source|hide|show|view source|citation needed|top|close|loading|"
        r"x|permalink)(?: ?\| ?(?:edit|source|edit source))?(?: ?\.*) ?\]$|^(?:edit|"
        r"source|view|history|talk|discuss|edit source)(?: ?\| ?(?:edit|source|"
        r"view|history|talk|discuss|edit source))+$|^source §$",
    ),
    "cookie": (
        r"(?:we|this (?:web)?site|our (?:web)?site|our partners)(?: (?:and our "
        r"partners|may|also|only))* uses? (?:[a-z0-9_]+ ){0,3}cookies(?: (?:and "
        r"similar technologies|to|for|on|in|that)(?: [a-z0-9_,'’-]+){0,25})?",
        r"(?:accept|reject|allow|manage|decline|customi[sz]e|disable|enable)(?: "
        r"(?:all|necessary|my|only|essential|optional|our|non-essential))* (?:cookies?|"
        r"cookie (?:settings|preferences|consent))(?: (?:settings|preferences))"
        r"?|cookie (?:settings|preferences|consent|notice|policy|banner)",
        r"by (?:continuing|using|clicking|browsing|navigating)(?: [a-z0-9_'’,“”\"]+){0,12}?"
        r" (?:you )?(?:agree|consent|accept)(?: [a-z0-9_'’,-]+){0,15}? (?:cookies?|"
        r"privacy policy|terms(?: (?:of (?:use|service)|and conditions))?)(?:(?: "
        r"and| &|,) (?:our )?(?:cookies?|privacy policy|terms(?: of (?:use|service)"
        r")?))*",
        r"(?:your privacy|we (?:value|care about|respect) your privacy)|your privacy "
        r"(?:choices|rights|settings)",
    ),
    "copyright": (
        r"(?:copyright ?)?(?:©|&copy;|\(c\) ?(?:copyright|[0-9]{4})) ?(?:copyright "
        r"?)?(?:[0-9]{4}(?: ?[-–—] ?(?:[0-9]{2,4}|present))?)?,? ?(?:by )?[^.|©]*(?:\.|"
        r"\||$)",
        r"^copyright(?: ©| \(c\))?,? ?[0-9]{4}.*$",
        r"all rights reserved(?: worldwide)?|(?:unauthori[sz]ed )?(?:reproduction|"
        r"use|distribution|copying)(?: or (?:reproduction|use|distribution))?(?: "
        r"(?:of|in|this|whole|or|part|material|without|express|any))* (?:permission "
        r")?(?:is )?(?:strictly )?prohibited",
        r"(?:this (?:material|article|content|website|page) )?may not be (?:reproduced|"
        r"published|copied|republished|reprinted|broadcast|redistributed)(?:,? "
        r"(?:or )?(?:published|broadcast|rewritten|redistributed|reproduced|copied|"
        r"transmitted|distributed|reprinted|cached))*(?:,? (?:without|in (?:whole|"
        r"any)|except)(?: [a-z0-9_]+){1,10})?",
        r"(?:licensed|released|available) under (?:a |the )?(?:creative commons|"
        r"cc[ -]by)[a-z0-9_ .-]*|(?:registered )?trademarks? (?:of|are (?:the )"
        r"?property of)(?: (?:their|respective|its|the|owners?|[a-z0-9_]+)){1,6}",
        r"powered by (?:wordpress|drupal|blogger|vbulletin|phpbb|joomla|disqus|"
        r"shopify|ghost|discourse|xenforo|mediawiki|typepad|movable type)[a-z0-9_. "
        r"®™©-]*|(?:web ?site|theme|web|site|page) (?:design|designed|developed|"
        r"hosting|hosted|built|made)(?: (?:and|&) (?:developed|hosted|development|"
        r"maintained))? by.+$",
    ),
    "disclaimer": (
        r"(?:the )?(?:views|opinions|statements)(?:,? (?:and|or|views|opinions|"
        r"comments|thoughts))* (?:expressed|stated|presented|contained|given)(?: "
        r"(?:in|on|by|here|herein|within|this|the|article|post|blog|site|author|"
        r"website|page|column|are|comments?))* "
        r"(?:(?:are )?(?:solely )?(?:those|my own|the author.?s|their own)|do not "
        r"(?:necessarily )?(?:reflect|represent))[^.]*\.?",
        r"(?:(?:the )?(?:information|content|material)s?(?: (?:provided|contained|"
        r"presented|on|in|here|herein|this|the|our|site|website|page|article|is|"
        r"are|and|blog))* )?(?:for|intended for)(?: (?:general|your|educational|"
        r"and|or))* (?:informational?|information|educational|entertainment)(?: "
        r"(?:and|or) (?:educational|entertainment|informational))? purposes(?: "
        r"only)?[^.]*\.?",
        r"(?:does not|not|nor) (?:intended )?(?:to )?(?:constitute|be construed "
        r"as|be (?:considered|taken as)|a substitute for|provide)(?: (?:any|an|"
        r"a|as|professional|legal|medical|financial|investment|tax|or|offer|solicitation|"
        r"endorsement))+ (?:advice|recommendation|endorsement|diagnosis|treatment)"
        r"s?[^.]*\.?",
        r"^(?:disclaimer|legal disclaimer|affiliate disclosure|disclosure|important "
        r"notice|risk warning|editor.?s note|please note)[:.]? ?.*$",
        r"(?:we|the (?:author|publisher|company|editors?)|[a-z0-9_]+) (?:are|is|"
        r"assumes?|accepts?|takes?)(?: (?:not|no))* (?:responsible|responsibility|"
        r"liable|liability)(?: (?:for|or|and|whatsoever|liability|responsibility|"
        r"the|any|content|of|external|sites?|websites?|internet|errors|omissions|"
        r"losses|damages?))+|(?:past performance|use at your own risk)[^.]*",
    ),
    "thanks": (
        r"^(?:many )?(?:thanks|thank you)(?: (?:so much|very much|again|all|everyone|"
        r"you|a lot))*(?: (?:for|to)(?: (?:reading|visiting|watching|stopping|your|"
        r"the|all|our|listening|subscribing|following|sharing|support|by|my|us|"
        r"visit|this|being|joining|interest|readers|[a-z0-9_]+)){0,8})?[!.:) ]*$",
        r"(?:we )?hope (?:you|that|this)(?: (?:you|have|article|post|helps?|was|"
        r"enjoyed|liked|like|this|the|helpful|helped|guide|found|it|useful|tutorial)"
        r")+[!.]*$|"
        r"^(?:happy|until next time|see you (?:next|soon|in the next)|stay tuned|"
        r"have a (?:great|nice|good) (?:day|week|weekend))[a-z0-9_ ,]*[!.]*$|"
        r"let (?:us|me) know (?:what you think )?(?:in|your) (?:the )?(?:comments?|"
        r"thoughts)(?: (?:below|section))*|(?:leave|drop) (?:us )?a (?:comment|"
        r"line) below|what do you think\?? (?:let us know|tell us|leave a comment|"
        r"share your)[a-z0-9_ ]*",
        r"(?:if you (?:enjoyed|liked|like|found)[^.]*,? )?(?:please )?(?:consider "
        r")?(?:sharing|share) (?:it|this)(?: [a-z0-9_]+)?(?: (?:with|on)(?: [a-z0-9_]+){1,5})",
    ),
    "script_notice": (
        r"(?:please )?(?:enable|turn on|activate) (?:javascript|cookies|flash)(?: "
        r"(?:in|on|to|and|your|browser|view|continue|use|this|site|page|settings|"
        r"properly|comments|powered|the|by|disqus))*",
        r"(?:javascript|flash(?: player)?|cookies|iframes?)(?: (?:is|are|must|seems?|"
        r"to|be|not|appears|currently))+ (?:disabled|required|enabled|turned off|"
        r"supported|needed|installed)(?: (?:in|on|by|your|browser|to|for|this|site|"
        r"view|use|the|full|functionality|of))*",
        r"(?:your|this|you are using an? (?:outdated|old|out of date|unsupported)"
        r") (?:web )?browser(?: (?:does not|doesn.?t|is not|isn.?t|may not|is|no "
        r"longer|version|out|of|date|not|currently))*(?: (?:support(?:s|ed)?|display|"
        r"outdated)(?: (?:the|this|html5?|video|audio|iframes|inline|frames|javascript|"
        r"tag|element|it|or|other|websites|correctly|by|our|site))*)?",
        r"^[\[(]? ?(?:loading|please wait|processing|redirecting|searching|updating|"
        r"submitting)(?: [a-z0-9_]+){0,3} ?(?:\.\.\.|…|\.)* ?[\])]?$|^(?:an error "
        r"(?:has )?occurred|something went wrong|page not found|404|access denied|"
        r"it looks like something went wrong)[a-z0-9_ ,.!]*$|^(?:undefined|null|"
        r"nan|none|\[object object\]|n/a|tbd|todo)$",
        r"(?:you (?:need|must have)|get|download|install)(?: to| the)?(?: (?:latest|"
        r"have|install|upgrade|newest|version|of|your))* (?:adobe )?flash(?: player)"
        r"?|checking (?:your browser|if the site connection is secure)|verify (?:that "
        r")?you are (?:a )?human|enter the (?:characters|code|captcha)",
    ),
    "video": (
        r"^\[?(?:video|watch|play|audio|playlist)(?: (?:the|this|a|below|full|our|"
        r"clip|player|video|now|live|above|here|next|trailer|interview|later|highlights|"
        r"unavailable|is|loading|stream))*\]?(?: ?[.:…!»>]*)$",
        r"(?:watch|see|view|play|check out) (?:the|this|our|a|full)(?: (?:full|"
        r"video|clip|below|short|live|official|new))* (?:video|clip|trailer|livestream|"
        r"footage|episode)(?: (?:above|below|here|now|of|on|to|for|and|about))*(?: "
        r"(?:youtube|more))?|(?:click|tap)(?: (?:here|on|the|play|arrow|button|"
        r"image))* to (?:play|watch)(?: (?:the|this|video))*|unmute|"
        r"video (?:player|is|unavailable|loading|not available|cannot be played|"
        r"will (?:start|play))(?: [a-z0-9_.]+){0,6}|this (?:video|content) (?:is|"
        r"has been) (?:unavailable|not available|private|removed)(?: [a-z0-9_.]+){0,6}|"
        r"(?:current|remaining) time ?-?[0-9:]+|playback (?:speed|rate)|(?:hide|"
        r"show) transcript|autoplay (?:is )?(?:on|off)?",
    ),
    "page_turn": (
        r"^(?:(?:go to )?page:? ?)?[0-9]+ ?(?:of|/) ?[0-9]+(?: pages?)?(?: ?(?:next|"
        r"prev(?:ious)?|first|last|»|›|>|«|‹|<))*$|^pages?:? ?(?:[0-9]+ ?(?:\||"
        r",|\.\.\.|…)? ?)+(?:next|last|»|›|>)*(?: ?[0-9]+)*$",
        r"^(?:[«‹<←|\[] ?)*(?:(?:first|prev(?:ious)?|next|last|older|newer|back)"
        r"(?: page| posts?| entries| slide| chapter)?(?: ?[0-9]+)?(?: ?[|/»›>«‹<→←•·,.\]\[-"
        r"]+ ?)*(?:[0-9]+ ?(?:\||,|\.\.\.|…|\.\.)? ?)*)+(?: ?[»›>→|\]])*$",
        r"^(?:\[?[0-9]{1,3}\]? ?(?:\||,|·|\.\.\.|…|\.\.)? ?){2,20}(?:next|last|"
        r">|»|›|all)(?: ?(?:page|last|>|»|›))*$|^(?:show(?:ing)?|results?|displaying|"
        r"viewing|items?)(?: [a-z0-9_]+)? ?[0-9]+ ?(?:-|–|to|through) ?[0-9]+ (?:of|"
        r"out of)(?: about)? [0-9,]+(?: [a-z0-9_]+){0,3}\.?$",
        r"^continued? (?:on|from|to) (?:the )?(?:next )?page.*$|^jump to (?:page|top).{0,10}$",
    ),
    "keyword_line": (
        r"^(?:tags?|tagged(?: (?:with|as|in|under))?|key ?words?|filed (?:under|"
        r"in|as|to)|categor(?:y|ies)|posted (?:in|under)|topics?|labels?|related "
        r"(?:topics|tags|subjects)|technorati tags|subjects?|more on|section|"
        r"read more about|in this article|explore more on(?: these topics)?|browse "
        r"by tag)(?: ?[:：»|–-]| (?-i:[#\p{Lu}])).*$",
        r"^(?:#[\p{L}0-9_]+[ ,]*){2,}$",
        r"^[\p{L}0-9&.+' -]+ \([0-9]{1,5}\)$",
    ),
    "placeholder": (
        rf"(?:lorem ipsum|dolor sit amet|consectetu?r adipisci|ut enim ad minim|"
        rf"duis aute irure|excepteur sint)(?:[ ,.;]+{_LOREM})*",
        r"(?:insert|add|enter|your)(?: (?:your|some|the|a))? (?:text|title|content|"
        r"headline|description|caption|subtitle|heading)(?: (?:goes|here|text))"
        r"+|this is (?:a |some )?(?:sample|dummy|placeholder|example|filler) (?:text|"
        r"content|page|paragraph)[^.]*|"
        r"^(?:hello world!?|sample page|just another wordpress site|coming soon!?|"
        r"under construction|untitled(?: document)?|content goes here|description "
        r"goes here|test post|new page)[.!]*$|welcome to wordpress\. this is your "
        r"first post[^.]*\. ?(?:edit or delete it[^!.]*[!.])?",
    ),
    "download": (
        r"(?:click (?:here )?to |free |you can )?download(?: (?:the|our|this|a|"
        r"it|now|free|full|your|here|as|in|pdf|app|file|files|latest|version|or|"
        r"and|print|brochure|ebook|e-book|here|today|mobile|ios|android|installer|"
        r"for|from|on|mirror|link|article|report|[a-z0-9_]+)){0,6}? "
        r"(?:pdf|apps?|now|here|file|brochure|ebook|guide|link|links|mirror|free|"
        r"brochure|installer|wallpaper|version|app store|google play|android|ios|"
        r"mp3|epub|report|template|article|citation|image|attachments?)[!.»]*",
        r"^(?:free )?downloads?(?: (?:now|here|links?|free|pdf|file|file here|page|"
        r"options?|size))*:?(?: ?\(?[0-9.,]+ ?[kmg]b\)?)?$|available (?:now )?on "
        r"(?:the )?(?:app store|google play)(?: (?:and|&) (?:google play|app store)"
        r")?|get (?:it|the app) on (?:google play|the app store)|get (?:the|our)"
        r" (?:free )?(?:mobile )?app(?: (?:now|today))?",
        r"^.+\.(?:pdf|zip|docx?|xlsx?|rar|exe|dmg|tar\.gz|mp3) ?\(?(?:[0-9][0-9.,]* "
        r"?[kmg]i?b)\)?$",
    ),
    "fraud": (
        r"(?:earn|make)(?: up to)? \$?[0-9,]+(?:k)? ?(?:dollars )?(?:(?:a|per|every|"
        r"each) (?:day|week|hour|month)|daily|weekly|hourly)(?: (?:from home|online|"
        r"working from home|with no experience))*|work from home (?:and|&) (?:earn|"
        r"make) [a-z0-9_ $]+|"
        r"(?:guaranteed|100% (?:free|guaranteed|legit)|risk[- ]free) (?:profit|"
        r"returns?|win(?:nings)?|income|approval|results)|you(?:.ve| have)? (?:been "
        r"selected|won)(?: [a-z0-9_]+){1,8}|"
        r"(?:cheap|buy|order|generic|discount)(?: (?:cheap|online|generic|discount|"
        r"no prescription))* (?:viagra|cialis|xanax|tramadol|levitra|phentermine|"
        r"valium|ambien|followers|likes|backlinks|essays?)(?: (?:online|no prescription|"
        r"without prescription|cheap|overnight|now|uk|usa))*|"
        r"(?:online|best|free|top|no deposit|live) (?:casino|poker|slots?|gambling|"
        r"betting)(?: (?:online|games|bonus(?:es)?|sites?|free|slots?|no deposit|"
        r"spins))*|payday loans?(?: (?:online|no credit check|bad credit))*|no "
        r"credit check|(?:free|fake|replica|cheap)(?: [a-z0-9_]+)? (?:rolex|louis "
        r"vuitton|gucci|handbags|watches|jerseys|ray bans)(?: (?:online|outlet|"
        r"sale|cheap|for sale))*|send (?:bitcoin|btc|eth) to",
    ),
    "encyclopedia": (
        r"^\[ ?(?:edit|edit source|citation needed|clarification needed|hide|show)"
        r"(?: ?\| ?edit source)? ?\]$|^from wikipedia,? the free encyclopedia$|"
        r"^jump to:? ?navigation,? ?search$|this (?:article|section|biography)(?: "
        r"about [a-z0-9_ ,'’-]+)? is a stub\.?(?: you can help [a-z0-9_ ]+ by expanding "
        r"it\.?)?|"
        r"^this (?:article|section) (?:needs|does not cite|may (?:require|need)"
        r"|has multiple issues|possibly contains|relies)[^.]*\.?.*$|please help "
        r"(?:to )?improve (?:it|this article|this section)[^.]*\.?|^(?:retrieved "
        r"from|this page was last (?:edited|modified)).*$|^for other (?:uses|people)"
        r"[^.]*, see .+\.?$|^(?:hidden )?categories: .*$",
    ),
    "suffix": (
        r"^[\[(* -]*(?:the end|end|ends|fin|more to come|to be continued|continued|"
        r"via email|sent from my [a-z0-9_]+(?: [a-z0-9_]+)?|developing(?: story)"
        r"?|this (?:is a )?(?:developing|breaking) (?:news )?story.*|-30-|###|eom|"
        r"updated)[\])* .!-]*$",
        r"^(?:\[?reporting|editing|writing|additional reporting|compiled|translated|"
        r"produced) (?:and (?:writing|editing|reporting) )?by [^.]{3,160}(?:[;.\])"
        r"] ?(?:editing|writing|additional reporting) by [^.]{3,80})*[.\])]*$",
    ),
}

CHINESE: dict[str, tuple[str, ...]] = {
    "advertisement": (
        r"^[\[【(（ ]*(?:廣告|广告|推广|推廣|赞助(?:内容|商)?|贊助|商业推广|AD)[\]】)） :：]*$",
        r"(?:广告|廣告)(?:也精彩|位招租|合作(?:请|热线)?|投放|服务|意見與建議|與"
        r"我無關|令我不安|后继续阅读)",
        r"(?:我不斷看到這個|為什麼顯示這個|為什麼你不喜歡這個|关闭(?:此)?|跳过|"
        r"屏蔽)(?:廣告|广告)[？?]?",
        r"^(?:广告|推广|廣告) ?[^。]{4,40}$",
        r"本文(?:含有|包含|为)(?:商业)?(?:广告|推广)(?:内容|链接|信息)?",
        r"(?:点击|輕觸|点此)(?:广告)?(?:了解|领取)(?:更多)?(?:优惠|福利|红包)|限"
        r"时(?:优惠|抢购|特惠)|618钜惠来袭",
    ),
    "sponsor": (
        r"^(?:赞助(?:商|单位)|贊助單位|主办(?:单位)?|承办(?:单位)?|协办(?:单位)"
        r"?|支持单位|合作(?:伙伴|媒体|单位)|友情链接|战略合作)[:：]?.*$",
        r"(?:觉得|如果)[^。]*(?:文章|内容)[^。]*(?:打赏|赞赏)(?:一下|支持)?|(?:赞"
        r"赏|打赏)(?:作者|支持|码)|喜欢作者",
    ),
    "adult": (
        r"(?:成人|色情|情色|黄色)(?:电影|視頻|视频|網站|网站|小说|小說|图片|直播|论坛|漫画|片)",
        r"(?:裸聊|约炮|一夜情(?:交友)?|援交|包夜|全套服务|上门服务|小姐服务|同城"
        r"约(?:会|炮)|无码(?:高清)?|有码|av女优|a片|口爆|颜射|内射|人妻(?:少妇)"
        r"?|乱伦|制服诱惑|巨乳|做爱视频|激情视频|欧美性爱|美女裸体)",
        r"(?:未满|未滿)(?:18|十八)(?:岁|歲)[^。]*(?:禁止|请勿|請勿|离开|離開)(?:入"
        r"内|进入|進入|浏览)?",
    ),
    "byline": (
        rf"^[\[【(（]*(?:本报|本网|见习|特约|新华社|中新社|通讯员|实习生|中国青"
        rf"年报·中青在线|本刊|特派|首席)*(?:记者|記者|通讯员|作者|撰文|撰稿|文|"
        rf"编辑|編輯|责编|责任编辑|責任編輯|主编|实习编辑|实习生|编译|翻译|译者"
        rf"|校对|整理|出品|策划|监制|执行编辑|值班编辑|审核|作 ?者|文字|采写|编"
        rf")[ :：/／丨|]+ ?{_HAN_NAMES}"
        rf"(?:[ ,，;；/|]*(?:记者|通讯员|编辑|責任編輯|责编|责任编辑|文|图|摄|校"
        rf"对|审核|来源|发自|摄影|主编|监制|值班编辑|实习生)[ :：/／]* ?{_HAN_NAMES})"
        rf"*[\]】)） ]*$",
        rf"^[\[【(（ ]+(?:责任?编辑?|編輯|编辑|责编|校对|实习编辑|作者|记者|总台"
        rf"央视记者|央视记者|见习记者|完|作者单位|值班编辑|审核)[ :：]*{_HAN_NAMES}(?:[ "
        rf",，、;；]+.*)?[\]】)） ]+$",
        rf"^(?:新华社|本报|人民日报|中新社|央视|财新)?记者 ?{_HAN_NAMES}(?: ?报"
        rf"道| ?摄)?$|^(?:作者|编辑|責任編輯|责任编辑|责编|撰文|记者)[ :：丨|/]+[^。"
        rf"，,]+$",
    ),
    "timestamp": (
        rf"^(?:(?:发布|發布|发表|更新|创建|编辑|修改|发帖|注册|最后登录|上传|最"
        rf"后修改|报道)?(?:时间|時間|日期|于|於)?[:：]? ?)?(?:{_HAN_DATE})(?: ?(?:星"
        rf"期|周|週)[一二三四五六日天])?(?: ?(?:上午|下午|凌晨|晚上)?{_CLOCK}| "
        rf"?[0-9]{{1,2}} ?[点时時](?:[0-9]{{1,2}} ?分)?)?(?: ?(?:更新|发布|发表"
        rf"))?$",
        r"^(?:发布|發布|发表|更新|最后更新|编辑|修改)?(?:于|於|时间)?[:：]? ?(?:[0-9]+ "
        r"?(?:秒|分钟|分鐘|小时|小時|天|周|週|个月|個月|年)前|刚刚|昨天|今天|前"
        r"天)(?: ?[0-9]{1,2}:[0-9][0-9])?(?: ?(?:更新|发布|发表|回复))?$",
        r"^(?:发布|發布|发表|更新|创建|修改|上传|录入|添加|出版|上线)(?:时间|時"
        r"間|日期|于|於)[:：] ?.+$",
        rf"^(?:{_HAN_DATE}) ?(?:{_CLOCK})? ?(?:来源|來源)[:：] ?[^。，]+$",
    ),
    "contact": (
        r"(?:联系|聯絡|聯繫|咨询|諮詢|客服|服务|投诉|举报|报名|订购|订票|热线|游"
        r"客咨询|值班|新闻|销售|招商|加盟)?(?:电话|電話|热线|熱線|手机号?|傳真|"
        r"传真|邮箱|郵箱|邮编|信箱|QQ群?|微信号?|TEL|Tel)[:：号]? ?\+?[0-9(（][0-9 "
        r"()（）*、/转-]{5,40}",
        r"^(?:联系(?:我们|方式|人|邮箱)|聯絡我們|商务合作|投稿(?:邮箱|信箱)|新闻"
        r"热线|客服(?:电话|中心)|在线客服|地址|邮箱|E-?mail|通讯地址|联系地址|公"
        r"司地址)[:：]?.*$",
        r"(?:爆料|投稿|报料|新闻线索)(?:请|可)?(?:联系|发送?至|加|拨打|邮箱|热线|电话)[^。]*",
    ),
    "url": (
        r"(?:网址|網址|链接|連結|原文(?:链接|地址)|本文(?:链接|地址|网址|永久链"
        r"接)|官网|项目地址|转载链接|来源链接|永久链接|本页(?:地址|链接))[:：]+ "
        r"?\S*",
        r"^[一-鿿]{0,8}[:： ]{0,2}(?:https?://|www\.)\S+$",
    ),
    "social_counter": (
        r"(?:阅读|閱讀|浏览|瀏覽|点击|點擊|观看|播放|评论|評論|回复|回覆|跟贴|点"
        r"赞|點讚|赞|贊|喜欢|收藏|分享|转发|转载|围观|人气|参与|关注|粉丝|帖子|"
        r"文章|积分|获赞|下载|推荐|顶|踩|查看)(?:数|次数|量|数量)?[ :：(（+]{0,3}[0-9][0-9."
        r",]*(?:万|億|亿|千|k|w)?\+?[)）]?(?:次|人|条|篇)?",
        r"[0-9][0-9.,]*(?:万|亿|千|k|w)?\+? ?(?:次|人|条|條|个|位|篇)?(?:网友|用"
        r"户|读者)?(?:阅读|閱讀|浏览|瀏覽|观看|次播放|播放|评论|評論|回复|跟贴|"
        r"点赞|赞同|赞|喜欢|收藏|分享|转发|围观|参与|关注|粉丝|觉得(?:很)?(?:赞"
        r"|有用)|回答|访问|推荐|想问|贴)",
        r"^\|?[+＋]?[0-9]+(?:[ |]*(?:赞|踩|顶|回复|举报|评论|分享|收藏)[+＋]?[0-9]*)"
        r"+$|^[+＋]?[0-9]+(?:顶|踩|赞)(?:[+＋]?[0-9]+(?:顶|踩|赞))*$|^[0-9]+任务"
        r"$",
    ),
    "social_media": (
        rf"(?:分享|转发|轉發|推荐|收藏|同步)(?:到|至|给|給|本文到|文章到)?[:： "
        rf"]{{0,2}}{_HAN_SITES}",
        rf"^(?:{_HAN_SITES}|分享|转发|收藏|复制链接|打印|分享到[:：]?|分享至[:："
        rf"]?|分享本文|一键分享|更多分享|朋友圈|点赞|关注|已关注|取消|分享给好友"
        rf"|举报|[| ])+$",
        r"(?:欢迎|歡迎|请|記得|记得|点击|點擊|赶快|长按|快来)?(?:扫描|掃描|长按"
        r"|识别|扫一扫|微信扫一扫|扫码)[^。]*(?:二维码|公众号|關注|关注|下载|分"
        r"享|手机(?:打开|看)|小程序|打开当前页|添加|登录)[^。]*",
        r"(?:欢迎|歡迎|请|敬请|点击|长按|搜索)?(?:关注|關注|订阅|訂閱)(?:我们|我"
        r"們|本|我的|官方|微信|新浪|腾讯|微博|公众|号|頻道|频道|“|”|[a-z0-9_]){0,12}(?:公"
        r"众号|公眾號|微信|微博|订阅号|頻道|频道|客户端|视频号|粉絲團|账号|官方"
        r"账号)",
        r"(?:微信扫一扫|打开微信|点击右上角(?:即可)?(?:分享|微信好友)|使用[“\"]扫"
        r"一扫[”\"])[^。]*|官方(?:微信|微博|公众号)(?:二维码)?|按(?:讚|赞)(?:加"
        r"入|关注)?[^。]*粉絲團?",
        r"喜欢(?:本文|这篇文章|的话)?[^。]*(?:请|就|记得)?(?:点赞|点个赞|收藏|转"
        r"发|分享|在看)[^。]*|(?:点赞|收藏|转发|在看|关注)(?:、|，|\+|和|加)(?:点"
        r"赞|收藏|转发|在看|关注|评论)[^。]*",
    ),
    "sign_in": (
        r"(?:请|請|您|你|需要|需|先|后|後|尚未|还未|立即|马上|用户|账号|帐号|會"
        r"員|会员|快速|免费|手机|验证码|已有(?:账号|帐号)|没有(?:账号|帐号)|[，"
        r",？?！! /|])*(?:登录|登錄|登入|登陆|注册|註冊|注冊)(?:/|或|并|后|後|以"
        r"|可|才能|即可|查看|发表|發表|评论|評論|更多|内容|回复|回覆|全文|继续|"
        r"下载|阅读|参与|会员|账号|帐号|用户|新用户|登录|注册|立即|一个|享受|登"
        r"入|/|\||，|,| |！|!){0,12}",
        r"忘记(?:了)?密码[？?]?|找回密码|记住(?:我|密码)|(?:用户名|用戶名|账号|"
        r"密码|验证码|获取验证码|手机号)[:：]?$|下次自动登录|游客[，,]?(?:您好|"
        r"你好)?|新手上路|注册会员|距离下一级还需 ?[0-9]+ ?积分|您(?:需要|还没有"
        r"|还未)登录[^。]*|微信登录|qq登录|^退出(?:登录)?$",
    ),
    "read_more": (
        r"(?:点击|點擊|點此|点此|戳|请|更多|查看|阅读|閱讀|展开|展開|浏览|了解|"
        r"进入|加载|顯示|显示|收起)+(?:此处|这里|這裡|下方|下面|左下角|“|”|查看"
        r"|阅读|閱讀|全文|原文|更多|全部|详情|詳情|余下|剩余|內容|内容|链接|連結"
        r"|新闻|精彩|文章|评论|图片|详细|完整|版|进入|了解|加载|展开|专题|回复|"
        r">|》|»|…|\.){1,8}$",
        r"^[\[【(（［<《 ]*(?:详细|詳細|更多|全文|原文|详情|阅读全文|閱讀全文|繼"
        r"續閱讀|继续阅读|查看全文|查看更多|查看详情|展开全部|展开全文|展开|收起"
        r"|阅读原文|閱讀原文|了解更多|更多内容|更多精彩|加载更多|点击加载更多|more|"
        r"MORE)[\]】)）］>》»›…。.+ ]*$",
        r"(?:更多(?:精彩)?(?:内容|资讯|新闻|信息|报道|文章|详情|细节)[^。]*(?:请"
        r"|尽在|敬请|，|,)[^。]*)|(?:点击|點擊)(?:进入|查看|阅读|這裡|这里|下载"
        r"|链接|專題|专题)[^。]*$|详情请(?:点击|见|看|查看)[^。]*|未完待续|(?:欲"
        r"知|想了解)(?:更多|详情)[^。]*",
    ),
    "subscribe": (
        r"(?:订阅|訂閱)(?:我们|本站|邮件|電子報|电子报|RSS|更新|资讯|新闻|周刊|"
        r"杂志|频道|頻道|本刊|推送|专栏|成功|栏目|[:：]){0,5}|(?:邮件|免费)订阅"
        r"|輸入(?:您的)?(?:電子郵件|Email|email)[^。]*|输入(?:您的)?(?:邮箱|电子"
        r"邮件)[^。]*|第一时间(?:获取|收到|接收)[^。]*(?:推送|资讯|更新|消息)|(?:取"
        r"消|退)订阅?",
        r"(?:下载|打开|使用|安装)(?:[\p{Han}a-z0-9_]{0,8})(?:APP|App|app|客户端"
        r")(?:[，,]?(?:查看|阅读|享受|看|体验|参与|获取)[^。]*)?|APP内(?:打开|查"
        r"看|阅读)|无需下载APP|精彩内容随时看",
    ),
    "shop": (
        r"(?:加入|放入|添加到?)(?:购物车|購物車|收藏夹?|對比|对比|我的收藏|愿望"
        r"清单)|(?:立即|马上|立刻|去|點此|点击)(?:购买|購買|抢购|下单|预订|預訂"
        r"|订购|付款|结算|充值|支付|领取|领券|投保|咨询|体验|报名)",
        r"(?:全场|全國|全国|满[0-9]+(?:元)?|部分地区)?(?:包邮|免运费|免運費|免邮"
        r")|(?:货到付款|七天无理由退换?货?|7天无理由|正品保证|正品保障|假一赔十"
        r"|售后服务|库存(?:充足|紧张)?|現貨|现货|缺货|已售罄|售罄|月销量?|累计评"
        r"价|商品评价|宝贝详情|商品详情|规格参数|购买咨询|猜您喜欢)(?:[:： ]?[0-9]*件"
        r"?)?",
        r"^(?:市场价|原价|现价|促销价|售价|特价|会员价|优惠价|参考价|商城价|需支"
        r"付|价格|建议售价|券后价|到手价)[:：]? ?[¥￥]?[0-9][0-9.,]*(?:元|起|/件"
        r")?(?: ?(?:市场价|原价|现价|促销价|省|折扣|立省|销量)[:：]? ?[¥￥]?[0-9.,]*元"
        r"?)*$|^(?:[¥￥] ?[0-9][0-9.,]*)(?: ?[¥￥] ?[0-9][0-9.,]*| ?起| ?元)*$|"
        r"^数量[:：]? ?[0-9]*$|^(?:红包个数|钱包余额|当前余额)[^。]*$",
    ),
    "comment_form": (
        r"^(?:我要|我来|欢迎|點此|点击|快来|请|發表|发表|添加|写|最新|热门|热|网"
        r"友|精彩|全部|查看|相关|用户|更多|展开|收起|抢|所有|暂无|共|[0-9]|条|條"
        r"|篇|[ :：|(（])*(?:评论|評論|跟帖|跟贴|回复|回覆|留言|回帖|沙发|点评|"
        r"评价)(?:列表|区|数|一下|内容|框|须知|功能|已关闭|[0-9]|条|吧|\(|\)|（"
        r"|）|[:：>》!！。 |]|举报|引用|投诉|支持|反对|赞|收起|回复|发表|只看楼"
        r"主|只看该作者|楼主|倒序浏览|管理|删除|编辑)*$",
        r"(?:文明上网|理性发言|文明发言|网友评论仅供|网友评论只代表|评论仅代表|"
        r"请遵守|友善发言|评论(?:内容)?仅代表|发言请遵守|禁止发表)[^。]*|(?:还可"
        r"以|您还可以|还能)输入 ?[0-9]* ?(?:个)?字|最多(?:可)?输入 ?[0-9]+ ?字|"
        r"该(?:评论|楼层|帖子|回答|内容|用户)(?:已|疑似|被|违规|删除|系统|折叠|"
        r"作者|屏蔽){1,5}[^。]*|暂时没有评论|还没有人?评论|抢(?:沙发|首赞)|已(?:赞"
        r"过|踩过|采纳)[<> ]?|你对这个回答的评价是[？?]?",
        r"^[|@# ]*(?:[0-9]+ ?(?:楼|樓|#)|楼主|樓主|层主|沙发|板凳|地板)? ?(?:只"
        r"看该作者|只看楼主|倒序浏览|回复|回覆|引用|举报|舉報|顶|踩|赞|支持|反对"
        r"|收起|投诉|私信|关注|加好友|发消息|点赞|编辑|删除|查看此楼|隐藏此楼|道"
        r"具|使用道具|收藏|分享|提交|取消|发布|发送|确定|评分|使用道具 举报)(?:[ "
        r"|/·()（）0-9]*(?:只看该作者|回复|引用|举报|顶|踩|赞|支持|反对|收起|投"
        r"诉|私信|分享|收藏|道具|使用道具|关注|点赞|评论|删除|编辑|提交))*(?:[ "
        r"(（]*[0-9]*[)） ]*)$|(?:发表|發表)(?:于|於|在) ?[0-9]{4}[-/年]\S+(?: "
        r"[0-9][0-9]:[0-9][0-9](?::[0-9][0-9])?)?|(?:悄悄話|私密回覆|於 ?[0-9]{4}/[0-9]+/[0"
        r"-9]+ [0-9]+:[0-9]+ ?回覆)",
    ),
    "navigation": (
        r"^[|>»›·\[\]【】/ -]*(?:首页|首頁|网站首页|返回首页|回首頁|回到首页|主"
        r"页|关于我们|關於我們|关于本站|联系我们|聯絡我們|网站地图|網站地圖|网站"
        r"导航|版权声明|隐私政策|隱私(?:權)?政策|服务条款|服務條款|用户协议|使用"
        r"条款|免责声明|法律声明|广告服务|廣告服務|广告合作|商务合作|加入我们|诚"
        r"聘英才|招聘信息|人才招聘|意见反馈|帮助中心|幫助中心|使用帮助|常见问题"
        r"|设为首页|加入收藏|收藏本站|返回顶部|回到顶部|TOP|返回列表|返回上一页"
        r"|返回|← 返回|手机版|电脑版|客户端|登录|注册|搜索|搜尋|站内搜索|English|"
        r"english|英文版|繁體|繁体|简体中文|RSS|网站声明|公司简介|公司介绍|本站"
        r"简介|诚征英才|友情链接|站点地图|举报中心|违法和不良信息举报|不良信息举"
        r"报|隐私权政策|隐私权|市场合作|投诉与建议|使用百度前必读|百科协议|新闻"
        r"|国内|国际|国內|社会|财经|科技|体育|娱乐|军事|教育|汽车|房产|视频|图片"
        r"|旅游|健康|文化|时尚|博客|论坛|专题|滚动|要闻|时政|理论|评论|地方|生活"
        r"|读书|历史|游戏|数码|家居|女性|母婴|美食|电影|音乐|艺术|公益|法治|能源"
        r"|环保|农业|股票|基金|港股|美股|理财|保险|银行|外汇|期货|原创|热点|导航"
        r"|菜单|更多|分类|标签|归档|目录|问答|社区|学校广场|问答社区|留学资讯|商"
        r"城|帮助|消息|关注|推荐|热榜|直播|知道|贴吧|地图|文库)+(?:[|>»›·\[\]【"
        r"】/、, -]+(?:[\p{Han}A-Za-z]{2,9}))*[|>»›·\[\]【】/ -]*$",
        r"^(?:您|你)?(?:当前|現在|现在|目前|所在)?(?:的)?(?:位置|所在位置)[:：是"
        r"] ?.*$|^(?:您现在的位置|当前位置|所在位置|你的位置|您的位置)[:： ]?.*$|"
        r"^[\p{Han}A-Za-z]{2,8}(?: ?(?:>|›|»|>>|→|/) ?[\p{Han}A-Za-z0-9]+){1,6}$|"
        r"^(?:进入|打开|切换)?(?:菜单|导航|目录|侧边栏|夜间模式|无障碍(?:浏览)?|"
        r"关怀版|长者模式)$|跳(?:转|到)(?:至|到)?(?:主要内容|主内容|内容区|导航"
        r")|(?:热门关键词|热搜|热门搜索|搜索热词)[:： ].*$",
    ),
    "image_label": (
        r"(?:点击|點擊|点|點)(?:此处|图片|图|圖片|小图|圖)?(?:查看|可|放大|看|瀏"
        r"覽|浏览)?(?:放大|原图|大图|大圖|高清(?:大)?图|下一(?:张|页)|图集|组图"
        r"|查看)(?:看大图)?|(?:查看|浏览|下载)(?:原图|大图|高清(?:大)?图|图集|组"
        r"图|全部图片)|(?:图片|图像)(?:加载|载入)(?:中|失败)|图片已(?:失效|删除"
        r"|过期)|^(?:图片|圖片|组图|图集|高清图|配图|图|插图|资料图|资料图片|图"
        r"为资料图|题图|示意图|效果图|截图|图像|照片|圖)[:： ]?(?:[0-9]{0,3})?[:："
        r" ]?$|^图 ?[0-9]+ ?/ ?[0-9]+$|^\(?[0-9]+ ?/ ?[0-9]+ ?(?:张|图)\)?$|键盘"
        r"(?:←|左右)[^。]*翻(?:页|图)",
    ),
    "credit": (
        r"^[\[【(（ ]*(?:(?:新华社|中新社|人民网|本报|资料|视觉中国|东方IC|央视"
        r"|新京报|光明网|澎湃新闻)?(?:记者|通讯员|图片|照片)? ?)?(?:供图|供圖|图"
        r"片来源|圖片來源|图片提供|图源|图片版权|照片来源|图/|圖/|图／|摄影|攝影"
        r"|摄|拍摄|图片作者|绘图|制图|图文|配图|漫画|图)[:：/ ]+ ?[^。]+[\]】)）"
        r" ]*$",
        rf"^[\[【(（ ]*(?:(?:新华社|中新社|中新网|人民网|本报|新京报|光明网|央视"
        rf"|法新社|路透社)?(?:记者|通讯员|特约记者)? ?{_HAN_NAMES}) ?(?:摄|攝|供"
        rf"图|摄影|摄影报道|/摄|/图|作|制图)[\]】)） 。]*$",
        rf"^[\[【(（ ]*(?:新华社发|新华社|视觉中国|东方ic|资料图|资料图片|CFP|ICphoto|"
        rf"网络图片|图片来自网络|图片来源于?网络)(?:[（( ]*{_HAN_NAMES} ?(?:摄|"
        rf"供图)[）)]*)?(?:[:：/ ]*(?:供图|图|摄|片))?[\]】)） 。]*$|(?:图片|配"
        rf"图)(?:来自|来源于?|源于|取自)(?:于)?(?:互联网|网络|视觉中国|摄图网)[^。"
        rf"]*",
    ),
    "source": (
        r"^[\[【(（ ]*(?:(?:本文|文章|稿件|内容|信息|资料|新闻|原文|数据)?(?:来"
        r"源|來源|来自|转自|轉自|转载自|摘自|选自|节选自|出处|原载)(?:于)?[:：于"
        r" ]) ?[^。]+[\]】)） 。]*$",
        r"^[\[【(（ ]*(?:本文|文章|稿件)(?:转载|转自|摘自|来源于?|首发于?|原载于"
        r"?|由|刊于|原刊于?|刊登于?|系)[^。]+[\]】)） 。]*$|^(?:原标题|原題|原文"
        r"标题|原題目|编者按|导读)[:：].*$|^(?:发布于|IP属地|ip属地|发自|来自)[:："
        r"]?[\p{Han}]{2,8}$",
    ),
    "citation": (
        r"^\[[0-9]{1,3}\] ?.+$|^[\^↑] ?.+$|^[①②③④⑤⑥⑦⑧⑨⑩⑪⑫] ?.*(?:出版社|第[0-9]+页"
        r"|期刊|学报|版)[^。]*。?$",
        r"^(?:参考(?:文献|资料|来源)|參考(?:文獻|資料)|注释|註釋|注解|引用来源|"
        r"引用文献|延伸閱讀資料|资料来源)[:：]?$|\[[0-9]{4}-[0-9]{2}-[0-9]{2}\]|"
        r"（?原始内容存档于[0-9]{4}-[0-9]{2}-[0-9]{2}）?|\[[JMCDNP]\]\.[^。]{4,80}",
    ),
    "recommendation": (
        r"^[\[【>»•·|■◆▶ ]*(?:本周|今日|本月|每日|编辑|小编|为您|为你|热门|最新"
        r"|精彩|更多|相关|相關|延伸|推荐|推薦|猜你|猜您|大家|您可能|你可能|你还"
        r"可能|同类|往期|上一?|下一?|其他|其它|近期|热点|图文|精选|独家|随机|站"
        r"内|专题|视频|雅虎|网友|24小时|一周|点击|历史)+(?:推荐|推薦|阅读|閱讀|"
        r"文章|新闻|新聞|报道|報導|内容|资讯|视频|話題|话题|链接|喜欢|感兴趣|都"
        r"在看|在看|也喜欢|搜索|排行榜?|热点|回顾|专题|图片|帖子|问题|问答|评论"
        r"|产品|商品|信息|资源|知识|精选|热文|焦点|头条|标签|专栏|下载|活动|词条"
        r"|关键词|课程|的内容|的文章|还喜欢|感兴趣的|上的今天|热榜|看点|热评|博"
        r"文|日志|话题)+[:： >»|】\]]*$",
        r"^[\[【>»· ]*(?:上一?篇|下一?篇|上一?条|下一?条|上一个|下一个|前一篇|后"
        r"一篇|相关(?:阅读|新闻|链接|报道|文章|推荐)|延伸(?:阅读|閱讀)|推荐阅读"
        r"|推薦閱讀|猜你喜欢|猜您喜欢|你可能(?:还|也)?(?:喜欢|感兴趣)|往期(?:回"
        r"顾|精彩|推荐)|看更多|热门(?:推荐|文章|跟贴|话题|阅读)|更多(?:报道|阅读"
        r")|相關(?:新聞|文章|閱讀)|精彩推荐|独家报道)[:：】\]|丨»>]+ ?.*$",
        r"(?:大家(?:都在|还在|也在)(?:看|搜|问)|看了(?:又看|本文的(?:人|网友)还"
        r"看了)|(?:本周|今日)(?:最)?热(?:门|榜|点)|为您推荐|为你推荐|猜你喜欢|去"
        r"热评看看吧|热门跟贴|欢迎(?:继续)?(?:收看|阅读|关注)(?:下一?期|后续|更"
        r"多)[^。]*)",
    ),
    "page_tool": (
        r"^[\[【(（ |]*(?:(?:打印|列印|打印本页|打印本頁|打印文章|友善列印|关闭"
        r"|关闭窗口|關閉視窗|【?关闭】?|收藏|收藏本文|收藏本页|添加喜爱|推荐(?:给"
        r")?(?:朋友|好友)|转寄|纠错|我要纠错|错误报告|报错|举报|举报错误|投诉|字"
        r"号|字體大小|字体(?:大小)?|大|中|小|默认|超大|增大字体|减小字体|加大|缩"
        r"小|复制(?:本文)?(?:链接|地址|网址)|复制|保存|下载|朗读|语音(?:播报|朗"
        r"读)|听新闻|收听|繁體|简体|繁|简|播报|编辑|讨论|上传视频|背景色|护眼|返"
        r"回|分享|TTS|A\+|A-|编辑本段|意见反馈|反馈|切换)[\]】)） |:：/·、【\[(（"
        r"-]*)+$",
        r"(?:本文|文章|内容|这篇文章|以上(?:内容|信息)|此(?:回答|答案|文))?(?:对"
        r"您|对你)?(?:是否|有没有)(?:有帮助|有用|解决了您的问题)[？?]?|(?:有用|"
        r"没用|有帮助|没帮助)[(（][0-9]*[)）]|(?:发现|如有)(?:错误|错别字|问题)"
        r"[^。]*(?:请|欢迎)(?:纠错|指正|反馈|联系)[^。]*|请选择(?:具体)?(?:原因"
        r"|举报类型)[^。]*|(?:侮辱谩骂|内容侵权|涉嫌营销|内容抄袭|违法信息|包含"
        r"不实信息|其他原因|我知道了)",
    ),
    "cookie": (
        r"(?:我们|本网站|本站|我們|此网站|該網站|本網站)[^。]*使用[^。]*cookies?[^。"
        r"]*|(?:接受|拒绝|同意|管理|允许|接受所有|全部接受|拒绝所有|社交媒体|必"
        r"要的?|功能性?|广告|分析)(?:所有|全部|必要)? ?cookies?(?:设置|偏好|政策"
        r")?|(?:继续(?:浏览|使用)|點擊同意)[^。]*(?:同意|接受)[^。]*(?:cookies?|"
        r"隐私政策|隱私政策)|cookie ?(?:设置|政策|偏好|声明)",
    ),
    "copyright": (
        r"(?:版[权權]所有|著作[权權]所有|版[权權][归歸][^。]+所有|©|copyright [0-9©])[^。]*",
        r"(?:未经|未經|未获)[^。]*(?:授权|授權|许可|許可|允许|允許|同意)[^。]*(?:不"
        r"得|禁止|请勿|谢绝|嚴禁|严禁)[^。]*(?:转载|轉載|使用|复制|摘编|刊登|链"
        r"接|建立镜像|引用)?[^。]*|(?:欢迎|如需|如要|若需|若要|如)?(?:转载|轉載"
        r"|转发|引用|复制)[^。]*(?:请|請|须|需|务必|時|时|敬请)[^。]*(?:注明|註"
        r"明|标明|联系|聯絡|保留|务请注明|附上)[^。]*|(?:谢绝|禁止|请勿|拒绝|严"
        r"禁)(?:任何)?(?:转载|轉載|抄袭|复制)|转载(?:请|时)[^。]*注明[^。]*",
        r"[\p{Han}]{1,2}(?:ICP|icp)[备備证證]? ?(?:号)?[0-9-]{5,14}(?:号)?(?:-[0-9]+)"
        r"?|[\p{Han}]{0,2}公网安备 ?[0-9-]+号?|公安备案号[:： ]?[0-9]+|[\p{Han}]网"
        r"文[〔\[][0-9]{4}[〕\]][0-9-]+号|(?:增值电信业务|互联网新闻信息服务|广"
        r"播电视节目制作经营|网络文化经营|信息网络传播视听节目|出版物经营|营业执"
        r"照|网络出版服务)[^。]*(?:许可证|许可证号|编号)?[^。]*|技术支持[:：][^。"
        r"]+|(?:本站|网站)由[^。]+(?:建设|提供|承办|设计|制作|维护)[^。]*|Powered "
        r"by [a-z0-9_!. -]+|本作品为[^。]*原创[^。]*|(?:本|该)(?:文|作品)(?:为|"
        r"系)[^。]*(?:原创|独家|版权)[^。]*",
    ),
    "disclaimer": (
        r"(?:免责声明|免責聲明|风险提示|風險提示|声明|聲明|特别声明|郑重声明|版"
        r"权声明|温馨提示|特别提示|重要提示|安全提示|责任声明)[:：][^\n]*",
        r"(?:本文|文章|以上|文中|本篇|该文|上述|本站|此文|内容|稿件|任何言论)(?:内"
        r"容|观点|所述|言论|信息|文章|仅|只|纯)*(?:仅|只|纯属|僅|纯)?(?:代表|属"
        r"于?|表达)?(?:作者|发布者|个人|其)(?:个人|本人)?(?:的)?(?:观点|看法|立"
        r"场|意见|所有)[^。]*。?|不代表(?:本站|本网|本報|本报|本平台|平台|本刊|"
        r"[\p{Han}]{2,6})(?:的)?(?:观点|立场|意见|態度|态度)[^。]*|与本(?:站|网"
        r"|平台)(?:立场)?无关[^。]*",
        r"(?:如|若)(?:有|存在|涉及|发现|您认为|果)?[^。]*(?:侵权|侵權|版权|侵犯"
        r")[^。]*(?:请|請|可|敬请)[^。]*(?:联系|聯絡|通知|告知|与我们|来信|来电"
        r"|及时)[^。]*(?:删除|刪除|处理|更正|撤)?[^。]*|(?:不构成|不構成|不作为"
        r"|非)(?:任何)?(?:投资|理财|医疗|法律|诊断|專業)?(?:建议|建議|依据)[^。"
        r"]*|(?:仅供|僅供|只供)(?:参考|學習|学习|交流|娱乐|读者参考|投资者参考)"
        r"[^。]*|(?:据此(?:操作|投资|入市)|投资(?:有|需)风险|股市有风险|入市需谨"
        r"慎)[^。]*|(?:本站|本网|本平台|我们)(?:不承担|不对|概不负责|不保证)[^。"
        r"]*|(?:请读者|请网友|请自行)(?:仅作参考|核实|判断|甄别)[^。]*|对(?:此|"
        r"本)文[^。]*不作任何(?:保证|承诺)[^。]*",
    ),
    "thanks": (
        r"^[~～ ]*(?:再次|最后|非常|衷心|由衷|好了|文末)?[，, ]?(?:感谢|感謝|谢"
        r"谢|謝謝|多谢)(?:您|你|大家|各位|读者|阅读|閱讀|的|收看|观看|觀看|支持"
        r"|关注|收听|聆听|朋友们?|网友|欣赏|耐心|订阅|来访|光临|訪問|分享|与|和"
        r"|对|本文|本站|此文|文章|老师|厚爱|陪伴|参与|配合|惠顾|浏览|意见|建議|"
        r"建议|，|,|！|!|。|~|～| |我們|会|我们|您的)*$",
        r"(?:喜欢|觉得)[^。]*(?:就|请|记得|不妨)?(?:点个?赞|关注|收藏|转发)[^。"
        r"]*|(?:欢迎|歡迎)(?:在)?(?:评论区|留言区|下方|文末|底部)?(?:留言|评论|"
        r"交流|讨论|分享你的)[^。]*|^(?:我们|咱们)?(?:下期|下次|下篇|明天)(?:再"
        r"见|见|节目再见|不见不散)[~！!。]*$|(?:你|您|大家)(?:怎么看|有什么看法"
        r"|觉得呢)[？?]?(?:欢迎|请|，|,)[^。]*|(?:看完|阅读完)[^。]*(?:点赞|转发"
        r"|关注)[^。]*",
    ),
    "script_notice": (
        r"^[>0<《 ]*(?:正在|努力|拼命|数据|内容|页面|视频|图片|请稍候|请稍后|稍"
        r"候|玩命)*(?:加载|载入|加載|載入|处理|跳转|提交|查询|搜索)中?(?:[，,]?请"
        r"(?:稍候|稍后|稍等|耐心等待))?[.…。 ]*$",
        r"(?:您|你)(?:的|使用的|所使用的)?(?:浏览器|瀏覽器)[^。]*(?:不支持|不支"
        r"援|版本过低|禁用|没有启用|已过期|升级|未开启)[^。]*|(?:请|請|建议)?(?:启"
        r"用|啟用|开启|打开|使用|升级|安装|更换|下载)[^。]*(?:javascript|flash|"
        r"浏览器|瀏覽器)[^。]*|页面(?:不存在|已删除|无法访问|找不到|出错)[^。]*|"
        r"(?:抱歉|对不起|很抱歉)[，,][^。]*(?:页面|内容|网页|文章|您访问|链接)[^。"
        r"]*(?:不存在|已被?删除|找不到|失效|无法)[^。]*|^(?:undefined|null|nan)"
        r"$|二维码已失效|(?:已成功扫描|扫描成功)[^。]*|请(?:完成|输入)[^。]*(?:验"
        r"证|验证码|登录账号)[^。]*",
    ),
    "video": (
        r"^[\[【(（▶► ]*(?:点击|點擊|播放|观看|视频|視頻|影片|音频|直播|收看|完"
        r"整|相关|更多|本文|正在|重播|回放|独家|短|现场|精彩|高清|视频：|新闻)*(?:播"
        r"放|观看|觀看|视频|視頻|影片|音频|直播|回放|收听|重播|播放器|视频加载中"
        r"|集锦|下一个)[\]】)）:：>！!。▶► ]*$",
        r"(?:视频|視頻)(?:加载|缓冲|播放)(?:中|失败|出错|异常)[^。]*|(?:点击|點"
        r"擊)[^。]*(?:播放|观看)(?:视频|直播|完整版)?|(?:当前|该|此)视频(?:无法"
        r"|不支持|已|暂时?)[^。]*|(?:请|建议)(?:在)?(?:wifi|wi-fi|WiFi)[^。]*(?:观"
        r"看|播放|环境)|非wifi[^。]*|倍速播放|自动播放(?:下一)?|(?:视频|节目)时"
        r"长[:：]? ?[0-9:]+|您的浏览器不支持(?:视频|video|audio|html5)[^。]*|(?:静"
        r"音|取消静音|全屏|退出全屏|标清|高清|超清|蓝光|弹幕|画质)(?:[ /|、](?:静"
        r"音|全屏|标清|高清|超清|流畅|自动|蓝光|弹幕|1080P|720P))+",
    ),
    "page_turn": (
        r"^[\[【<《«‹←| 0-9.,，…/]*(?:(?:第 ?[0-9]+ ?页|共 ?[0-9]+ ?[页頁篇条]|"
        r"[0-9]+ ?/ ?[0-9]+ ?页|首页|首頁|上一?[页頁]|下一?[页頁]|前一页|后一页"
        r"|尾页|末页|末頁|余下全文|上一张|下一张|上一版|下一版|上一期|下一期|跳"
        r"转(?:到|至)?|转到|页|全文阅读|本页阅读全文)[ /|、,，:：>》<\]】\[】。"
        r"0-9.…›»-]*)+$",
        r"^[\[【(（<《 ]*(?:上一?[页頁]|下一?[页頁]|上一版|下一版|上一期|下一期"
        r"|转下页|接上页|下接|上接|下转|上转|转|接)(?: ?第?[A-Za-z]?[0-9]{0,3} "
        r"?[版页]?)?[)）\]】>》 ]*$|[(（](?:下转|上接|下接|紧接|详见|紧转|转|接"
        r")(?:第)?[A-Za-z一二三四五六七八九十]?[0-9]{0,3} ?版[)）]|^(?:第 ?[A-Za-z]?[0-9]{1,3} "
        r"?版[:：]?|[A-Z][0-9]{2}版?[:：])[\p{Han}·/ ]*$|[0-9]{4}年[0-9]{1,2}月"
        r"[0-9]{1,2}日 ?(?:星期[一二三四五六日])? ?第?[A-Z]?[0-9]{1,3}版|(?:放大"
        r"|缩小)(?:\+|-)?(?: ?默认)?|本版导读|版面(?:导航|概览|目录)|^本版(?:编"
        r"辑|责编|主编|美编|校对)[:：][^。]+$|^[0-9]{4}年第[0-9]+期$|^[0-9]+回复"
        r"贴[，,]共[0-9]+页$",
    ),
    "keyword_line": (
        r"^[\[【 #]*(?:关键词|關鍵詞|关键字|關鍵字|标签|標籤|标 ?签|Tags?|TAGS?|"
        r"主题词|所属(?:分类|栏目|专题|类别)|分类|分類|文章分类|类别|栏目|专题|"
        r"话题|来自专栏|分类专栏|文章标签|版块|归档)[\]】]*[:：丨| ].+$",
        r"^(?:#[^#\s]+#?[ ,，]*){2,}$|^[\p{Han}a-z0-9_ ]+ ?[0-9]+篇$|^[a-z0-9_]+ "
        r"(?:专栏收录该内容)$|^[\p{Han}]{0,6}[_/][\p{Han}a-z0-9_ ]+ \([0-9]+\)$|"
        r"^[\p{Han}]{2,10} ?[(（][0-9]+[)）]$",
    ),
    "placeholder": (
        r"(?:这里|此处|这儿)(?:是|填写|输入|放)(?:您的|你的)?(?:标题|内容|文字|"
        r"描述|简介|正文|图片)(?:文字|内容)?|请(?:在此|在这里)?(?:输入|填写|添加"
        r")(?:您的)?(?:标题|内容|正文|描述|文字|简介)|(?:示例|测试|占位)(?:文本"
        r"|文字|内容|页面|标题|数据)|(?:网站|页面|栏目|内容)(?:正在)?(?:建设|更"
        r"新|维护|完善|整理)中[^。]*|敬请期待|^(?:暂无(?:内容|数据|简介|介绍|信"
        r"息|图片|描述|相关)[^。]*|无内容|测试|待补充|待更新|无标题(?:文档)?|您"
        r"好[，,]世界[！!]?|世界[，,]您好[！!]?)$",
    ),
    "download": (
        r"(?:点击|點擊|立即|马上|免费|本地|高速|普通|安全|官方|最新版?|扫码|请|"
        r"附件|电信|联通|迅雷|百度|网盘|客户端|软件|APP|App|app|安卓|苹果|手机|"
        r"PC|电脑|资源|文件|文档|全文|PDF|pdf|相关|在线)+(?:下载|下載|安装|提取"
        r")(?:地址|链接|連結|专区|中心|通道|次数|[:：]|本文|附件|pdf|PDF|APP|App|"
        r"app|客户端|到手机|安装|包|体验|版|阅读|试用|资源|文件|[0-9 ]|密码)*|^(?:下"
        r"载|下載)(?:地址|链接|專區|专区|PDF|pdf|附件|次数|APP|客户端|全文|次)*[:："
        r"]?(?: ?[0-9]+)?$|(?:提取码|解压密码|提取密码|网盘密码|访问密码)[:：]? "
        r"?[a-z0-9_]{4,12}|百度(?:网盘|云盘?)(?:链接|下载|地址)?[:：]?|附件[:："
        r"0-9]+ ?.+\.(?:pdf|docx?|xlsx?|zip|rar|wps)$|.+\.(?:pdf|docx?|xlsx?|zip|"
        r"rar) ?[(（]?[0-9.]+ ?[kmgKMG]b?[)）]?$",
    ),
    "fraud": (
        r"(?:加|添加|联系|私信|咨询|聯絡)[^。]*(?:微信|薇信|威信|vx|VX|扣扣|QQ|"
        r"qq|客服|line|telegram|飞机)(?:号|群)?[:： ]*[a-z0-9_-]*|(?:兼职|日结|"
        r"日赚|月入|轻松赚|躺赚|稳赚|包赚|日入|时薪)[^。]*(?:元|万|不赔|日结|过"
        r"万|刷单|在家|无需|[0-9]+)[^。]*|(?:刷单|代刷|代写|代考|代办|办证|代开"
        r"(?:发票)?|开发票|刻章|套现|养卡|贷款(?:秒批|秒到|无抵押)|无抵押|秒到账"
        r"|秒批|黑户可贷|高利息|高回报|保本|稳赚不赔|内幕消息|荐股|涨停牛股|免费"
        r"领(?:取)?牛股|包中|必中特码|六合彩|时时彩|北京赛车|博彩|赌场|真人娱乐"
        r"|百家乐|老虎机|皇冠|注册送[0-9]*|开户送[0-9]*|送彩金|首存|返水|棋牌(?:游"
        r"戏)?平台|线上娱乐城|娱乐城)(?:[、，, ]?(?:投注|平台|官网|开户|注册|下"
        r"载|网址|玩法|资料|开奖|论坛|技巧|电话|服务|业务|证件|文凭|秒批|论文)){0,4}|"
        r"恭喜您?(?:中奖|获得|被抽中)[^。]*|(?:致富好项目|招商加盟(?:火爆)?|零风"
        r"险|无风险|免费加盟|投资小见效快|一本万利)[^。]*|老中医[^。]*(?:秘方|祖"
        r"传|包治)|祖传秘方|(?:包治|根治|无效退款|签约治疗)[^。]*|(?:减肥|壮阳|"
        r"增高|丰胸|美白)[^。]*(?:秘方|神药|一个月|无效退款|不反弹|见效)[^。]*",
    ),
    "encyclopedia": (
        r"^[|0-9+ ·]*(?:(?:播报|编辑|讨论|上传视频|收藏|查看我的收藏|有用\+?1?|"
        r"已投票|锁定|本词条|词条图册|词条统计|目录|历史版本|收起|展开|查看|添加"
        r"义项|同义词|多义词|义项|纠错)[|0-9+ ·]*)+$|^(?:本词条(?:缺少|由|正文|"
        r"需要|内容)[^。]*。?.*)$|^(?:同义词|多义词|此词条为多义词)[^。]*$|(?:百"
        r"度百科|互动百科|维基百科|維基百科)[^。]*(?:词条|合作平台|，自由的百科"
        r"全书|，自由的百科全書|编辑任务)[^。]*|^(?:浏览次数|编辑次数|最近更新|"
        r"突出贡献榜|创建者|词条标签|词条统计)[:：]?.*$|^\[?(?:编辑|編輯|编辑源"
        r"代码|編輯原始碼)\]?(?: ?\| ?\[?(?:编辑|編輯)(?:源代码)?\]?)*$|(?:本条"
        r"目|本頁面|此条目|本页面|此條目)[^。]*(?:需要|没有|最后修订|最後修訂|可"
        r"参照|缺少|存在|可能|主题|论述)[^。]*。?|^(?:概述|目录|基本信息|词条|义"
        r"项描述|中文名|外文名)?[▪·•]+$",
    ),
    "suffix": (
        r"^[\[【(（*\-—=—\u3000 ~～◆]*(?:完|全文完|本文完|正文完|正文结束|END|end|"
        r"The End|未完待续|待续|以上|网页编辑|结束)[\]】)）*\-—= ~～。◆]*$|^[\[【"
        r"(（]?(?:本文(?:来源|作者|编辑|系|图片)|原标题|文章来源|编辑|责编|来源"
        r"|责任编辑)[:：][^。]*[\]】)）]$|^[\[【(（]*(?:点击|详细|更多|全文|查看"
        r"原文|网络|转载|转|组图|图|视频|无内容|已更新|附图|附视频|直播完毕)[\]】"
        r")）]+$",
        r"^[_\-—=*~·•◆■□●○▲△▼※★☆#|/\\<>《》【】（）() .。,，、:：;；!！?？…\u3000↑↓←→×+]+$",
    ),
}

FAMILIES: tuple[str, ...] = tuple(sorted(ENGLISH.keys() | CHINESE.keys()))


NOTICES = frozenset(
    (
        "adult",
        "citation",
        "cookie",
        "copyright",
        "disclaimer",
        "encyclopedia",
        "fraud",
        "placeholder",
    )
)
"""Families whose phrases can fill a paragraph; all others are labels, a line at most."""


def pattern(family: str) -> str:
    """The regular expression of a family, for Rust's `regex`."""
    pieces = [
        *(
            rf"(?-u:\b{{start-half}})(?:{piece})(?-u:\b{{end-half}})"
            for piece in ENGLISH.get(family, ())
        ),
        *CHINESE.get(family, ()),
    ]
    return f"(?i)(?:{'|'.join(pieces)})"
